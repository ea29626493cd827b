"""The SSM family: macaron blocks of Mamba-2 with attention in every fourth, for streaming."""

from __future__ import annotations

from typing import Self

from asr_lab.families.family import FamilyConfig, FamilyModel, sizes
from asr_lab.recipe import ContextSpec, Encoder, Stack
from asr_lab.slots.blocks.attention import Attention
from asr_lab.slots.blocks.macaron import Convolution, Macaron
from asr_lab.slots.blocks.mamba2 import Mamba2
from asr_lab.slots.decoders.ctc import CTC
from asr_lab.slots.features.log_mel import LogMel
from asr_lab.slots.stems.depthwise_stride import DepthwiseStride

CONTEXTS = (
    ContextSpec(chunk_ms=320, left_ms=5600),
    ContextSpec(chunk_ms=1120, left_ms=5600),
    ContextSpec(chunk="whole"),
)
"""One set of weights for two latencies and offline use."""


class SSMConfig(FamilyConfig):
    """Sizes of the SSM family: an 8x causal stem, then Mamba-2 (arXiv 2405.21060) in conformer's macaron block."""

    @classmethod
    def sized(cls, dim: int, heads: int, channels: int, stack: tuple[Stack, ...], vocab_size: int | None) -> Self:
        """A member of the family; `stack` names the blocks `ssm` and `att`."""
        conv = Convolution(kernel_frames=9, causal=True)
        encoder = Encoder(
            dim=dim,
            stem=DepthwiseStride(factor=8, channels=channels, causal=True),
            contexts=CONTEXTS,
            stack=stack,
            block={
                "ssm": Macaron(mixer=Mamba2(state_dim=64), conv=conv),
                "att": Macaron(mixer=Attention(num_heads=heads), conv=conv),
            },
        )
        features = LogMel(convention="nemo", floor="fixed", level="none", num_mels=80)
        return cls(features=features, encoder=encoder, decoder=(CTC(),), **sizes(vocab_size))

    @classmethod
    def tiny(cls, vocab_size: int | None = None) -> Self:
        """5M parameters."""
        return cls.sized(160, 4, 128, _every_fourth(1, 3), vocab_size)

    @classmethod
    def base(cls, vocab_size: int | None = None) -> Self:
        """19M parameters."""
        return cls.sized(256, 4, 256, _every_fourth(2, 3), vocab_size)

    @classmethod
    def a100_optimized(cls, vocab_size: int | None = None) -> Self:
        """50M parameters, sized for bf16 training on A100s."""
        return cls.sized(384, 6, 256, _every_fourth(3, 1), vocab_size)

    @classmethod
    def b200_optimized(cls, vocab_size: int | None = None) -> Self:
        """150M parameters, sized for B200s."""
        return cls.sized(512, 8, 256, _every_fourth(5, 2), vocab_size)


class SSMASRModel(FamilyModel):
    """A streaming speech recogniser on a state-space encoder."""


def _every_fourth(repeat: int, more: int) -> tuple[Stack, ...]:
    return (Stack(repeat=repeat, blocks=("ssm", "ssm", "ssm", "att")), Stack(repeat=more, blocks=("ssm",)))
