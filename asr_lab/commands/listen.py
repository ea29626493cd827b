"""A run's weights as something that hears live: `asrlab transcribe --stream`, `asrlab serve`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from asr_lab.commands.evaluate import evaluation_document
from asr_lab.errors import RunError
from asr_lab.models.decode_options import TWO_PASSES
from asr_lab.runs.directory import RunDirectory

if TYPE_CHECKING:
    from asr_lab.compiler.build import Loaded
    from asr_lab.models.decode_options import DecodeOptions
    from asr_lab.recipe import Recipe
    from asr_lab.recognition.live import LiveRecognizer
    from asr_lab.recognition.local_agreement.recognizer import AgreementRecognizer


class StreamingRun(NamedTuple):
    """A run that hears live, and what to know of it."""

    recognizer: LiveRecognizer | AgreementRecognizer
    sample_rate: int
    chunk_ms: float | None
    """Audio that is heard at once; None where the model needs no chunks."""
    notes: tuple[str, ...]
    """What it is heard in, and what speaks against that."""


def listener_of(
    run: RunDirectory,
    checkpoint: str,
    overrides: Sequence[str] = (),
    chunk_ms: float | None = None,
    max_streams: int = 1,
) -> StreamingRun:
    """A run's model in chunks of `chunk_ms` (None: the shortest that it was trained for); on a GPU where there is one.

    Without `chunk_ms`, a model that CTC cannot hear live is heard by local agreement where it has an attention decoder.
    RunError when the model cannot be heard live, saying why.
    """
    import torch

    from asr_lab.compiler.build import load_model
    from asr_lab.recognition.live import Endpointing, LiveRecognizer, live_context
    from asr_lab.units import frames_to_s

    recipe = evaluation_document(run, (), overrides).value
    loaded = load_model(recipe, run.path, checkpoint)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    loaded.model.to(device)
    loaded.features.to(device)
    frame_ms = recipe.features.frame_ms
    try:
        context = live_context(loaded.model, frame_ms, chunk_ms)
        recognizer = LiveRecognizer(loaded, context, _first_pass(recipe.decode.build()), Endpointing(), max_streams)
    except ValueError as error:
        if chunk_ms is None and (agreeing := _by_agreement(loaded, recipe, str(error), max_streams)):
            return agreeing
        whole = "; it was trained on whole utterances alone, and chunks can be tried with --chunk-ms"
        hint = whole if chunk_ms is None and all(c.is_whole for c, _ in loaded.model.contexts) else ""
        raise RunError(f"{run.name} cannot be heard live: {error}{hint}") from error
    frames = context.chunk_frames
    heard_ms = None if frames is None else 1000 * frames_to_s(frames, frame_ms)
    heard_in = "no chunks" if heard_ms is None else f"chunks of {heard_ms:g} ms"
    notes = [f"{heard_in}, algorithmic delay {recognizer.algorithmic_delay_ms:g} ms"]
    if context not in [trained for trained, _ in loaded.model.contexts]:
        notes.append(f"the model was not trained in {heard_in}")
    return StreamingRun(recognizer, recipe.features.sample_rate, heard_ms, tuple(notes))


def _first_pass(decode: DecodeOptions) -> DecodeOptions:
    """The decoder that is heard while one speaks: a second pass over the whole utterance comes too late."""
    passes = TWO_PASSES.get(decode.decoder)
    return decode.by(passes[0]) if passes else decode


def _by_agreement(loaded: Loaded, recipe: Recipe, why: str, max_streams: int) -> StreamingRun | None:
    """The model's attention decoder, heard again and again; None where it has none or is not to be used."""
    from asr_lab.recognition.local_agreement.recognizer import AgreementRecognizer

    try:
        decode = recipe.decode.build()
        decode = decode.by("attention") if decode.decoder in TWO_PASSES else decode
        recognizer = AgreementRecognizer(loaded, decode, max_streams=max_streams)
    except ValueError:
        return None
    about = (
        f"local agreement: every {recognizer.step_ms:g} ms, up to {recognizer.max_buffer_s:g} s of audio are heard anew"
    )
    notes = (about, f"not by CTC: {why}")
    return StreamingRun(recognizer, recipe.features.sample_rate, recognizer.step_ms, notes)
