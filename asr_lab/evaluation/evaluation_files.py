"""Evaluations: several sets scored as one and each for itself, kept as JSON beside their hypotheses."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import attrs

from asr_lab.config.stored import stored
from asr_lab.errors import DataError
from asr_lab.evaluation.error_counts import Scorer
from asr_lab.evaluation.identification import Accuracy, identification_json
from asr_lab.evaluation.languages import Average, ByLanguage, FamilyAverage, SetFacts, language_json
from asr_lab.evaluation.rates import MAIN
from asr_lab.evaluation.scoring import Rate, Scored, SetScore, Slice, score
from asr_lab.files import write_json, write_jsonl
from asr_lab.recognition.decoded_utterance import IDENTIFIED, DecodedUtterance
from asr_lab.text.normalizer import TextNormalizer

if TYPE_CHECKING:
    from asr_lab.data.utterance import UnreadableUtterance

FORMAT = 2
"""Raised when the JSON's shape changes; `read_evaluation` says what it makes of an older one."""
PLAIN = "plain/1"
"""The scorer of evaluations that name none."""
UNNAMED = {"normaliser_hash": "", "scorer": PLAIN, "scorer_hash": ""}
"""What a score from before these keys counts as."""
UnreadablePolicy = Literal["deleted", "left_out"]
"""What becomes of utterances that cannot be read: all their words count as deleted, or they are not in the score."""


@attrs.frozen
class Evaluation:
    """The score of some sets, and what it is of."""

    score: SetScore
    """Over all sets together."""
    sets: tuple[SetScore, ...]
    """Each set by itself."""
    unreadable: tuple[tuple[str, UnreadableUtterance], ...] = ()
    """Utterances that could not be read, each with its set's name."""
    policy: UnreadablePolicy = "deleted"
    """What became of them."""
    about: Mapping[str, Any] = attrs.field(factory=dict)
    """What was evaluated: `run`, `checkpoint`, `decode`, …; JSON."""
    languages: ByLanguage | None = None
    """Averages over its sets, where they are languages or parts of a corpus."""


@attrs.frozen
class StoredInterval:
    """How the interval of a score was made."""

    resampled: Literal["utterance", "speaker"]
    units: int
    resamples: int
    seed: int
    level: float = 0.95


@attrs.frozen(kw_only=True)
class StoredScore:
    """What a score's JSON must hold."""

    name: str
    rates: dict[str, Rate]
    normaliser: str
    utterances: int
    audio_s: float
    hash: str
    interval: StoredInterval
    tables: dict[str, tuple[Slice, ...]]
    normaliser_hash: str = ""
    scorer: str = PLAIN
    scorer_hash: str = ""


@attrs.frozen
class StoredUnreadable:
    """An utterance that could not be read."""

    set: str
    id: str
    audio: str
    reason: str
    text: str | None


@attrs.frozen
class StoredAllUnreadable:
    """All of them, and what became of them."""

    policy: UnreadablePolicy
    utterances: tuple[StoredUnreadable, ...]


@attrs.frozen
class StoredAverages:
    """Averages over languages."""

    macro: dict[str, Average]
    micro: dict[str, Average]
    families: dict[str, FamilyAverage]


@attrs.frozen
class StoredAccuracy:
    """How often languages were named rightly: over all utterances, or those of one language."""

    value: float
    low: float
    high: float
    utterances: int
    languages: dict[str, Accuracy] | None = None


@attrs.frozen(kw_only=True)
class StoredEvaluation(StoredScore):
    """What an evaluation's JSON must hold, and what it may."""

    hypotheses: str
    unreadable: StoredAllUnreadable
    sets: tuple[dict[str, Any], ...]
    about: dict[str, Any]
    languages: dict[str, SetFacts] | None = None
    averages: StoredAverages | None = None
    identification: StoredAccuracy | None = None


