"""A run's weights as something that many clients can talk to at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from asr_lab.compiler.build import load_model
from asr_lab.errors import RunError
from asr_lab.evaluation.live import Endpointing, LiveRecognizer, live_context
from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.evaluating import evaluation_document
from asr_lab.serving.app import About
from asr_lab.units import frames_to_s, ms_to_samples

UNCHUNKED_MS = 320.0
"""How much is heard at once where the model needs no chunks."""


class Served(NamedTuple):
    """What is served: the recogniser, how much it takes at once, and what is said of it."""

    recognizer: LiveRecognizer
    turn_samples: int
    about: About


def served_run(
    run: RunDirectory, checkpoint: str, overrides: Sequence[str], chunk_ms: float | None, max_streams: int
) -> Served:
    """A run's model in chunks of `chunk_ms` (None: the shortest that it was trained for); on a GPU where there is one.

    RunError when the model cannot be heard live, saying why.
    """
    recipe = evaluation_document(run, (), overrides).value
    loaded = load_model(recipe, run.path, checkpoint)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    loaded.model.to(device)
    loaded.features.to(device)
    frame_ms = recipe.features.frame_ms
    try:
        context = live_context(loaded.model, frame_ms, chunk_ms)
        recognizer = LiveRecognizer(loaded, context, recipe.decode, Endpointing(), max_streams)
    except ValueError as error:
        raise RunError(f"{run.name} cannot be served: {error}") from error
    # A stack that sees nothing ahead can be cut anywhere, although it was trained on whole utterances.
    frames = context.chunk_frames
    heard_ms = UNCHUNKED_MS if frames is None else 1000 * frames_to_s(frames, frame_ms)
    trained = context in [c for c, _ in loaded.model.contexts]
    about = About(
        run.name,
        loaded.checkpoint.name,
        recipe.features.sample_rate,
        heard_ms,
        recognizer.algorithmic_delay_ms,
        "" if trained else "The model was not trained in chunks of this length",
    )
    return Served(recognizer, ms_to_samples(heard_ms, recipe.features.sample_rate), about)
