"""The Conformer family: convolution and attention in macaron blocks, offline or in chunks."""

from __future__ import annotations

from typing import Self

from asr_lab.families.family import FamilyConfig, FamilyModel, sizes
from asr_lab.families.ssm import CONTEXTS
from asr_lab.recipe import Encoder, Stack
from asr_lab.slots.blocks.attention import Attention
from asr_lab.slots.blocks.macaron import Convolution, Macaron
from asr_lab.slots.decoders.ctc import CTC
from asr_lab.slots.features.log_mel import LogMel
from asr_lab.slots.stems.depthwise_stride import DepthwiseStride


class ConformerConfig(FamilyConfig):
    """Sizes of the Conformer family (arXiv 2005.08100) and its fast member (arXiv 2305.05084)."""

    @classmethod
    def sized(cls, dim: int, heads: int, channels: int, layers: int, vocab_size: int | None) -> Self:
        """An offline member: 4x stem, centred kernels of 31 frames, relative positions, features normalised."""
        encoder = Encoder(
            dim=dim,
            stem=DepthwiseStride(factor=4, channels=channels, causal=False),
            stack=(Stack(repeat=layers, blocks=("conf",)),),
            block={"conf": Macaron(mixer=Attention(num_heads=heads), conv=Convolution(kernel_frames=31, causal=False))},
        )
        features = LogMel(convention="nemo", floor="fixed", level="utterance", num_mels=80)
        return cls(features=features, encoder=encoder, decoder=(CTC(),), **sizes(vocab_size))

    @classmethod
    def tiny(cls, vocab_size: int | None = None) -> Self:
        """5M parameters."""
        return cls.sized(144, 4, 144, 9, vocab_size)

    @classmethod
    def base(cls, vocab_size: int | None = None) -> Self:
        """19M parameters."""
        return cls.sized(256, 4, 256, 11, vocab_size)

    @classmethod
    def large(cls, vocab_size: int | None = None) -> Self:
        """100M parameters."""
        return cls.sized(512, 8, 256, 15, vocab_size)

    @classmethod
    def fast_conformer(cls, vocab_size: int | None = None) -> Self:
        """19M parameters: 8x stem, causal kernels of 9 frames, limited context; streams."""
        encoder = Encoder(
            dim=256,
            stem=DepthwiseStride(factor=8, channels=256, causal=True),
            contexts=CONTEXTS,
            stack=(Stack(repeat=11, blocks=("conf",)),),
            block={"conf": Macaron(mixer=Attention(num_heads=4), conv=Convolution(kernel_frames=9, causal=True))},
        )
        features = LogMel(convention="nemo", floor="fixed", level="none", num_mels=80)
        return cls(features=features, encoder=encoder, decoder=(CTC(),), **sizes(vocab_size))


class ConformerASRModel(FamilyModel):
    """A Conformer speech recogniser."""
