"""A run's weights as something that hears files, `asrlab transcribe`, or finds texts in them, `asrlab align`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from asr_lab.commands.evaluate import evaluation_document
from asr_lab.runs.directory import RunDirectory

if TYPE_CHECKING:
    from asr_lab.recognition.alignment import Aligner
    from asr_lab.recognition.recognizer import Recognizer


def recognizer_of(run: RunDirectory, checkpoint: str, overrides: Sequence[str] = ()) -> Recognizer:
    """The recognizer of a run, decoding as its recipe says unless overridden; on a GPU where there is one."""
    import torch

    from asr_lab.compiler.build import load_model
    from asr_lab.recognition.recognizer import Recognizer

    recipe = evaluation_document(run, (), overrides).value
    loaded = load_model(recipe, run.path, checkpoint)
    return Recognizer(
        loaded.model,
        loaded.features,
        loaded.vocabulary,
        sample_rate=recipe.features.sample_rate,
        frame_ms=recipe.features.frame_ms,
        decode=recipe.decode.build(),
        device="cuda" if torch.cuda.is_available() else "cpu",
    )


def aligner_of(run: RunDirectory, checkpoint: str) -> Aligner:
    """The aligner of a run, with its training texts' normalising; LabError naming the run where it has no CTC."""
    import torch

    from asr_lab.compiler.build import load_model
    from asr_lab.errors import LabError
    from asr_lab.recognition.alignment import Aligner
    from asr_lab.text.normalizer import Normalizer

    recipe = evaluation_document(run, (), ()).value
    if all(decoder.tag() != "ctc" for decoder in recipe.decoder):
        kinds = ", ".join(decoder.tag() for decoder in recipe.decoder)
        raise LabError(f"{run.name} has no CTC decoder (have: {kinds}), and forced alignment needs one")
    loaded = load_model(recipe, run.path, checkpoint)
    return Aligner(
        loaded.model,
        loaded.features,
        loaded.vocabulary,
        Normalizer(recipe.text.steps),
        sample_rate=recipe.features.sample_rate,
        device="cuda" if torch.cuda.is_available() else "cpu",
    )
