"""The graph of a recipe, read off the module on meta."""

from __future__ import annotations

from asr_lab.compiler.graph import graph
from asr_lab.recipe import Encoder, Stack
from asr_lab.slots.blocks.norm import Norm
from asr_lab.slots.decoders.attention import AttentionDecoder
from asr_lab.slots.features.log_mel import LogMel
from asr_lab.slots.stems.frame_stack import FrameStack


def test_a_decoder_of_short_texts_is_measured_over_short_ones() -> None:
    encoder = Encoder(dim=16, stem=FrameStack(factor=4), stack=(Stack(blocks=("norm",)),), block={"norm": Norm()})
    short, long = (
        graph(LogMel(), encoder, (AttentionDecoder(num_layers=1, max_tokens=m),), 32).nodes[-1] for m in (5, 448)
    )
    assert short.kind == long.kind == "attention"
    assert 0 < short.macs_per_s < long.macs_per_s
