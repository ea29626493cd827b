"""A run's weights as a streaming recogniser: `asrlab transcribe --stream`, `asrlab serve`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from asr_lab.commands.load import load
from asr_lab.errors import RunError
from asr_lab.models.decode_options import TWO_PASSES
from asr_lab.runs.directory import RunDirectory

if TYPE_CHECKING:
    from asr_lab.commands.load import TrainedModel
    from asr_lab.models.decode_options import DecodeOptions
    from asr_lab.recognition.live import LiveRecognizer
    from asr_lab.recognition.local_agreement.recognizer import AgreementRecognizer


class StreamingRun(NamedTuple):
    """A run's recogniser for streams, and what to know of it."""

    recognizer: LiveRecognizer | AgreementRecognizer
    sample_rate: int
    chunk_ms: float | None
    """Audio that is decoded at once; None where the model needs no chunks."""
    notes: tuple[str, ...]
    """What it is decoded in, and what to know about that."""


def streaming_run_of(
    run: RunDirectory,
    checkpoint: str,
    overrides: Sequence[str] = (),
    chunk_ms: float | None = None,
    max_streams: int = 1,
) -> StreamingRun:
    """A run's model in chunks of `chunk_ms` (None: the shortest that it was trained for); on a GPU where there is one.

    Without `chunk_ms`, a model that cannot stream by CTC does by local agreement where it has an attention decoder.
    RunError when the model cannot stream, saying why.
    """
    return streaming_run(load(run.path, checkpoint=checkpoint, overrides=overrides), chunk_ms, max_streams)


def streaming_run(
    trained: TrainedModel, chunk_ms: float | None = None, max_streams: int = 1, chunk_option: str = "--chunk-ms"
) -> StreamingRun:
    """A trained model in chunks, as `streaming_run_of` has it; an error names what chooses them as `chunk_option`."""
    from asr_lab.recognition.live import Endpointing, LiveRecognizer, live_context
    from asr_lab.units import frames_to_ms

    loaded, frame_ms = trained.loaded, trained.recipe.features.frame_ms
    try:
        context = live_context(loaded.model, frame_ms, chunk_ms)
        recognizer = LiveRecognizer(loaded, context, _first_pass(trained.decode), Endpointing(), max_streams)
    except ValueError as error:
        if chunk_ms is None and (agreeing := _by_agreement(trained, str(error), max_streams)):
            return agreeing
        whole = f"; it was trained on whole utterances alone, and chunks can be tried with {chunk_option}"
        hint = whole if chunk_ms is None and all(c.is_whole for c, _ in loaded.model.contexts) else ""
        raise RunError(f"{trained.name} cannot stream: {error}{hint}") from error
    frames = context.chunk_frames
    chunk_ms = None if frames is None else frames_to_ms(frames, frame_ms)
    context_text = "no chunks" if chunk_ms is None else f"chunks of {chunk_ms:g} ms"
    notes = [f"{context_text}, algorithmic delay {recognizer.algorithmic_delay_ms:g} ms"]
    if context not in [known for known, _ in loaded.model.contexts]:
        notes.append(f"the model was not trained in {context_text}")
    return StreamingRun(recognizer, trained.sample_rate, chunk_ms, (*notes, *_format_notes(trained)))


def _first_pass(decode: DecodeOptions) -> DecodeOptions:
    """The decoder of a stream: a second pass over the whole utterance comes too late."""
    passes = TWO_PASSES.get(decode.decoder)
    return decode.by(passes[0]) if passes else decode


def _by_agreement(trained: TrainedModel, why: str, max_streams: int) -> StreamingRun | None:
    """The model's attention decoder, applied again and again; None where it has none or is not to be used."""
    from asr_lab.recognition.local_agreement.recognizer import AgreementRecognizer

    try:
        decode = trained.decode
        decode = decode.by("attention") if decode.decoder in TWO_PASSES else decode
        recognizer = AgreementRecognizer(trained.loaded, decode, max_streams=max_streams)
    except ValueError:
        return None
    every, longest = f"every {recognizer.step_ms:g} ms", f"up to {recognizer.max_buffer_s:g} s of audio"
    notes = (f"local agreement: {every}, {longest} are decoded anew", f"not by CTC: {why}")
    return StreamingRun(recognizer, trained.sample_rate, recognizer.step_ms, (*notes, *_format_notes(trained)))


def _format_notes(trained: TrainedModel) -> tuple[str, ...]:
    wanted = trained.recipe.decode.precision
    return () if wanted == "fp32" else (f'decoded in fp32: decode.precision = "{wanted}" is for whole recordings',)
