"""What replaces torch's operators: its values are torch's, its steps are exact, what it lacks it refuses by name."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asr_lab.errors import LabError
from asr_lab.training.cross_hardware import exact_functions as functions
from asr_lab.training.cross_hardware.fused_twin import TwinProducts
from asr_lab.training.cross_hardware.mode import CrossHardwareMode
from asr_lab.training.cross_hardware.operators import EXACT

CODES = torch.tensor([[1, 3, 3], [2, 5, 0]])
TOKENS = torch.tensor([2, -1, 0, 5])
TABLE: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda x: x.softmax(-1),
    "log_softmax": lambda x: x.log_softmax(-1),
    "logsumexp": lambda x: x.logsumexp(1),
    "layer_norm": lambda x: F.layer_norm(x, (6,), x[0, 0], x[0, 1]),
    "silu": F.silu,
    "gelu": F.gelu,
    "glu": lambda x: F.glu(x, -1),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": F.softplus,
    "exp and log": lambda x: (x.exp() + 1).log(),
    "log1p": lambda x: x.abs().log1p(),
    "sine and cosine": lambda x: x.sin() * x.cos(),
    "sums": lambda x: x.sum(1) * x.mean((0, 2))[:1] + x.sum(),
    "cumsum": lambda x: x.cumsum(1),
    "norm": lambda x: torch.linalg.vector_norm(x, dim=-1),
    "powers": lambda x: x.square() + x.abs().sqrt() + (x.abs() + 1).rsqrt() + x**3 + 2**x,
    "mixed sums": lambda x: torch.addcmul(x, x, x, value=0.5) + torch.addcdiv(x, x, x.square() + 1, value=2),
    "lerp and alpha": lambda x: torch.lerp(x, 2 * x, 0.3) + torch.sub(x, x.exp(), alpha=0.25),
    "products": lambda x: (x @ x.transpose(1, 2)) @ x,
    "linear": lambda x: F.linear(x, x[0], x[0, :, 0]),
    "baddbmm": lambda x: torch.baddbmm(x, x @ x.transpose(1, 2), x, beta=0.5, alpha=2),
    "conv1d": lambda x: F.conv1d(x, x[:, :, :3].transpose(0, 1).reshape(4, 2, 3)[:, :2], None, 2, 1, groups=2),
    "attention": lambda x: F.scaled_dot_product_attention(x[:, None], x[:, None], x[:, None]),
    "causal attention": lambda x: F.scaled_dot_product_attention(x[:, None], x[:, None], x[:, None], is_causal=True),
    "embedding": lambda x: F.embedding(CODES, x[0].t()),
    "cross-entropy": lambda x: (
        F.cross_entropy(x[0], TOKENS, reduction="sum", ignore_index=-1, label_smoothing=0.1)
        + F.cross_entropy(x[1], TOKENS, reduction="none", ignore_index=-1)
    ),
    "ctc": lambda x: F.ctc_loss(
        x.transpose(0, 1).log_softmax(-1), CODES, torch.tensor([4, 3]), torch.tensor([2, 1]), reduction="none"
    ),
    "spectrum": lambda x: torch.view_as_real(torch.fft.rfft(x.detach())) + 0 * x.sum(),
}


@pytest.mark.parametrize("name", TABLE)
def test_values_and_gradients_are_torchs_and_every_step_of_them_is_exact(name: str) -> None:
    x = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
    expected = TABLE[name](x)
    weights = torch.linspace(-1, 1, expected.numel()).view(expected.shape)
    (gradient,) = torch.autograd.grad((expected * weights).sum(), x)
    results = []
    for is_checked in (False, True):
        with CrossHardwareMode(TwinProducts(), is_checked=is_checked):
            found = TABLE[name](x)
            results.append((found.detach(), *torch.autograd.grad((found * weights).sum(), x)))
    torch.testing.assert_close(results[0][0], expected.detach(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(results[0][1], gradient, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_adamw_is_torchs_but_for_rounding() -> None:
    generator = torch.Generator().manual_seed(0)
    first, gradients = torch.randn(5, 3, generator=generator), torch.randn(4, 5, 3, generator=generator)
    moved = []
    for mode in (None, CrossHardwareMode(TwinProducts(), is_checked=True)):
        weight = nn.Parameter(first.clone())
        optimizer = torch.optim.AdamW([weight], lr=0.1, weight_decay=0.1, fused=True)
        for gradient in gradients:
            weight.grad = gradient.clone()
            if mode is None:
                optimizer.step()
            else:
                with mode:
                    optimizer.step()
        moved.append(weight.detach())
    torch.testing.assert_close(moved[1], moved[0], rtol=1e-5, atol=1e-6)


def test_draws_have_their_distributions_and_come_from_the_seed() -> None:
    found = []
    for _ in range(2):
        with CrossHardwareMode(TwinProducts(), is_checked=True):
            torch.manual_seed(3)
            found.append(
                (
                    torch.empty(40_000).normal_(1, 2),
                    torch.empty(40_000).uniform_(-1, 3),
                    F.dropout(torch.ones(40_000), 0.25),
                )
            )
    normal, uniform, dropped = found[0]
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    assert abs(float(normal.mean()) - 1) < 0.03
    assert abs(float(normal.std()) - 2) < 0.03
    assert float(uniform.min()) >= -1
    assert abs(float(uniform.mean()) - 1) < 0.03
    assert abs(float((dropped == 0).float().mean()) - 0.25) < 0.01
    assert dropped.unique().tolist() == [0.0, float(torch.tensor(1 / 0.75))]


@pytest.mark.parametrize(
    ("what", "refused"),
    [
        (lambda x: torch.linalg.svd(x), "torch's operator _linalg_svd"),
        (lambda x: torch.linspace(0, 1, 5), "torch's operator linspace"),
        (lambda x: x.double().bfloat16() @ x.bfloat16(), "a product of torch.bfloat16"),
        (lambda x: F.gelu(x, approximate="tanh"), "gelu"),
        (lambda x: F.conv1d(x[None], x[None], dilation=2), "a convolution that is transposed, dilated"),
    ],
)
def test_what_is_not_covered_is_refused_by_name(what: Callable[[Tensor], object], refused: str) -> None:
    with CrossHardwareMode(TwinProducts()), pytest.raises(LabError, match="does not cover") as error:
        what(torch.ones(3, 3))
    assert refused in str(error.value)
    assert "determinism.level = 'bitwise'" in str(error.value)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_called_exact_is_rounded_as_ieee_754_says(dtype: torch.dtype) -> None:
    """NumPy's are the processor's own instructions; torch's root is MKL's, and not among these."""
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.rand(2, 50_000, generator=generator, dtype=dtype) + 0.1) * torch.tensor([[1.0], [37.0]], dtype=dtype)
    a, b, scalar = x.numpy(), y.numpy(), 3.3
    one = a.dtype.type(scalar)
    pairs = [
        (x + y, a + b),
        (x - y, a - b),
        (x * y, a * b),
        (x / y, a / b),
        (x * scalar, a * one),
        (x / scalar, a / one),
    ]
    pairs += [(1 / x, 1 / a), (x + scalar, a + one), (functions.root(x), np.sqrt(a)), (y.round(), b.round())]
    if dtype == torch.float64:
        pairs.append((functions.root(x[:500]), np.array([math.sqrt(v) for v in a[:500]])))
    for place, (found, expected) in enumerate(pairs):
        assert np.array_equal(found.numpy(), expected), place
    assert {"add", "sub", "mul", "div", "round"} <= EXACT
    assert not EXACT & {"sqrt", "exp", "sum", "pow", "mm"}
