"""How good the weights are: on the validation sets while training, on the test sets after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr_lab.models.decode_options import DecodeOptions
from asr_lab.text.normalizer import Normalizer

if TYPE_CHECKING:
    from asr_lab.compiler.build import Experiment
    from asr_lab.recipe import Recipe

TEST = "test"
"""What the scores of `data.test` are called in `eval/`."""
KEPT = ("name", "rates", "normaliser", "utterances")
"""What the record of a finished run repeats of a score."""


def validate(experiment: Experiment, normalizer: Normalizer, metric: str) -> tuple[float, dict[str, float]]:
    """The error rate over all validation sets as one, and each set's own; `metric` is the name of a rate.

    Decoding is greedy and the normaliser that of training, whatever `[decode]` and `[score]` say: selection decides
    the weights, and those tables must not.
    """
    from asr_lab.evaluation.error_counts import error_rate
    from asr_lab.evaluation.rates import UnitErrors, rates
    from asr_lab.recognition.transcribe_set import transcribe_set

    learner = experiment.learner
    model = learner.averaged()
    rate = rates()[metric]
    total, found = UnitErrors(0, 0, 0, 0), {}
    for data in experiment.valid:
        decoded = transcribe_set(
            model, experiment.features, experiment.vocabulary, data, DecodeOptions(), learner.device
        )
        counts = [rate.count(normalizer(t.reference), normalizer(t.hypothesis)) for t in decoded]
        own = UnitErrors(*map(sum, zip(*counts, strict=True))) if counts else UnitErrors(0, 0, 0, 0)
        found[data.name] = error_rate(own.errors, own.reference)
        total = UnitErrors(*map(sum, zip(total, own, strict=True)))
    return error_rate(total.errors, total.reference), found


def score_test(
    experiment: Experiment, recipe: Recipe, folder: Path, about: Mapping[str, Any], check: Callable[[], None]
) -> list[dict[str, Any]]:
    """Transcribe and score the test sets as `[decode]` and `[score]` say; `test.json` and its hypotheses in `folder`.

    `check` is called before they are written; it raises where the run is another process's by then.
    Gives the score over all sets, then, where there are several, each set's: name, rates, normaliser, utterances.
    """
    from asr_lab.evaluation.evaluation_files import evaluate, evaluation_json, write_evaluation
    from asr_lab.recognition.transcribe_set import transcribe_set

    learner = experiment.learner
    model = learner.averaged()
    decoded, unreadable = {}, []
    for data in experiment.test:
        decoded[data.name] = transcribe_set(
            model, experiment.features, experiment.vocabulary, data, experiment.decode, learner.device
        )
        unreadable += [(data.name, one) for one in data.unreadable]
    how = experiment.score
    normalizer = Normalizer(how.normalizer)
    evaluation = evaluate(decoded, normalizer, how.bootstrap, recipe.seed, unreadable, about, how.unreadable)
    check()
    path = write_evaluation(evaluation, folder, TEST)
    content = evaluation_json(evaluation, str(path.with_suffix(".jsonl")))
    scores = [content, *content["sets"]] if len(content["sets"]) > 1 else [content]
    return [{key: one[key] for key in KEPT} for one in scores]
