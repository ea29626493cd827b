"""The model: features to a stem, a stack of blocks, and weighted decoders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import attrs
import torch
from torch import Tensor, nn

from asr_lab.models.decode_options import TWO_PASSES, DecodeOptions
from asr_lab.nn.decoder import DecoderHead, Hypothesis, SearchOptions, Targets
from asr_lab.streaming import WHOLE, Chain, Context, Frames


class Losses(NamedTuple):
    """Loss of each utterance, (B,): weighted, and each decoder's own by kind."""

    total: Tensor
    parts: dict[str, Tensor]


class SpeechModel(nn.Module):
    """Features (B, T, F) to tokens: an encoder that obeys the streaming law and one or more decoder heads.

    `taps[i]` is the number of encoder parts (stem included) that head i reads after; `head_by_kind` has the place of
    the head that is decoded with, by kind.
    """

    def __init__(
        self,
        encoder: Chain,
        heads: Sequence[DecoderHead],
        weights: Sequence[float],
        taps: Sequence[int],
        contexts: Sequence[tuple[Context, float]] = ((WHOLE, 1.0),),
        vocab_size: int = 0,
    ) -> None:
        super().__init__()
        self.vocab_size = vocab_size
        self.encoder = encoder
        self.heads = nn.ModuleList(heads)
        total = sum(weights)
        self.weights = tuple(w / total for w in weights)
        self.taps = tuple(taps)
        self.contexts = tuple(contexts)
        # Of several decoders of a kind the deepest is used; the others help to train what lies below them.
        self.head_by_kind: dict[str, int] = {}
        for index, head in enumerate(heads):
            deepest = self.head_by_kind.setdefault(head.kind, index)
            if self.taps[index] > self.taps[deepest]:
                self.head_by_kind[head.kind] = index

    def encode(self, features: Frames, context: Context = WHOLE) -> list[Frames]:
        """What each head reads, in the heads' order: frames (B, T', D) of complete utterances."""
        state = self.encoder.initial_state(features.batch, context)
        wanted, tapped = set(self.taps), {}
        for depth, (_, frames) in enumerate(self.encoder.walk(state, features, context), start=1):
            if depth in wanted:
                tapped[depth] = frames
        return [tapped[depth] for depth in self.taps]

    def forward(self, features: Frames, targets: Targets, context: Context = WHOLE) -> Losses:
        """The loss of each utterance; the context is in feature frames."""
        return self.losses(self.encode(features, context), targets)

    def losses(self, encoded: Sequence[Frames], targets: Targets) -> Losses:
        """The loss of each utterance, from what each head reads."""
        total: Tensor | float = 0.0
        parts: dict[str, Tensor] = {}
        for index, (head, frames) in enumerate(zip(self.heads, encoded, strict=True)):
            assert isinstance(head, DecoderHead)
            loss = head.loss(frames, targets)
            is_used = self.head_by_kind[head.kind] == index
            parts[head.kind if is_used else f"{head.kind}_after_layer_{self.taps[index] - 1}"] = loss
            total = total + self.weights[index] * loss
        assert isinstance(total, Tensor)
        return Losses(total, parts)

    def search(
        self, features: Frames, decode: DecodeOptions | None = None, context: Context = WHOLE
    ) -> list[list[Hypothesis]]:
        """Hypotheses of each utterance, best first; ValueError when the model lacks the decoder that is asked for."""
        self._passes(decode or DecodeOptions())  # before the work
        return self.search_in(self.encode(features, context), decode)

    def search_in(self, frames: Sequence[Frames], decode: DecodeOptions | None = None) -> list[list[Hypothesis]]:
        """Hypotheses of each utterance, best first, from what each head reads."""
        decode = decode or DecodeOptions()
        passes = self._passes(decode)
        options = SearchOptions(beam=decode.beam, length_penalty=decode.length_penalty, language=decode.language)
        first, *rest = [(head, frames[self.head_by_kind[head.kind]]) for head in passes]
        found = first[0].search(first[1], options)
        if not rest:
            return found
        return [_rescored(found[row], *rest[0], row, decode) for row in range(len(found))]

    def _passes(self, decode: DecodeOptions) -> list[DecoderHead]:
        """The decoder that finds texts, and the one that scores them again, if any."""
        heads = {kind: self.heads[index] for kind, index in self.head_by_kind.items()}
        kind = decode.decoder
        if kind == "auto":
            kind = "attention" if "attention" in heads else next(iter(heads))
        kinds = TWO_PASSES.get(kind, (kind,))
        if missing := set(kinds) - heads.keys():
            raise ValueError(
                f"decode = {kind!r} needs the decoder {', '.join(sorted(missing))} (have: {', '.join(heads)})"
            )
        return [head for kind in kinds if isinstance(head := heads[kind], DecoderHead)]

    @torch.no_grad()
    def transcribe(
        self, features: Tensor | Frames, lengths: Tensor | None = None, decode: DecodeOptions | None = None
    ) -> list[list[int]]:
        """Token numbers of each utterance; features are (B, T, F) or (T, F), `lengths` (B,) their valid frames."""
        if isinstance(features, Tensor):
            features = Frames.whole(features if features.ndim == 3 else features[None], lengths)
        modes = [(module, module.training) for module in self.modules()]  # frozen parts may differ from the rest
        self.eval()
        try:
            return [list(hypotheses[0].tokens) for hypotheses in self.search(features, decode)]
        finally:
            for module, training in modes:
                module.training = training


def _rescored(
    hypotheses: Sequence[Hypothesis], second: DecoderHead, frames: Frames, row: int, decode: DecodeOptions
) -> list[Hypothesis]:
    """The hypotheses of one row of the frames that `second` reads, by both decoders' scores, best first.

    Attention's log-probability and CTC's are divided by the same length, as attention's search does with its own, and
    weighted. A text that the second decoder cannot give comes last, in the first one's order.
    """
    if not hypotheses:
        return []
    index = torch.full((len(hypotheses),), row, device=frames.x.device)
    targets, language = Targets.of([h.tokens for h in hypotheses], index.device), None
    if second.languages:
        told = decode.language
        place = second.languages.index(told) if told else int(second.identify(frames.rows(index[:1]))[0])
        targets = targets._replace(languages=torch.full_like(index, place))
        language = None if told else second.languages[place]
    scores = second.score(frames.rows(index), targets).tolist()
    rescored = []
    for hypothesis, score in zip(hypotheses, scores, strict=True):
        length = (len(hypothesis.tokens) + 1) ** decode.length_penalty
        if second.kind == "ctc":
            attention, ctc = hypothesis.score, score / length
        else:
            attention, ctc = score / length, hypothesis.score / length
        score = _mixed(attention, ctc, decode)
        rescored.append(attrs.evolve(hypothesis, score=score, language=language or hypothesis.language))
    return sorted(rescored, key=lambda h: -h.score)


def _mixed(attention: float, ctc: float, decode: DecodeOptions) -> float:
    parts = ((1 - decode.ctc_weight, attention), (decode.ctc_weight, ctc))
    return sum(weight * part for weight, part in parts if weight)  # 0 times infinity is no number
