"""A run's weights as something that hears files: `asrlab transcribe`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.evaluating import evaluation_document

if TYPE_CHECKING:
    from asr_lab.evaluation.recognize import Recognizer


def recognizer_of(run: RunDirectory, checkpoint: str, overrides: Sequence[str] = ()) -> Recognizer:
    """The recognizer of a run, decoding as its recipe says unless overridden; on a GPU where there is one."""
    import torch

    from asr_lab.compiler.build import load_model
    from asr_lab.evaluation.recognize import Recognizer

    recipe = evaluation_document(run, (), overrides).value
    loaded = load_model(recipe, run.path, checkpoint)
    return Recognizer(
        loaded.model,
        loaded.features,
        loaded.vocabulary,
        sample_rate=recipe.features.sample_rate,
        frame_ms=recipe.features.frame_ms,
        decode=recipe.decode,
        device="cuda" if torch.cuda.is_available() else "cpu",
    )
