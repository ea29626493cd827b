"""The feed-forward against its formula, and every activation against its definition."""

from __future__ import annotations

import math
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from asr_lab.nn.attention import Attention
from asr_lab.nn.blocks import Macaron, Transformer
from asr_lab.nn.conv import ConvModule
from asr_lab.nn.feed_forward import ACTIVATIONS, FeedForward
from asr_lab.nn.kernels.dropout import keep

DEFINITIONS = {
    "silu": lambda x: x / (1 + math.exp(-x)),
    "gelu": lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2))),
}
"""Of one number: x times the logistic function (Elfwing et al.); x times the normal distribution's, not its tanh."""
KINDS: list[Literal["silu", "gelu"]] = ["silu", "gelu"]


def lively(layer: nn.Module) -> nn.Module:
    """In float64, every parameter off its first value."""
    torch.manual_seed(0)
    for parameter in layer.double().parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return layer


def test_every_activation_has_a_definition_here() -> None:
    assert set(ACTIVATIONS) == set(DEFINITIONS) == set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_an_activation_is_what_its_name_says(name: str) -> None:
    x = torch.linspace(-4, 4, 33, dtype=torch.float64)
    expected = torch.tensor([DEFINITIONS[name](number) for number in x.tolist()], dtype=torch.float64)
    torch.testing.assert_close(ACTIVATIONS[name](x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", KINDS)
def test_each_value_is_a_sum_over_bent_sums(name: Literal["silu", "gelu"]) -> None:
    layer = lively(FeedForward(3, 5, name, dropout=0.0))
    up, down = layer.up, layer.down
    x = torch.randn(2, 3, dtype=torch.float64)
    for frame, found in zip(x, layer(x), strict=True):
        hidden = [DEFINITIONS[name]((w @ frame + b).item()) for w, b in zip(up.weight, up.bias, strict=True)]
        expected = down.weight @ torch.tensor(hidden, dtype=torch.float64) + down.bias
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_in_training_it_drops_what_is_bent_and_what_it_gives() -> None:
    layer, x = lively(FeedForward(8, 16, "silu", dropout=0.4)), torch.randn(50, 8, dtype=torch.float64)
    torch.manual_seed(3)
    found = layer(x)
    torch.manual_seed(3)

    def dropped(t: Tensor) -> Tensor:
        return t * keep(t.shape, 0.4, t.dtype, t.device)

    torch.testing.assert_close(found, dropped(layer.down(dropped(torch.nn.functional.silu(layer.up(x))))))
    torch.testing.assert_close(layer.eval()(x), layer.down(torch.nn.functional.silu(layer.up(x))))


def test_a_macaron_bends_with_silu_and_a_transformer_with_gelu() -> None:
    mixer, conv = Attention(4, 1, "none", 0.0), ConvModule(4, 3, "past", 0.0)
    macaron, transformer = Macaron(4, mixer, conv, 12, 0.1), Transformer(4, mixer, 12, 0.2)
    x = torch.tensor([-1.0, 0.5])
    for layer, name, rate in (
        (macaron.first, "silu", 0.1),
        (macaron.second, "silu", 0.1),
        (transformer.feed_forward, "gelu", 0.2),
    ):
        assert layer.activation(x).tolist() == pytest.approx([DEFINITIONS[name](n) for n in x.tolist()])
        assert layer.up.weight.shape == (12, 4)
        assert layer.dropout == rate
