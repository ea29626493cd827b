"""Many live streams decoded at once with CTC: final words as they come, and interim ones that may still change."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Protocol

import attrs
import torch
from torch import Tensor

from asr_lab.models.decode_options import DecodeOptions
from asr_lab.models.model import SpeechModel
from asr_lab.nn.ctc.head import CTCHead, CTCSearch
from asr_lab.nn.decoder import SearchOptions
from asr_lab.recognition.live_words import Endpointing, LiveSegment, StreamUpdate
from asr_lab.recognition.transcribe_set import evaluation_context
from asr_lab.streaming import Chain, Context, Frames, Streamable
from asr_lab.streaming.rows import num_bytes
from asr_lab.streaming.session import MAX_HOPS, Sessions
from asr_lab.text.vocabulary import Vocabulary
from asr_lab.units import ms_to_frames, sample_ms, samples_to_ms, samples_to_s

__all__ = ["Endpointing", "LiveRecognizer", "LoadedModel", "StreamUpdate", "live_context"]

DEFAULT_LEFT_MS = 5600
"""The past that a chunk sees where the model was never trained with a limited one."""


class LoadedModel(Protocol):
    """A trained model with what turns waveforms and tokens into its terms: `asr_lab.compiler.build.Loaded` is one."""

    @property
    def model(self) -> SpeechModel: ...
    @property
    def features(self) -> Streamable[Any]: ...
    @property
    def vocabulary(self) -> Vocabulary: ...
    @property
    def sample_rate(self) -> int: ...


class LiveRecognizer:
    """Many live streams decoded in one batch by a model's encoder, up to where its CTC decoder reads, and CTC search.

    `open` a stream, `push` samples (S,) at the model's rate as they come, `finish` it; `step` as long as it gives
    updates. Each stream is decoded as if it were alone, and, whatever the sizes of what is pushed, the same audio
    gives the same words at the same places. A word is final once a final space or word follows it, or its segment ends.

    With `endpointing`, a stream is cut into segments. At a segment's end all of the stream's state starts afresh: the
    features' window and running level, the stem's and every block's past, the search, and where chunks begin. So a
    segment is decoded as if its stretch of samples were a recording of its own; nothing passes from one to the next but
    the time, and no sample is left out. Chunks are then decoded one by one even where more are waiting.

    ValueError when the model has no CTC decoder, when `decode` asks for another, or when features or encoder cannot be
    cut in this context (naming the part and why). Calls for one stream raise ValueError as those of `Sessions` do.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        context: Context,
        decode: DecodeOptions | None = None,
        endpointing: Endpointing | None = None,
        max_streams: int = 64,
    ) -> None:
        decode = decode or DecodeOptions()
        tap, head = _ctc(loaded.model, decode)
        self.vocabulary, self.sample_rate = loaded.vocabulary, loaded.sample_rate
        self.endpointing = endpointing
        self.context = context
        chain = Chain([loaded.features, *list(loaded.model.encoder)[:tap]])
        self.frame_ms = sample_ms(self.sample_rate) / chain.ratio
        try:
            in_samples = context.after(1 / loaded.features.ratio)
            # A segment's end must depend on its words, not on how much was waiting.
            hops = MAX_HOPS if endpointing is None else 1
            self._sessions = Sessions(chain, in_samples, max_streams, max_hops=hops)
        except ValueError as error:
            raise ValueError(f"in this context, {error}") from error
        self._search: CTCSearch = head.eval().begin(0, SearchOptions(beam=decode.beam))
        self._fresh = head.begin(1, SearchOptions(beam=decode.beam))
        self._streams: dict[int, _LiveStream] = {}  # in the order of the search's rows

    @property
    def algorithmic_delay_ms(self) -> float:
        """How long a sample waits at most to be decoded, were computing free: a chunk and the lookahead."""
        samples = self._sessions.hop_frames + self._sessions.lookahead_frames
        return samples_to_ms(samples, self.sample_rate)

    @property
    def state_bytes(self) -> int:
        """Memory of one stream's state, encoder and search; interim tokens come on top."""
        return self._sessions.state_bytes + num_bytes(self._fresh.tokens.state)

    def open(self) -> int:
        """A new stream's number; numbers are never used again."""
        stream = self._sessions.open()
        self._search = self._search.join(self._fresh)
        self._streams[stream] = _LiveStream(self._segment(0.0))
        return stream

    def push(self, stream: int, samples: Tensor) -> None:
        """Give a stream its next samples (S,) at `sample_rate`, full scale 1; they are copied."""
        self._sessions.push(stream, samples)
        self._streams[stream].num_samples += len(samples)

    def finish(self, stream: int) -> None:
        """Say that a stream's input is over; its last update comes from `step`, which then forgets it."""
        self._sessions.finish(stream)

    def close(self, stream: int) -> None:
        """Forget a stream at once."""
        self._sessions.close(stream)
        self._forget([stream])

    @torch.inference_mode()
    def step(self) -> list[StreamUpdate]:
        """Decode the next of every stream that is due: an update for each, or an empty list when none is."""
        outputs = self._sessions.step()
        if not outputs:
            return []
        self._decode({stream: output.frames for stream, output in outputs.items()})
        ended = [s for s, output in outputs.items() if output.final or self._is_over(self._streams[s].segment)]
        going = [s for s in ended if not outputs[s].final]
        decoded_s = {stream: self._decoded_s(stream, output.final) for stream, output in outputs.items()}
        self._decode({stream: self._sessions.reset(stream) for stream in going}, ended)
        updates = []
        for number, output in outputs.items():
            segment = self._streams[number].segment
            over = number in ended
            words = segment.finalise(decoded_s[number] if over else None)
            updates.append(StreamUpdate(number, words, segment.interim, over, output.final, decoded_s[number]))
        for stream in going:
            self._streams[stream].segment = self._segment(decoded_s[stream])
        rows = self._rows()
        self._search.reset([rows[stream] for stream in going])
        self._forget([stream for stream, output in outputs.items() if output.final])
        return updates

    def _decode(self, frames: Mapping[int, Tensor], ended: Sequence[int] = ()) -> None:
        """Go on with the search in these streams' frames, (T, D) each; all tokens of those that end become final."""
        rows = self._rows()
        if longest := max((len(x) for x in frames.values()), default=0):
            like = next(iter(frames.values()))
            x = like.new_zeros(len(rows), longest, like.shape[1])
            lengths = torch.zeros(len(rows), dtype=torch.int64, device=x.device)
            for stream, found in frames.items():
                x[rows[stream], : len(found)] = found
                lengths[rows[stream]] = len(found)
            self._search.push(Frames(x, lengths, torch.zeros_like(lengths, dtype=torch.bool)))
        self._search.finish([rows[stream] for stream in ended])
        final, interim = self._search.drain(), self._search.interim()
        for stream in {**frames, **dict.fromkeys(ended)}:
            num_frames = len(frames[stream]) if stream in frames else 0
            self._streams[stream].segment.push(num_frames, final[rows[stream]], interim[rows[stream]])

    def _is_over(self, segment: LiveSegment) -> bool:
        limits = self.endpointing
        return limits is not None and (
            segment.duration_s >= limits.max_segment_s or segment.silence_s >= limits.silence_s
        )

    def _decoded_s(self, stream: int, final: bool) -> float:
        waiting = 0 if final else self._sessions.buffered_frames(stream)
        return samples_to_s(self._streams[stream].num_samples - waiting, self.sample_rate)

    def _segment(self, start_s: float) -> LiveSegment:
        return LiveSegment(self.vocabulary, self.frame_ms, start_s)

    def _rows(self) -> dict[int, int]:
        return {stream: row for row, stream in enumerate(self._streams)}

    def _forget(self, streams: Iterable[int]) -> None:
        gone = set(streams)
        if gone:
            self._search = self._search.take([row for row, s in enumerate(self._streams) if s not in gone])
            self._streams = {number: stream for number, stream in self._streams.items() if number not in gone}


