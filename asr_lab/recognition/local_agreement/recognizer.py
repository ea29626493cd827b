"""Live streams decoded with an attention decoder: the newest audio again and again, and what agrees is final.

Local agreement (LocalAgreement-n) of Liu et al. (Interspeech 2020, 2005.11185) over a bounded buffer, as Macháček et
al. (IJCNLP-AACL 2023, 2307.14743) do for Whisper.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import attrs
from torch import Tensor

from asr_lab.models.decode_options import DecodeOptions
from asr_lab.recognition.live import LoadedModel
from asr_lab.recognition.live_words import StreamUpdate, TimesFrom
from asr_lab.recognition.local_agreement.buffer import Buffer
from asr_lab.recognition.local_agreement.decoder import OpenedDecoder
from asr_lab.recognition.timed_word import TimedWord
from asr_lab.streaming import WHOLE, Context, Frames, Streamable
from asr_lab.streaming.session import Output, Sessions
from asr_lab.units import ms_to_samples, s_to_samples

STEP_MS = 1000.0
"""How often a stream is decoded by default, as in whisper_streaming."""
MAX_BUFFER_S = 15.0
"""The longest audio that is decoded at once by default, as in whisper_streaming."""
MAX_BATCH_S = 240.0
"""Padded seconds of audio that are encoded at once."""


class AgreementRecognizer:
    """Many live streams decoded by a model's attention decoder, by local agreement.

    Used as `LiveRecognizer` is. Every `step_ms` of a stream its newest audio, up to `max_buffer_s`, is encoded as a
    whole and decoded afresh, after the final words in it; words that the last `agreeing` texts have in common are final
    (see `Buffer`). Steps lie at multiples of `step_ms` of the stream's own audio, however it is pushed; each stream is
    decoded as if it were alone. Features that need whole utterances (`floor` or `level` = `utterance`) are computed
    over the buffer. A stream is one segment.

    The text is what the model makes of stretches of audio that begin and end anywhere: one that was trained on whole
    sentences alone, or on shorter audio than `max_buffer_s`, makes less of them. Where a word lies is read from a CTC
    decoder's alignment of the newest text, or else from the attention decoder's weights, or else from its share of
    the text; updates say which.

    ValueError when the model has no attention decoder, when `decode` asks for another, when a step is not a whole
    number of samples, or two of them do not fit the buffer. Calls for one stream raise ValueError as `Sessions` does.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        decode: DecodeOptions | None = None,
        step_ms: float = STEP_MS,
        max_buffer_s: float = MAX_BUFFER_S,
        agreeing: int = 2,
        max_streams: int = 64,
    ) -> None:
        if agreeing < 1:
            raise ValueError(f"agreeing must be at least 1, got {agreeing}")
        self._decoder = OpenedDecoder(loaded, decode or DecodeOptions())
        self.vocabulary, self.sample_rate = loaded.vocabulary, loaded.sample_rate
        self.step_ms, self.max_buffer_s, self.agreeing = step_ms, max_buffer_s, agreeing
        self._step_samples = ms_to_samples(step_ms, self.sample_rate)
        self._max_samples = s_to_samples(max_buffer_s, self.sample_rate)
        if self._max_samples < 2 * self._step_samples:
            raise ValueError(f"a buffer of {max_buffer_s:g} s does not hold two steps of {step_ms:g} ms")
        waiting = _Steps(self._step_samples, next(self._decoder.model.parameters()))
        self._sessions = Sessions(waiting, WHOLE, max_streams, max_hops=1)
        self._streams: dict[int, _AgreeingStream] = {}
        self._decoded_samples = self._encoded_samples = 0

    @property
    def algorithmic_delay_ms(self) -> float:
        """How long a sample waits at most to be decoded, were computing free; words become final in later steps."""
        return self.step_ms

    @property
    def state_bytes(self) -> int:
        """Memory of one stream's audio where its buffer is full; nothing else of size is carried."""
        return self._max_samples * 4

    @property
    def reencoded_s_per_s(self) -> float:
        """Seconds that were encoded per second of audio decoded so far, all streams together; 0 before the first."""
        return self._encoded_samples / max(1, self._decoded_samples)

    def open(self) -> int:
        """A new stream's number; numbers are never used again."""
        stream = self._sessions.open()
        buffer = Buffer(self.vocabulary, self.sample_rate, self._step_samples, self._max_samples, self.agreeing)
        self._streams[stream] = _AgreeingStream(buffer)
        return stream

    def push(self, stream: int, samples: Tensor) -> None:
        """Give a stream its next samples (S,) at `sample_rate`, full scale 1; they are copied."""
        self._sessions.push(stream, samples)

    def finish(self, stream: int) -> None:
        """Say that a stream's input is over; its last update comes from `step`, which then forgets it."""
        self._sessions.finish(stream)

    def close(self, stream: int) -> None:
        """Forget a stream at once."""
        self._sessions.close(stream)
        del self._streams[stream]

    def step(self) -> list[StreamUpdate]:
        """Decode the next step of every stream that is due: an update for each, or an empty list when none is."""
        outputs = self._sessions.step()
        for number, output in outputs.items():
            self._streams[number].buffer.add(output.frames)
        final = self._decode([number for number, output in outputs.items() if len(output.frames)])
        return [self._update(number, output, final.get(number, [])) for number, output in outputs.items()]

    def _decode(self, numbers: Sequence[int]) -> dict[int, list[TimedWord]]:
        """Decode these streams' buffers: the words of each that become final."""
        final = {}
        at_once = max(1, int(MAX_BATCH_S / self.max_buffer_s))
        for start in range(0, len(numbers), at_once):
            batch = numbers[start : start + at_once]
            streams = [self._streams[number] for number in batch]
            audio = [stream.buffer.audio for stream in streams]
            readings = self._decoder.decode(audio, [stream.buffer.opening for stream in streams])
            for number, stream, reading in zip(batch, streams, readings, strict=True):
                self._encoded_samples += len(stream.buffer.audio)
                stream.times_from = reading.times_from
                stream.full = len(reading.tokens) >= self._decoder.max_tokens
                final[number] = stream.buffer.take(reading)
        return final

    def _update(self, number: int, output: Output, words: list[TimedWord]) -> StreamUpdate:
        stream = self._streams[number]
        self._decoded_samples += len(output.frames)
        if output.final:
            words += stream.buffer.finish()
            del self._streams[number]
        else:
            words += stream.buffer.make_room(stream.full)
        interim = " ".join(word.text for word in stream.buffer.interim)
        end_s = stream.buffer.end_s
        return StreamUpdate(number, tuple(words), interim, output.final, output.final, end_s, stream.times_from)


@attrs.define
class _AgreeingStream:
    """What is carried of one stream."""

    buffer: Buffer
    times_from: TimesFrom = "proportion"
    full: bool = False
    """The newest text is as long as one can be."""


class _Nothing(NamedTuple):
    pass


class _Steps(Streamable[_Nothing]):
    """Samples as they are, `step_samples` at a time."""

    def __init__(self, step_samples: int, like: Tensor) -> None:
        super().__init__()
        self.step_samples = step_samples
        self.register_buffer("like", like.new_zeros(()))

    def hop_frames(self, context: Context) -> int:
        return self.step_samples

    def initial_state(self, batch: int, context: Context) -> _Nothing:
        return _Nothing()

    def forward(self, state: _Nothing, chunk: Frames, context: Context) -> tuple[_Nothing, Frames]:
        return state, chunk
