"""The Whisper-like family: a transformer encoder-decoder over whole utterances."""

from __future__ import annotations

from typing import Self

from asr_lab.families.family import FamilyConfig, FamilyModel, sizes
from asr_lab.recipe import Encoder, Stack
from asr_lab.slots.blocks.attention import Attention
from asr_lab.slots.blocks.norm import Norm
from asr_lab.slots.blocks.sinusoidal import Sinusoidal
from asr_lab.slots.blocks.transformer import Transformer
from asr_lab.slots.decoders.attention import AttentionDecoder
from asr_lab.slots.decoders.ctc import CTC
from asr_lab.slots.features.log_mel import LogMel
from asr_lab.slots.stems.whisper_conv import WhisperConv


class WhisperConfig(FamilyConfig):
    """Sizes of the Whisper-like family (arXiv 2212.04356), with CTC beside the attention decoder."""

    @classmethod
    def sized(cls, dim: int, heads: int, layers: int, decoder_layers: int, vocab_size: int | None) -> Self:
        """A member of the family."""
        encoder = Encoder(
            dim=dim,
            stem=WhisperConv(),
            stack=(
                Stack(blocks=("positions",)),
                Stack(repeat=layers, blocks=("att",)),
                Stack(blocks=("norm",)),
            ),
            block={
                "positions": Sinusoidal(),
                "att": Transformer(mixer=Attention(num_heads=heads, position="none")),
                "norm": Norm(),
            },
        )
        decoder = (CTC(weight=0.3), AttentionDecoder(weight=0.7, num_layers=decoder_layers, num_heads=heads))
        features = LogMel(convention="whisper", floor="utterance", level="none", num_mels=80)
        return cls(features=features, encoder=encoder, decoder=decoder, **sizes(vocab_size))

    @classmethod
    def tiny(cls, vocab_size: int | None = None) -> Self:
        """5M parameters."""
        return cls.sized(192, 3, 5, 4, vocab_size)

    @classmethod
    def base(cls, vocab_size: int | None = None) -> Self:
        """19M parameters."""
        return cls.sized(320, 5, 6, 6, vocab_size)

    @classmethod
    def small(cls, vocab_size: int | None = None) -> Self:
        """50M parameters."""
        return cls.sized(384, 6, 12, 12, vocab_size)

    @classmethod
    def large(cls, vocab_size: int | None = None) -> Self:
        """100M parameters."""
        return cls.sized(512, 8, 16, 12, vocab_size)


class WhisperASRModel(FamilyModel):
    """An offline encoder-decoder speech recogniser."""
