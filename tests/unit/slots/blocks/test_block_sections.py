"""Sections of blocks and mixers: what they build, what they refuse, how they load."""

from __future__ import annotations

import subprocess
import sys
from fnmatch import fnmatch

import pytest
import torch

from asr_lab.slots.blocks import Block, Mixer
from asr_lab.slots.blocks.attention import Attention
from asr_lab.slots.blocks.bidirectional_mamba2 import BidirectionalMamba2
from asr_lab.slots.blocks.macaron import Convolution, Macaron
from asr_lab.slots.blocks.mamba2 import Mamba2
from asr_lab.slots.blocks.residual import Residual
from asr_lab.slots.blocks.transformer import Transformer
from asr_lab.streaming import WHOLE, Context, Frames, run_whole

SMALL = [Attention(num_heads=2), Mamba2(state_dim=4, head_dim=8), BidirectionalMamba2(state_dim=4, head_dim=8)]
NO_DECAY = ("*.bias", "*norm*", "*.dt_bias", "*.A_log", "*.D")


def test_the_slots_find_every_choice() -> None:
    assert {"macaron", "norm", "residual", "sinusoidal", "transformer"} <= set(Block.tags())
    assert {"attention", "bidirectional_mamba2", "mamba2"} <= set(Mixer.tags())


def test_sections_load_without_torch() -> None:
    code = (
        "import sys; from asr_lab.slots.blocks import Block, Mixer; Block.choices(); Mixer.choices(); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    ("mixer", "dim", "expected"),
    [
        (Attention(num_heads=5), 64, ("num_heads", "must divide encoder.dim 64, got 5; the nearest that does is 4")),
        (Attention(num_heads=4, position="rotary"), 20, ("position", "an even number of values per head, got 5")),
        (Mamba2(head_dim=48), 64, ("head_dim", "must divide expand * encoder.dim = 128, got 48")),
        (BidirectionalMamba2(head_dim=48), 64, ("head_dim", "must divide expand * encoder.dim = 128, got 48")),
    ],
)
def test_dimensions_that_do_not_fit_are_reported_where_they_stand(
    mixer: Mixer, dim: int, expected: tuple[str, str]
) -> None:
    [(key, message)] = mixer.dim_problems(dim)
    assert key == expected[0]
    assert expected[1] in message
    for block in (Macaron(mixer=mixer), Transformer(mixer=mixer), Residual(mixer=mixer)):
        assert block.dim_problems(dim) == [(f"mixer.{key}", message)]


def test_a_centred_convolution_says_why_it_cannot_stream() -> None:
    assert Macaron(mixer=Attention()).whole_because() is None
    reason = Macaron(mixer=Attention(), conv=Convolution(causal=False)).whole_because()
    assert reason is not None
    assert reason.key == "conv.causal"
    assert Macaron(mixer=Attention(), conv=Convolution(causal=False, lookahead="chunk")).whole_because() is None


def test_a_backward_scan_says_why_it_cannot_stream_in_any_block() -> None:
    for block in (Macaron, Transformer, Residual):
        reason = block(mixer=BidirectionalMamba2()).whole_because()
        assert reason is not None
        assert reason.key == "mixer.type"


def test_a_lookahead_without_effect_is_refused() -> None:
    with pytest.raises(ValueError, match=r"lookahead: .chunk. has no effect where causal = true"):
        Convolution(lookahead="chunk")


def test_a_centred_kernel_is_odd() -> None:
    with pytest.raises(ValueError, match="kernel_frames: must be odd"):
        Convolution(kernel_frames=8, causal=False)


@pytest.mark.parametrize("mixer", SMALL)
def test_the_usual_patterns_find_every_parameter_that_is_not_decayed(mixer: Mixer) -> None:
    layer = Macaron(mixer=mixer).build(16, 0.0)
    spared = {name for name, _ in layer.named_parameters() if any(fnmatch(name, p) for p in NO_DECAY)}
    decayed = {name for name, p in layer.named_parameters() if name not in spared}
    assert all(p.ndim == 2 for name, p in layer.named_parameters() if name in decayed)
    assert all(p.ndim == 1 or name == "mixer.distance.bias" for name, p in layer.named_parameters() if name in spared)


@pytest.mark.parametrize("mixer", [Attention(), Mamba2(), BidirectionalMamba2()])
@pytest.mark.parametrize("context", [WHOLE, Context(14, 70)], ids=str)
def test_blocks_run_on_meta_without_memory(mixer: Mixer, context: Context) -> None:
    with torch.device("meta"):
        layer = Macaron(mixer=mixer).build(64, 0.1)
        out = run_whole(layer, Frames.whole(torch.empty(1, 500, 64)), context)
    assert all(p.is_meta for p in layer.parameters())
    assert out.x.is_meta
    assert out.x.shape == (1, 500, 64)


@pytest.mark.parametrize("mixer", SMALL)
def test_blocks_learn_under_bfloat16_autocast(mixer: Mixer) -> None:
    torch.manual_seed(0)
    layer = Macaron(mixer=mixer).build(16, 0.0)
    frames = Frames.whole(torch.randn(2, 60, 16))
    gradients = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            out = run_whole(layer, frames, Context(4, 8)).x
        loss = (out.float() * torch.linspace(-1, 1, 16)).sum()
        gradients.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(layer.parameters()))]))
    exact, rounded = gradients
    assert (rounded - exact).norm() < 0.05 * exact.norm()
