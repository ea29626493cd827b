"""Which weights a command goes on with, in a line: the run, the step, and what validation found."""

from __future__ import annotations

import warnings

from asr_lab.runs.directory import RunDirectory
from asr_lab.training.weight_choice import num_averaged


def weights_line(run: RunDirectory, checkpoint: str) -> str:
    """`quickstart-1a2b3c4d, step 230 (best), WER 7.4 % on valid`; CheckpointError when there is no such checkpoint.

    Of a mean of several no score is known: `quickstart-1a2b3c4d, the mean of steps 230, 210 (average:2)`.
    """
    num_averaged(checkpoint)  # where it is misspelt, torch need not be loaded
    from asr_lab.compiler.build import find_weights
    from asr_lab.evaluation.rates import rates
    from asr_lab.training.store import saved_in

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # loading the weights says what is damaged
        chosen = find_weights(run.path, checkpoint)
    if len(chosen.folders) > 1:
        steps = ", ".join(f"{saved_in(folder).step}" for folder in chosen.folders)
        return f"{run.name}, the mean of steps {steps} ({chosen.kind})"
    saved = saved_in(chosen.folder)
    parts = [run.name, f"step {saved.step:,} ({chosen.kind})"]
    if saved.rank is not None:
        metric = str(run.parts()[0].get("train", {}).get("metric", ""))
        label = rates()[metric].label if metric in rates() else metric
        parts.append(f"{label} {saved.rank.value:.1%} on valid".replace("%", " %"))
    return ", ".join(parts)
