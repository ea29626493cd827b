"""One live stream to text: samples in as they come, final words and interim text out."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import attrs
import torch

from asr_lab.audio.resampled_stream import ResampledStream
from asr_lab.audio.waveform import Samples, as_waveform
from asr_lab.recognition.live import LiveRecognizer
from asr_lab.recognition.live_words import StreamUpdate
from asr_lab.recognition.local_agreement.recognizer import AgreementRecognizer


class TranscriptStream:
    """A live stream: `push` its samples as they come, then `finish` it. Leaving a `with` block closes it.

    Whatever the sizes of what is pushed, the same audio gives the same final words. A segment ends after a pause, and
    decoding starts afresh after it, so that a stream may last for ever; memory does not grow with it.
    DataError where audio at `sample_rate` Hz cannot be resampled to the model's rate in a stream.
    """

    def __init__(
        self, recognizer: LiveRecognizer | AgreementRecognizer, sample_rate: int, notes: tuple[str, ...] = ()
    ) -> None:
        self.sample_rate = sample_rate
        """Hertz of what is pushed."""
        self.notes = notes
        """What it is decoded in, and what to know about that."""
        self.delay_ms = recognizer.algorithmic_delay_ms
        """How long a sample waits at most to be decoded, were computing free."""
        self._resampled = ResampledStream(sample_rate, recognizer.sample_rate)
        self._recognizer = recognizer
        self._number: int | None = recognizer.open()

    def push(self, samples: Samples) -> list[StreamUpdate]:
        """Take the next samples, (S,) or (S, channels), any number of them: an update for each step that they allow.

        DataError for samples that cannot be used, none of which is taken; ValueError when the stream has ended.
        """
        number = self._open()
        self._recognizer.push(number, self._resampled.push(torch.from_numpy(as_waveform(samples))))
        return self._steps()

    def finish(self) -> StreamUpdate:
        """End the stream: all words that are left, as one update. ValueError when it has ended before."""
        number = self._open()
        self._recognizer.push(number, self._resampled.finish())
        self._recognizer.finish(number)
        updates = self._steps()
        self._number = None
        assert updates[-1].stream_ended
        words = tuple(word for update in updates for word in update.words)
        return attrs.evolve(updates[-1], words=words)

    def close(self) -> None:
        """Forget the stream at once, with what was not decoded yet; a second time does nothing."""
        if self._number is not None:
            self._recognizer.close(self._number)
            self._number = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> int:
        if self._number is None:
            raise ValueError("this stream has ended; begin another one")
        return self._number

    def _steps(self) -> list[StreamUpdate]:
        found: list[StreamUpdate] = []
        while updates := self._recognizer.step():
            found += updates
        return found