@attrs.define
class _LiveStream:
    """What is known of one stream besides its states."""

    segment: LiveSegment
    num_samples: int = 0
    """Samples that were pushed."""


def live_context(model: SpeechModel, frame_ms: Fraction, chunk_ms: float | None = None) -> Context:
    """The context, in feature frames of `frame_ms`, to stream in.

    Chunks of `chunk_ms` with the past they were trained with, or else with the longest that any chunk was trained with
    (`DEFAULT_LEFT_MS` where none is limited). Without `chunk_ms`: the shortest chunk that the model is trained for.
    ValueError when `chunk_ms` is not above 0, or not a whole number of frames.
    """
    limited = [c for c, _ in model.contexts if c.chunk_frames is not None and c.left_frames is not None]
    if chunk_ms is None:
        return min(limited, key=lambda c: c.chunk_frames or 0, default=evaluation_context(model))
    if not 0 < chunk_ms < math.inf:
        raise ValueError(f"a chunk lasts more than 0 ms, got {chunk_ms:g}")
    chunk = ms_to_frames(chunk_ms, frame_ms)
    trained = [c for c in limited if c.chunk_frames == chunk]
    longest = max((c.left_frames or 0 for c in trained or limited), default=ms_to_frames(DEFAULT_LEFT_MS, frame_ms))
    return Context(chunk, longest)


def _ctc(model: SpeechModel, decode: DecodeOptions) -> tuple[int, CTCHead]:
    """How many parts of the encoder the CTC decoder reads after, and the decoder."""
    instead = "attention decoders stream by local agreement (asr_lab.recognition.local_agreement.recognizer)"
    if decode.decoder not in ("auto", "ctc"):
        raise ValueError(f"decode.decoder = {decode.decoder!r} is not CTC, which this decodes with; {instead}")
    index = model.head_by_kind.get("ctc")
    if index is not None and isinstance(head := model.heads[index], CTCHead):
        return model.taps[index], head
    raise ValueError(f"the model has no CTC decoder (have: {', '.join(str(h.kind) for h in model.heads)}); {instead}")
