"""AttentionDecoder: a transformer decoder that writes the text token by token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import added, section
from asr_lab.slots.decoders import Decoder
from asr_lab.slots.parameters import feed_forward, linear, norm
from asr_lab.text.vocabulary import BLANK_ID, END_ID

if TYPE_CHECKING:
    from asr_lab.nn.attention_decoder.head import AttentionDecoderHead


def _language_problem(languages: tuple[str, ...]) -> str | None:
    if len(languages) == 1:
        return f"must hold two or more, or none, got {languages[0]!r} alone"
    if "" in languages or len(set(languages)) < len(languages):
        return "must hold different names that are not empty"
    return None


@section
class AttentionDecoder(Decoder):
    """A pre-norm transformer decoder whose embedding is its output layer, as Whisper's (Radford et al., 2212.04356)."""

    num_layers: int = attrs.field(default=6, validator=v.between(1, 100))
    """Layers, each of self-attention, attention to the frames, and a feed-forward part."""
    num_heads: int = attrs.field(default=4, validator=v.between(1, 4096))
    """Heads of each attention; they divide the dimension."""
    expansion: int = attrs.field(default=4, validator=v.between(1, 64))
    """Hidden units of the feed-forward part, as a multiple of the dimension."""
    label_smoothing: float = attrs.field(default=0.1, validator=v.all_of(v.ge(0), v.lt(1)))
    """Probability that the training target spreads evenly over all tokens; validation losses go without."""
    positions: Literal["learned", "sinusoidal"] = "learned"
    """How a token knows its place."""
    max_tokens: int = attrs.field(default=448, validator=v.between(1, 100_000))
    """Tokens of the longest text: a search stops there, and training leaves longer ones out."""
    languages: tuple[str, ...] = added(default=(), validator=v.checked_by(_language_problem))
    """Languages, as the column `language` of the manifests has them: each gets a token, which is written before a text
    of it, so that decoding identifies the language first; none are named without."""

    @property
    def named_languages(self) -> tuple[str, ...]:
        return self.languages

    def dim_problems(self, dim: int) -> list[tuple[str, str]]:
        """What does not fit the stack's dimension: (key path below this table, message)."""
        problems = []
        if dim % self.num_heads:
            problems.append(("num_heads", f"must divide encoder.dim = {dim}, got {self.num_heads}"))
        if self.positions == "sinusoidal" and dim % 2:
            problems.append(("positions", f"needs an even encoder.dim, got {dim}"))
        return problems

    def fits(self, num_frames: int, tokens: Sequence[int]) -> bool:
        """A text no longer than the longest that a search gives."""
        return num_frames > 0 and len(tokens) <= self.max_tokens

    def num_parameters(self, dim: int, vocab_size: int) -> int:
        layer = linear(dim, 3 * dim) + 3 * linear(dim, dim) + linear(dim, 2 * dim) + 3 * norm(dim)
        layer += feed_forward(dim, self.expansion * dim)
        places = (self.max_tokens + 1 + bool(self.languages)) * dim if self.positions == "learned" else 0
        return self.num_layers * layer + (vocab_size + len(self.languages)) * dim + places + 2 * norm(dim)

    def build(self, dim: int, vocab_size: int, dropout: float) -> AttentionDecoderHead:
        from asr_lab.nn.attention_decoder.head import AttentionDecoderHead

        return AttentionDecoderHead(
            dim,
            vocab_size,
            num_layers=self.num_layers,
            num_heads=self.num_heads,
            expansion=self.expansion,
            dropout=dropout,
            label_smoothing=self.label_smoothing,
            positions=self.positions,
            max_tokens=self.max_tokens,
            blank=BLANK_ID,
            end=END_ID,
            languages=self.languages,
        )
