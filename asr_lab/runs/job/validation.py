"""How good the weights are: on the validation sets while training, on the test sets after it."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from asr_lab.config.structure import unstructure
from asr_lab.files import write_jsonl
from asr_lab.models.decode_options import DecodeOptions
from asr_lab.text.normalizer import Normalizer
from asr_lab.text.vocabulary import UnspellableError
from asr_lab.training.rank import Rank

if TYPE_CHECKING:
    from asr_lab.compiler.build import Experiment
    from asr_lab.evaluation.scoring import Scored
    from asr_lab.recipe import Recipe
    from asr_lab.training.parallel.group import Group

TEST = "test"
"""What the scores of `data.test` are called in `eval/`."""
VALID = "valid"
"""What the transcripts of the validation sets by the best weights are called there."""
TIE = "cer"
"""The rate that decides between equals of the metric."""
NO_LANGUAGE = "none"
"""What utterances without a language are called in a validation by language."""
KEPT = ("name", "rates", "normaliser", "scorer", "utterances")
"""What the record of a finished run repeats of a score."""


@attrs.frozen
class Validation:
    """How good the weights are on all validation sets as one."""

    rank: Rank
    sets: dict[str, float]
    """Each set's error rate under the metric."""
    languages: dict[str, float]
    """Each language's, by name, where the column `language` tells several apart; "none" is of what has none there."""
    scored: dict[str, list[Scored]]
    """Each set's utterances, with their errors."""

    def metrics(self, step: int, metric: str) -> dict[str, float | None]:
        """What listeners of the metrics are told of it: `valid_cer`, `valid_loss`, `valid_cer_de`, …"""
        told = {
            **dict(zip(("valid_cer", "valid_loss"), self.rank.ties(), strict=True)),
            f"valid_{metric}": self.rank.value,
        }
        return {"step": step, **told, **{f"valid_{metric}_{name}": rate for name, rate in self.languages.items()}}

    def write(self, folder: Path) -> None:
        """Keep the transcripts with their errors in a folder: `asrlab sweep` compares runs by them."""
        from asr_lab.evaluation.evaluation_files import hypothesis_record

        folder.mkdir(parents=True, exist_ok=True)
        records = (hypothesis_record(name, one) for name, rows in self.scored.items() for one in rows)
        write_jsonl(folder / f"{VALID}.jsonl", records)


def validate(experiment: Experiment, normalizer: Normalizer, metric: str, group: Group | None = None) -> Validation:
    """The error rates and the loss over all validation sets as one; `metric` is the name of a rate.

    Decoding is greedy and the normaliser that of training, whatever `[decode]` and `[score]` say: selection decides
    the weights, and those tables must not.
    """
    from asr_lab.evaluation.error_counts import error_rate
    from asr_lab.evaluation.rates import MAIN, UnitErrors, rates
    from asr_lab.evaluation.scoring import Scored
    from asr_lab.recognition.transcribe_set import transcribe_set

    learner = experiment.learner
    model = learner.averaged()
    totals = {name: UnitErrors(0, 0, 0, 0) for name in dict.fromkeys((metric, TIE, MAIN))}
    found, losses, scored = {}, [], {}
    for data in experiment.valid:
        decoded = transcribe_set(
            model,
            experiment.features,
            experiment.vocabulary,
            data,
            DecodeOptions(),
            learner.device,
            spell=functools.partial(_tokens, normalizer, experiment),
            group=group,
        )
        losses += [one.loss for one in decoded if one.loss is not None]
        pairs = [(normalizer(one.reference), normalizer(one.hypothesis)) for one in decoded]
        errors = {name: [rates()[name].count(*pair) for pair in pairs] for name in totals}
        each = ({name: counts[row] for name, counts in errors.items()} for row in range(len(pairs)))
        scored[data.name] = [Scored(one, *pair, own) for one, pair, own in zip(decoded, pairs, each, strict=True)]
        for name, total in totals.items():
            counts = errors[name]
            own = UnitErrors(*map(sum, zip(*counts, strict=True))) if counts else UnitErrors(0, 0, 0, 0)
            totals[name] = UnitErrors(*map(sum, zip(total, own, strict=True)))
            if name == metric:
                found[data.name] = error_rate(own.errors, own.reference)
    value, cer = (error_rate(totals[name].errors, totals[name].reference) for name in (metric, TIE))
    rank = Rank(value, cer, math.fsum(losses) / len(losses) if losses else math.inf)
    return Validation(rank, found, language_rates(itertools.chain(*scored.values()), metric), scored)


def language_rates(scored: Iterable[Scored], metric: str) -> dict[str, float]:
    """The error rate of each language, by name; empty where all utterances are of one, or none is told."""
    from asr_lab.evaluation.error_counts import error_rate

    totals: dict[str, list[int]] = {}
    for one in scored:
        counts = one.errors[metric]
        total = totals.setdefault(str(one.transcript.columns.get("language") or NO_LANGUAGE), [0, 0])
        total[0] += counts.errors
        total[1] += counts.reference
    return {name: error_rate(*totals[name]) for name in sorted(totals)} if len(totals) > 1 else {}


def _tokens(normalizer: Normalizer, experiment: Experiment, text: str, num_samples: int) -> Sequence[int]:
    """The tokens of a transcript; none where it cannot be spelled, or learned from so many samples."""
    try:
        tokens = experiment.vocabulary.encode(normalizer(text))
    except UnspellableError:
        return ()
    return tokens if experiment.alignable(num_samples, tokens) else ()


def score_test(
    experiment: Experiment,
    recipe: Recipe,
    folder: Path,
    about: Mapping[str, Any],
    check: Callable[[], None],
    group: Group | None = None,
    stop: Callable[[], int] = lambda: 0,
) -> list[dict[str, Any]]:
    """Transcribe and score the test sets as `[decode]` and `[score]` say; `test.json` and its hypotheses in `folder`.

    `check` is called before they are written; it raises where the run is another process's by then. Of a `group` each
    process transcribes its share, and rank 0 alone scores and writes; the others get nothing. InterruptedDecodingError
    when `stop` gave one of them the number of a signal.
    Gives the score over all sets, then, where there are several, each set's: those of `KEPT`.
    """
    from asr_lab.evaluation.evaluation_files import evaluate, evaluation_json, write_evaluation
    from asr_lab.recognition.transcribe_set import transcribe_set

    learner = experiment.learner
    model = learner.averaged()
    decoded, unreadable = {}, []
    for data in experiment.test:
        decoded[data.name] = transcribe_set(
            model,
            experiment.features,
            experiment.vocabulary,
            data,
            experiment.decode,
            learner.device,
            group=group,
            stop=stop,
            precision=experiment.decode_precision,
        )
        unreadable += [(data.name, one) for one in data.unreadable]
    if group is not None and not group.world.is_first:
        return []
    how = experiment.score
    what = {**about, "score": unstructure(how)}
    evaluation = evaluate(
        decoded, experiment.normalizer, how.bootstrap, recipe.seed, unreadable, what, how.unreadable, how.scorer
    )
    check()
    path = write_evaluation(evaluation, folder, TEST)
    content = evaluation_json(evaluation, str(path.with_suffix(".jsonl")))
    scores = [content, *content["sets"]] if len(content["sets"]) > 1 else [content]
    return [{key: one[key] for key in KEPT} for one in scores]
