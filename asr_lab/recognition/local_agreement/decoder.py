"""Stretches of audio to text with an attention decoder that is given the text's beginning, each token in its place."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import attrs
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asr_lab.models.decode_options import DecodeOptions
from asr_lab.models.model import SpeechModel
from asr_lab.nn.attention_decoder.beam_search import Opening
from asr_lab.nn.attention_decoder.cross_alignment import align_weights
from asr_lab.nn.attention_decoder.head import AttentionDecoderHead
from asr_lab.nn.ctc.alignment import align, required_frames
from asr_lab.nn.decoder import SearchOptions, Targets
from asr_lab.recognition.alignment import ctc_reading
from asr_lab.recognition.live import LoadedModel
from asr_lab.recognition.live_words import TimesFrom
from asr_lab.recognition.transcribe_set import evaluation_context
from asr_lab.streaming import WHOLE, Frames, run_whole
from asr_lab.text.vocabulary import Vocabulary
from asr_lab.units import frames_to_s, sample_ms, samples_to_s


@attrs.frozen
class Placed:
    """A token with its place in the audio, in seconds from the audio's start."""

    token: int
    start_s: float
    end_s: float
    confidence: float
    """Its probability where the decoder gave it, 0 to 1."""


@attrs.frozen
class Reading:
    """A text that was found in a stretch of audio."""

    tokens: tuple[Placed, ...]
    times_from: TimesFrom


class OpenedDecoder:
    """A model's attention decoder over stretches of audio whose texts begin as given, in the model's widest context.

    ValueError when the model has no attention decoder, or `decode` asks for another.
    """

    def __init__(self, loaded: LoadedModel, decode: DecodeOptions) -> None:
        self.model, self.features = loaded.model.eval(), loaded.features.eval()
        self.sample_rate = loaded.sample_rate
        self.context = evaluation_context(self.model)
        self._index, self._head = _attention(self.model, decode)
        self._options = SearchOptions(decode.beam, decode.length_penalty, language=decode.language)
        frame_ms = sample_ms(self.sample_rate) / self.features.ratio
        self._ctc = ctc_reading(self.model, frame_ms)
        self._frame_ms = frame_ms
        for part in list(self.model.encoder)[: self.model.taps[self._index]]:
            self._frame_ms /= part.ratio
        self.device = self._head.embedding.weight.device
        self._follows = word_starts(loaded.vocabulary).to(self.device)

    @property
    def max_tokens(self) -> int:
        """Tokens of the longest text that it gives."""
        return self._head.max_tokens

    @torch.inference_mode()
    def decode(self, audio: Sequence[Tensor], openings: Sequence[Sequence[int]]) -> list[Reading]:
        """The text of each stretch (S,), the opening included; one that has an opening has audio.

        The last word of an opening is whole: what follows begins another.
        """
        lengths = torch.tensor([len(one) for one in audio], device=self.device)
        samples = Frames.whole(pad_sequence(list(audio), batch_first=True), lengths)
        encoded = self.model.encode(run_whole(self.features, samples, WHOLE), self.context)
        known = Targets.of(openings, self.device)
        opening = Opening(known.tokens, known.lengths, self._follows)
        found = [best.tokens for best, *_ in self._head.search(encoded[self._index], self._options, opening)]
        confidences = self._confidences(encoded[self._index], found)
        readings = []
        for row, (tokens, sure) in enumerate(zip(found, confidences, strict=True)):
            duration_s = samples_to_s(len(audio[row]), self.sample_rate)
            spans, source = self._spans([f.rows(lengths.new_tensor([row])) for f in encoded], tokens, duration_s)
            placed = [
                Placed(token, min(start, duration_s), min(end, duration_s), p)
                for token, (start, end), p in zip(tokens, spans, sure, strict=True)
            ]
            readings.append(Reading(tuple(placed), source))
        return readings

    def _confidences(self, frames: Frames, texts: Sequence[Sequence[int]]) -> list[list[float]]:
        """The probability of each token after those before it."""
        targets = Targets.of(texts, self.device)
        log_probs = self._head.logits(frames, targets).float().log_softmax(-1)[:, :-1]  # (B, U, V)
        chosen = log_probs.gather(2, targets.tokens[..., None])[..., 0].exp().tolist()
        return [row[: len(text)] for row, text in zip(chosen, texts, strict=True)]

    def _spans(
        self, encoded: Sequence[Frames], tokens: Sequence[int], duration_s: float
    ) -> tuple[list[tuple[float, float]], TimesFrom]:
        """Start and end of each token in one row's frames, by the best means that there is."""
        if self._ctc is not None:
            frames = encoded[self._ctc.place]
            log_probs = self._ctc.head.log_probs(frames)[0, : int(frames.lengths[0])]
            if required_frames(tokens) <= len(log_probs):
                aligned = align(log_probs, tokens, self._ctc.head.blank).tokens
                return _seconds([(t.first_frame, t.last_frame) for t in aligned], self._ctc.frame_ms), "ctc"
        frames = encoded[self._index]
        if len(tokens) < int(frames.lengths[0]):
            weights = self._head.attention_weights(frames, Targets.of([tokens], self.device))[0]  # (L, H, U + 1, T)
            upper = weights[len(weights) // 2 :, ..., : int(frames.lengths[0])]
            return _seconds(align_weights(upper.flatten(0, 1)), self._frame_ms), "attention"
        share_s = duration_s / max(1, len(tokens))
        return [(i * share_s, (i + 1) * share_s) for i in range(len(tokens))], "proportion"


def word_starts(vocabulary: Vocabulary) -> Tensor:
    """Tokens that may stand after a whole word and leave it as it is, (V,) bool."""
    word = next(token for token in range(vocabulary.vocab_size) if vocabulary.words([token]))
    (alone,) = vocabulary.words([word])
    pairs = (vocabulary.words([word, token]) for token in range(vocabulary.vocab_size))
    return torch.tensor([pair[0].text == alone.text for pair in pairs])


def _attention(model: SpeechModel, decode: DecodeOptions) -> tuple[int, AttentionDecoderHead]:
    """The attention decoder's place among the model's decoders, and itself."""
    instead = "CTC streams by asr_lab.recognition.live"
    if decode.decoder not in ("auto", "attention"):
        raise ValueError(f"decode.decoder = {decode.decoder!r} is not attention, which this decodes with; {instead}")
    for index, head in enumerate(model.heads):
        if isinstance(head, AttentionDecoderHead):
            return index, head
    kinds = ", ".join(str(head.kind) for head in model.heads)
    raise ValueError(f"the model has no attention decoder (have: {kinds}); {instead}")


def _seconds(spans: Sequence[tuple[int, int]], frame_ms: Fraction) -> list[tuple[float, float]]:
    return [(frames_to_s(first, frame_ms), frames_to_s(last + 1, frame_ms)) for first, last in spans]