def evaluate(
    decoded: Mapping[str, Sequence[DecodedUtterance]],
    normalizer: TextNormalizer,
    bootstrap: int,
    seed: int,
    unreadable: Iterable[tuple[str, UnreadableUtterance]] = (),
    about: Mapping[str, Any] | None = None,
    policy: UnreadablePolicy = "deleted",
    scorer: Scorer = "plain",
) -> Evaluation:
    """Score transcripts by the name of their set, and all of them together; DataError when there are none.

    `unreadable` come with the name of their set; with the policy `deleted` each that has a transcript is in the score
    with an empty hypothesis.
    """
    bad = tuple(unreadable)
    named = {name: list(rows) for name, rows in decoded.items()}
    if not any(named.values()):
        reasons = "; ".join(f"{one.id}: {one.reason}" for _, one in bad[:3])
        raise DataError(f"no utterance to score{': ' + reasons if reasons else ''}")
    if policy == "deleted":
        known = {(name, row.id) for name, rows in named.items() for row in rows}
        for name, one in bad:
            if one.text is not None and (name, one.id) not in known:
                known.add((name, one.id))
                row = DecodedUtterance(one.id, one.text, "", dict(one.columns), 0.0, one.audio)
                named.setdefault(name, []).append(row)
    named = {name: rows for name, rows in named.items() if rows}
    sets = tuple(score(rows, normalizer, bootstrap, seed, name, scorer) for name, rows in named.items())
    total = sets[0]
    if len(sets) > 1:
        every = [t for rows in named.values() for t in rows]
        total = score(every, normalizer, bootstrap, seed, " + ".join(named), scorer)
    return Evaluation(total, sets, bad, policy, about or {})


def write_evaluation(evaluation: Evaluation, folder: Path, stem: str) -> Path:
    """Write `<stem>.json` and its hypotheses, `<stem>.jsonl`, into a folder; the JSON's path.

    Readers see the old files or the new ones, and never a JSON without its hypotheses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    hypotheses = folder / f"{stem}.jsonl"
    reasons = {(name, one.id): one.reason for name, one in evaluation.unreadable}
    records = [hypothesis_record(one.name, s, reasons) for one in evaluation.sets for s in one.scored]
    write_jsonl(hypotheses, records)
    path = folder / f"{stem}.json"
    write_json(path, evaluation_json(evaluation, hypotheses.name))
    return path


def evaluation_json(evaluation: Evaluation, hypotheses: str) -> dict[str, Any]:
    """The documented shape: `rates` by name, each `value low high substitutions deletions insertions reference`.

    Rates are fractions. `hypotheses` is the path of their jsonl, as seen from where the JSON is read; `sets` holds the
    same keys for each set, and `tables` their slices by speaker, language and length.
    """
    unreadable = [
        {"set": name, "id": one.id, "audio": one.audio, "reason": one.reason, "text": one.text}
        for name, one in evaluation.unreadable
    ]
    return {
        "format": FORMAT,
        **_score_json(evaluation.score),
        "hypotheses": hypotheses,
        "unreadable": {"policy": evaluation.policy, "utterances": unreadable},
        "about": dict(evaluation.about),
        **identification_json(evaluation.score),
        "sets": [_score_json(one) for one in evaluation.sets],
        **({} if evaluation.languages is None else language_json(evaluation.languages)),
    }


def read_evaluation(path: Path) -> dict[str, Any]:
    """The JSON of an evaluation as `evaluation_json` gives it, its `hypotheses` made a path from here.

    Format 1 had `wer` and `cer` in the place of `rates`, and left unreadable utterances out of the score (`skipped`);
    it is given in today's shape. DataError for a file that is no evaluation, or of another format.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"no evaluation can be read from {path}: {error}") from error
    version = content.get("format") if isinstance(content, dict) else None
    if version not in (1, FORMAT):
        found = "has no format" if version is None else f"has format {version!r}"
        raise DataError(f"{path} is not an evaluation of format {FORMAT} (it {found}); evaluate again: asrlab eval")
    try:
        content = _from_format_1(content) if version == 1 else content
        hypotheses = _checked(content, str(path)).hypotheses
    except (DataError, KeyError, TypeError, AttributeError, ValueError) as error:
        what = str(error) if isinstance(error, DataError) else f"{path} is damaged: {type(error).__name__}: {error}"
        raise DataError(f"{what}; evaluate again: asrlab eval") from error
    sets = [{**UNNAMED, **one} for one in content["sets"]]
    return {**UNNAMED, **content, "sets": sets, "hypotheses": str(path.parent / hypotheses)}


