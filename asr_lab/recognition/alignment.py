"""Where in a recording the words of a known text are, by a model's CTC decoder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import torch
from torch import Tensor

from asr_lab.audio.reading import AudioError, Channel
from asr_lab.errors import DataError, LabError
from asr_lab.models.model import SpeechModel
from asr_lab.nn.ctc.alignment import WordSpan, align_stored, required_frames
from asr_lab.nn.ctc.emission_store import EmissionStore
from asr_lab.nn.ctc.head import CTCHead
from asr_lab.nn.ctc.viterbi import TooLongError
from asr_lab.recognition.audio_blocks import audio_blocks, cut_blocks
from asr_lab.recognition.emissions import Emissions
from asr_lab.recognition.timed_word import TimedWord
from asr_lab.recognition.transcribe_set import evaluating, evaluation_context
from asr_lab.streaming import Context, Frames, Streamable
from asr_lab.text.normalizer import Normalizer
from asr_lab.text.vocabulary import UnspellableError, Vocabulary
from asr_lab.units import frames_to_s, sample_ms


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
        self._emissions = Emissions(model, features, reading.place, self.context, sample_rate, device)

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
        try:
            return self._aligned(audio_blocks(path, self.sample_rate, start_s, duration_s, channel), text, start_s)
        except AudioError:
            raise
        except DataError as error:
            raise DataError(f"{path}: {error}") from error

    def audio(self, samples: Tensor, text: str, start_s: float = 0.0) -> AlignedText:
        """The words of a text in samples (S,) that begin at `start_s` of what the times count in.

        DataError for a text without words, one that cannot be spelled, and one with more tokens than there are frames.
        """
        return self._aligned(cut_blocks(samples, self.sample_rate), text, start_s)

    @torch.no_grad()
    def _aligned(self, blocks: Iterable[Tensor], text: str, start_s: float) -> AlignedText:
        text = self.normalizer(text)
        tokens = self._spell(text)
        blank = self.reading.head.blank
        num_samples = 0

        def counted() -> Iterator[Tensor]:
            nonlocal num_samples
            for block in blocks:
                num_samples += len(block)
                yield block

        with evaluating(self.model), EmissionStore([*tokens, blank]) as store:
            for log_probs in self._emissions.pieces(counted()):
                store.add(log_probs)
            self._check(store.num_frames, tokens)
            try:
                alignment = align_stored(store, tokens, blank)
            except TooLongError as error:
                raise DataError(f"{error}; cut the recording and its text") from error
        end_s = start_s + num_samples / self.sample_rate
        words = self.reading.seconds(alignment.words(self.vocabulary.words(tokens)), start_s, end_s)
        return AlignedText(text, tuple(words), alignment.score / len(alignment.path))

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


def ctm_lines(name: str, words: Sequence[TimedWord], channel: int = 1) -> Iterator[str]:
    """Words as NIST's time-marked conversation format has them: `file channel start duration word confidence`.

    Seconds; channels count from 1. White space separates the fields, so in the name it becomes `_`.
    """
    name = "_".join(name.split())
    for w in words:
        yield f"{name} {channel} {w.start_s:.3f} {w.end_s - w.start_s:.3f} {w.text} {w.confidence:.4f}"
