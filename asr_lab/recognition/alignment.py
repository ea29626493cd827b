"""Where in a recording the words of a known text are, by a model's CTC decoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import torch
from torch import Tensor

from asr_lab.audio.reading import Channel, read_audio
from asr_lab.errors import DataError, LabError
from asr_lab.models.model import SpeechModel
from asr_lab.nn.ctc.alignment import WordSpan, align, required_frames
from asr_lab.nn.ctc.head import CTCHead
from asr_lab.recognition.timed_word import TimedWord
from asr_lab.recognition.transcribe_set import evaluating, evaluation_context
from asr_lab.streaming import WHOLE, Context, Frames, Streamable, run_whole
from asr_lab.text.normalizer import Normalizer
from asr_lab.text.vocabulary import UnspellableError, Vocabulary
from asr_lab.units import frames_to_s, sample_ms

MAX_CELLS = 1 << 30
"""Frames times states of an alignment; a byte of memory each."""


@attrs.frozen
class AlignedText:
    """A text in its place."""

    text: str
    """As it was spelled: normalised as the model's training texts were."""
    words: tuple[TimedWord, ...]
    mean_log_prob: float
    """Natural logarithm of the alignment's probability, per frame: far below 0 where the text is another one."""


class CTCReading(NamedTuple):
    """A model's CTC decoder and how to read it."""

    place: int
    """Its number among the model's decoders."""
    head: CTCHead
    frame_ms: Fraction
    """How long one of its frames lasts."""

    def log_probs(self, model: SpeechModel, features: Frames, context: Context) -> Tensor:
        """Log-probabilities of the tokens (T, V) in the features of one utterance."""
        encoded = model.encode(features, context)[self.place]
        return self.head.log_probs(encoded)[0, : int(encoded.lengths[0])]

    def seconds(self, spans: Sequence[WordSpan], start_s: float, end_s: float) -> Iterator[TimedWord]:
        """Words in frames, by the clock of audio that ends at `end_s` and whose frame 0 begins at `start_s`."""
        for span in spans:
            first, last = (frames_to_s(f, self.frame_ms) for f in (span.first_frame, span.last_frame + 1))
            yield TimedWord.within(end_s, span.text, start_s + first, start_s + last, span.confidence)


def ctc_reading(model: SpeechModel, frame_ms: Fraction) -> CTCReading | None:
    """The model's CTC decoder, None where it has none; features have a frame every `frame_ms`."""
    index = model.head_by_kind.get("ctc")
    if index is None or not isinstance(head := model.heads[index], CTCHead):
        return None
    for part in list(model.encoder)[: model.taps[index]]:
        frame_ms /= part.ratio
    return CTCReading(index, head, frame_ms)


class Aligner:
    """A model that finds the words of known texts; it is used in its widest context.

    LabError where the model has no CTC decoder.
    """

    def __init__(
        self,
        model: SpeechModel,
        features: Streamable[Any],
        vocabulary: Vocabulary,
        normalizer: Normalizer,
        *,
        sample_rate: int,
        device: torch.device | str = "cpu",
    ) -> None:
        reading = ctc_reading(model, sample_ms(sample_rate) / features.ratio)
        if reading is None:
            kinds = ", ".join(str(head.kind) for head in model.heads)
            raise LabError(f"forced alignment needs a CTC decoder, and the model has none (have: {kinds})")
        self.reading = reading
        self.model, self.features = model.to(device), features.to(device)
        self.vocabulary, self.normalizer = vocabulary, normalizer
        self.sample_rate, self.device = sample_rate, device
        self.context = evaluation_context(model)

    def file(
        self,
        path: str | Path,
        text: str,
        start_s: float = 0.0,
        duration_s: float | None = None,
        channel: Channel = None,
    ) -> AlignedText:
        """The words of a text in a recording, or in a stretch of it; times count from the recording's start.

        DataError naming the file, where it cannot be read, or the text cannot be aligned.
        """
        audio = read_audio(path, self.sample_rate, start_s, duration_s, channel)
        try:
            return self.audio(torch.from_numpy(audio), text, start_s)
        except DataError as error:
            raise DataError(f"{path}: {error}") from error

    @torch.no_grad()
    def audio(self, samples: Tensor, text: str, start_s: float = 0.0) -> AlignedText:
        """The words of a text in samples (S,) that begin at `start_s` of what the times count in.

        DataError for a text without words, one that cannot be spelled, and one with more tokens than there are frames.
        """
        text = self.normalizer(text)
        tokens = self._spell(text)
        with evaluating(self.model):
            features = run_whole(self.features, Frames.whole(samples[None].to(self.device)), WHOLE)
            log_probs = self.reading.log_probs(self.model, features, self.context)
        self._check(len(log_probs), tokens)
        alignment = align(log_probs, tokens, self.reading.head.blank)
        end_s = start_s + len(samples) / self.sample_rate
        words = self.reading.seconds(alignment.words(self.vocabulary.words(tokens)), start_s, end_s)
        return AlignedText(text, tuple(words), alignment.score / len(log_probs))

    def _spell(self, text: str) -> list[int]:
        if not text:
            raise DataError(f"the text has no words left to align after {self.normalizer.name}")
        try:
            return self.vocabulary.encode(text)
        except UnspellableError as error:
            raise DataError(str(error)) from error

    def _check(self, num_frames: int, tokens: Sequence[int]) -> None:
        if (needed := required_frames(tokens)) > num_frames:
            raise DataError(
                f"{num_frames} frames of {float(self.reading.frame_ms):g} ms cannot spell {len(tokens)} tokens, "
                f"which take {needed}: the recording is too short for its text"
            )
        if num_frames * (2 * len(tokens) + 1) > MAX_CELLS:
            raise DataError(f"{num_frames} frames and {len(tokens)} tokens are too many to align at once; cut them")


def ctm_lines(name: str, words: Sequence[TimedWord], channel: int = 1) -> Iterator[str]:
    """Words as NIST's time-marked conversation format has them: `file channel start duration word confidence`.

    Seconds; channels count from 1. White space separates the fields, so in the name it becomes `_`.
    """
    name = "_".join(name.split())
    for w in words:
        yield f"{name} {channel} {w.start_s:.3f} {w.end_s - w.start_s:.3f} {w.text} {w.confidence:.4f}"