def _checked(content: Mapping[str, Any], place: str) -> StoredEvaluation:
    whole = stored(content, StoredEvaluation, place, DataError)
    sets = [stored(one, StoredScore, f"{place} (sets)", DataError) for one in whole.sets]
    for one in [*sets, whole]:
        rows = [row for table in one.tables.values() for row in table]
        if any(MAIN not in rates for rates in (one.rates, *(row.rates for row in rows))):
            raise DataError(f"{place} is damaged: {MAIN} is not among the rates")
    return whole


def rates_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """The rates of a score in JSON, by name: today's shape, or that of format 1."""
    if isinstance(content.get("rates"), Mapping):
        return dict(content["rates"])
    return {name: content[name] for name in ("wer", "cer") if name in content}


def _from_format_1(content: dict[str, Any]) -> dict[str, Any]:
    def upgraded(one: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in one.items() if key not in ("wer", "cer", "skipped")} | {
            "rates": rates_of(one)
        }

    def upgraded_score(one: dict[str, Any]) -> dict[str, Any]:
        tables = {name: [upgraded(row) for row in rows] for name, rows in one.get("tables", {}).items()}
        return upgraded(one) | {"tables": tables}

    skipped = [{**cut, "text": None} for cut in content["skipped"]]
    unreadable = {"policy": "left_out", "utterances": skipped}
    return {
        **upgraded_score(content),
        "unreadable": unreadable,
        "sets": [upgraded_score(one) for one in content["sets"]],
    }


def _score_json(one: SetScore) -> dict[str, Any]:
    tables = {name: [attrs.asdict(row) for row in rows] for name, rows in one.tables.items()}
    return {
        "name": one.name,
        "rates": {name: attrs.asdict(rate) for name, rate in one.rates.items()},
        "normaliser": one.normaliser,
        "normaliser_hash": one.normaliser_hash,
        "scorer": one.scorer,
        "scorer_hash": one.scorer_hash,
        "utterances": one.utterances,
        "audio_s": round(one.audio_s, 3),
        "hash": one.hash,
        "interval": {
            "level": 0.95,
            "resampled": one.resampled,
            "units": one.units,
            "resamples": one.resamples,
            "seed": one.seed,
        },
        "tables": tables,
    }


def hypothesis_record(name: str, one: Scored, reasons: Mapping[tuple[str, str], str] | None = None) -> dict[str, Any]:
    """A line of a file of hypotheses: an utterance of the set of that name; `reasons` say what could not be read."""
    t = one.transcript
    reason = (reasons or {}).get((name, t.id))
    return {
        "id": t.id,
        "set": name,
        "audio": t.audio,
        "duration_s": round(t.duration_s, 3),
        "speaker": t.columns.get("speaker"),
        **({} if t.columns.get("language") is None else {"language": t.columns["language"]}),
        "reference": t.reference,
        "hypothesis": t.hypothesis,
        "normalised": {"reference": one.reference, "hypothesis": one.hypothesis},
        "errors": {name: errors._asdict() for name, errors in one.errors.items()},
        **({} if t.columns.get(IDENTIFIED) is None else {IDENTIFIED: t.columns[IDENTIFIED]}),
        **({} if reason is None else {"unreadable": reason}),
    }
