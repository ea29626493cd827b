"""A run's weights as something that finds texts in recordings: `asrlab align`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asr_lab.commands.load import load
from asr_lab.errors import LabError
from asr_lab.runs.directory import RunDirectory

if TYPE_CHECKING:
    from asr_lab.recognition.alignment import Aligner


def aligner_of(run: RunDirectory, checkpoint: str) -> Aligner:
    """The aligner of a run, with its training texts' normalising; LabError naming the run where it has no CTC."""
    from asr_lab.recognition.alignment import Aligner
    from asr_lab.text.normalizer import Normalizer

    trained = load(run.path, checkpoint=checkpoint)
    recipe, loaded = trained.recipe, trained.loaded
    if all(decoder.tag() != "ctc" for decoder in recipe.decoder):
        kinds = ", ".join(decoder.tag() for decoder in recipe.decoder)
        raise LabError(f"{run.name} has no CTC decoder (have: {kinds}), and forced alignment needs one")
    return Aligner(
        loaded.model,
        loaded.features,
        loaded.vocabulary,
        Normalizer(recipe.text.steps),
        sample_rate=loaded.sample_rate,
        device=trained.device,
    )
