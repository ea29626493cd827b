"""Evaluations: several sets scored as one and each for itself, kept as JSON beside their hypotheses."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from asr_lab.errors import DataError
from asr_lab.evaluation.error_counts import REFERENCE
from asr_lab.evaluation.hypotheses import write_hypotheses
from asr_lab.evaluation.scoring import Scored, SetScore, score
from asr_lab.recognition.decoded_utterance import DecodedUtterance
from asr_lab.text.normalizer import Normalizer

if TYPE_CHECKING:
    from asr_lab.data.utterance import BadCut

FORMAT = 1
"""Raised when the JSON's shape changes."""


@attrs.frozen
class Evaluation:
    """The score of some sets, and what it is of."""

    score: SetScore
    """Over all sets together."""
    sets: tuple[SetScore, ...]
    """Each set by itself."""
    skipped: tuple[tuple[str, BadCut], ...] = ()
    """Utterances that could not be read, each with its set's name; they are not in the score."""
    about: Mapping[str, Any] = attrs.field(factory=dict)
    """What was evaluated: `run`, `checkpoint`, `decode`, …; JSON."""


def evaluate(
    heard: Mapping[str, Sequence[DecodedUtterance]],
    normalizer: Normalizer,
    bootstrap: int,
    seed: int,
    skipped: Iterable[tuple[str, BadCut]] = (),
    about: Mapping[str, Any] | None = None,
) -> Evaluation:
    """SetScore transcripts by the name of their set, and all of them together; DataError when there are none."""
    named = {name: transcripts for name, transcripts in heard.items() if transcripts}
    left_out = tuple(skipped)
    if not named:
        reasons = "; ".join(f"{cut.id}: {cut.reason}" for _, cut in left_out[:3])
        raise DataError(f"no utterance to score{': ' + reasons if reasons else ''}")
    sets = tuple(score(rows, normalizer, bootstrap, seed, name) for name, rows in named.items())
    if len(sets) == 1:
        return Evaluation(sets[0], sets, left_out, about or {})
    every = [t for rows in named.values() for t in rows]
    return Evaluation(score(every, normalizer, bootstrap, seed, " + ".join(named)), sets, left_out, about or {})


def write_evaluation(evaluation: Evaluation, folder: Path, stem: str) -> Path:
    """Write `<stem>.json` and its hypotheses, `<stem>.jsonl`, into a folder; the JSON's path.

    Readers see the old files or the new ones, and never a JSON without its hypotheses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    hypotheses = folder / f"{stem}.jsonl"
    write_hypotheses(hypotheses, [_record(one.name, s) for one in evaluation.sets for s in one.scored])
    path = folder / f"{stem}.json"
    temporary = folder / f".{stem}.json.tmp"
    content = evaluation_json(evaluation, hypotheses.name)
    temporary.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)
    return path


def evaluation_json(evaluation: Evaluation, hypotheses: str) -> dict[str, Any]:
    """The documented shape: `wer` and `cer`, each with `value low high substitutions deletions insertions reference`.

    Rates are fractions. `hypotheses` is the path of their jsonl, as seen from where the JSON is read; `sets` holds the
    same keys for each set, and `tables` their rows by speaker, language and length.
    """
    skipped = [
        {"set": name, "id": cut.id, "audio": cut.audio, "reason": cut.reason} for name, cut in evaluation.skipped
    ]
    return {
        "format": FORMAT,
        **_score_json(evaluation.score),
        "hypotheses": hypotheses,
        "skipped": skipped,
        "about": dict(evaluation.about),
        "sets": [_score_json(one) for one in evaluation.sets],
    }


def read_evaluation(path: Path) -> dict[str, Any]:
    """The JSON of an evaluation, its `hypotheses` made a path from here; DataError when it is not one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"no evaluation can be read from {path}: {error}") from error
    if not isinstance(content, dict) or not {"wer", "cer", "normaliser", "hypotheses"} <= set(content):
        raise DataError(f"{path} is not an evaluation: it has no wer, cer, normaliser and hypotheses")
    if content.get("format") != FORMAT:
        raise DataError(f"{path} has format {content.get('format')}, this version reads {FORMAT}; evaluate again")
    content["hypotheses"] = str(path.parent / content["hypotheses"])
    return content


def _score_json(one: SetScore) -> dict[str, Any]:
    tables = {name: [attrs.asdict(row) for row in rows] for name, rows in one.tables.items()}
    return {
        "name": one.name,
        "wer": attrs.asdict(one.wer),
        "cer": attrs.asdict(one.cer),
        "normaliser": one.normaliser,
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


def _record(name: str, one: Scored) -> dict[str, Any]:
    t = one.transcript
    return {
        "id": t.id,
        "set": name,
        "audio": t.audio,
        "duration_s": round(t.duration_s, 3),
        "speaker": t.columns.get("speaker"),
        "reference": t.reference,
        "hypothesis": t.hypothesis,
        "normalised": {"reference": one.reference, "hypothesis": one.hypothesis},
        "words": _counts(one.words),
        "characters": _counts(one.characters),
    }


def _counts(counts: tuple[int, int, int, int]) -> dict[str, int]:
    substitutions, deletions, insertions, reference = counts
    assert len(counts) == REFERENCE + 1
    return {
        "substitutions": substitutions,
        "deletions": deletions,
        "insertions": insertions,
        "reference": reference,
    }
