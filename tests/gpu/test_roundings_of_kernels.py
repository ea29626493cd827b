"""Emulated products against the kernels of torchao and TransformerEngine: the same roundings, another order of sums."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from asr_lab.nn.low_precision.linear import LowPrecisionLinear, Region
from asr_lab.number_formats import Asked, has_package, unavailable
from asr_lab.training.precision.manager import gpu_of
from asr_lab.training.precision.products import products

pytestmark = pytest.mark.gpu

KERNELS = (
    Asked("fp8"),
    Asked("fp8", scaling="tensorwise"),
    Asked("fp8", False, "transformer-engine", "tensorwise"),
    Asked("fp8", False, "transformer-engine", "delayed"),
    Asked("mxfp8"),
    Asked("mxfp8", False, "transformer-engine"),
    Asked("nvfp4"),
    Asked("nvfp4", False, "transformer-engine"),
)
APART = 0.01
"""Of the norm: sums in another order, and outputs in bfloat16 (2^-9)."""
STEPS = 3
"""From the second on delayed scales know what they have seen."""


def results(asked: Asked, device: torch.device, draws: int = 1) -> list[list[Tensor]]:
    """Outputs, input gradients and weight gradients of some steps of one layer, rounded by some draws."""
    torch.manual_seed(4)
    plain, region = nn.Linear(256, 384, bias=False).to(device), Region()
    layer = LowPrecisionLinear(plain, products(asked)[1](plain), region)
    torch.manual_seed(draws)
    found = []
    for step in range(STEPS):
        generator = torch.Generator().manual_seed(step)
        x = torch.randn(200, 256, generator=generator).to(device, torch.bfloat16).requires_grad_()
        upstream = torch.randn(200, 384, generator=generator).to(device, torch.bfloat16)
        with torch.autocast("cuda", dtype=torch.bfloat16), region.entered():
            y = layer(x)
            found.append([y.detach(), *torch.autograd.grad(y, [x, layer.weight], upstream)])
    return found


def apart(ours: Tensor, theirs: Tensor) -> float:
    return float((ours.float() - theirs.float()).norm() / theirs.float().norm())


@pytest.mark.parametrize("asked", KERNELS, ids=str)
def test_a_kernel_rounds_as_its_emulation_does(asked: Asked) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    device = torch.device("cuda")
    if why := unavailable(asked, gpu_of(device), has_package):
        pytest.skip(why)
    kernels = results(asked, device)
    emulated = results(asked._replace(emulate=True, backend="torchao"), device)
    # nvfp4's gradients are rounded by draws of each one's own: they agree as far as two draws do.
    again = results(asked._replace(emulate=True, backend="torchao"), device, draws=2)
    for step, (ours, theirs, others) in enumerate(zip(emulated, kernels, again, strict=True)):
        for what, one, other, third in zip(("output", "input", "weight"), ours, theirs, others, strict=True):
            bound = APART if asked.format != "nvfp4" or what == "output" else 1.5 * apart(one, third) + APART
            assert apart(one, other) <= bound, f"{what} of step {step}"
