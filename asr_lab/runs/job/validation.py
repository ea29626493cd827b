"""How good the weights are: on the validation sets while training, on the test sets after it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr_lab.models.decode_options import DecodeOptions
from asr_lab.text.normalizer import Normalizer

if TYPE_CHECKING:
    from asr_lab.compiler.build import Experiment
    from asr_lab.recipe import Recipe

TEST = "test"
"""What the scores of `data.test` are called in `eval/`."""
KEPT = ("name", "wer", "cer", "normaliser", "utterances")
"""What the record of a finished run repeats of a score."""


def validate(experiment: Experiment, normalizer: Normalizer, metric: str) -> tuple[float, dict[str, float]]:
    """The error rate over all validation sets as one, and each set's own; `metric` is `wer` or `cer`.

    Decoding is greedy and the normaliser that of training, whatever `[decode]` and `[score]` say: selection decides
    the weights, and those tables must not.
    """
    from asr_lab.evaluation.error_counts import REFERENCE, count_errors, error_rate, num_errors
    from asr_lab.recognition.transcribe_set import transcribe_set

    learner = experiment.learner
    model = learner.averaged()
    errors, references, rates = 0, 0, {}
    for data in experiment.valid:
        heard = transcribe_set(model, experiment.features, experiment.vocabulary, data, DecodeOptions(), learner.device)
        counts = count_errors([normalizer(t.reference) for t in heard], [normalizer(t.hypothesis) for t in heard])
        table = counts.words if metric == "wer" else counts.characters
        wrong, size = int(num_errors(table).sum()), int(table[:, REFERENCE].sum())
        rates[data.name] = error_rate(wrong, size)
        errors, references = errors + wrong, references + size
    return error_rate(errors, references), rates


def score_test(experiment: Experiment, recipe: Recipe, folder: Path, about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Transcribe and score the test sets as `[decode]` and `[score]` say; `test.json` and its hypotheses in `folder`.

    Gives the score over all sets, then, where there are several, each set's: name, rates, normaliser, utterances.
    """
    from asr_lab.evaluation.evaluation_files import evaluate, evaluation_json, write_evaluation
    from asr_lab.recognition.transcribe_set import transcribe_set

    learner = experiment.learner
    model = learner.averaged()
    heard, skipped = {}, []
    for data in experiment.test:
        heard[data.name] = transcribe_set(
            model, experiment.features, experiment.vocabulary, data, experiment.decode, learner.device
        )
        skipped += [(data.name, cut) for cut in data.bad]
    normalizer = Normalizer(experiment.score.normalizer)
    evaluation = evaluate(heard, normalizer, experiment.score.bootstrap, recipe.seed, skipped, about)
    path = write_evaluation(evaluation, folder, TEST)
    content = evaluation_json(evaluation, str(path.with_suffix(".jsonl")))
    scores = [content, *content["sets"]] if len(content["sets"]) > 1 else [content]
    return [{key: one[key] for key in KEPT} for one in scores]
