"""RepDL's products: its twin against C's `fmaf` in the order of its loops, and against RepDL where it is built."""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from asr_lab.errors import MissingPackageError
from asr_lab.training.cross_hardware import products as module
from asr_lab.training.cross_hardware.fused_twin import TwinProducts, fma
from asr_lab.training.cross_hardware.products import KernelCut, has_repdl, repdl_products

CUTS = [
    KernelCut((1, 1), (0, 0), 1),
    KernelCut((2, 1), (1, 2), 1),
    KernelCut((3, 2), (2, 2), 1),
    KernelCut((2, 2), (0, 1), 4),
]
with_repdl = pytest.mark.skipif(not has_repdl(), reason="RepDL is not installed (docs/determinism.md)")


@pytest.fixture(scope="module")
def fmaf() -> Callable[[float, float, float], float]:
    library = ctypes.CDLL(ctypes.util.find_library("m"))
    library.fmaf.restype, library.fmaf.argtypes = ctypes.c_float, [ctypes.c_float] * 3
    found: Callable[[float, float, float], float] = library.fmaf
    return found


def draws(seed: int, *shape: int) -> Tensor:
    """Of very different sizes, so that what a sum loses shows."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator) * torch.exp2(
        torch.randint(-20, 20, shape, generator=generator).float()
    )


@pytest.mark.parametrize("kind", ["any bits", "near cancellation", "below the normal range"])
def test_one_rounding_as_c_has_it(fmaf: Callable[[float, float, float], float], kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    if kind == "any bits":
        bits = torch.randint(-(2**31), 2**31, (3, 5000), generator=generator)
        a, b, c = bits.int().view(torch.float32)
    elif kind == "near cancellation":
        a, b = draws(1, 5000), draws(2, 5000)
        c = -(a * b) * (1 + torch.randint(-3, 4, (5000,), generator=generator) * 2.0**-23)
    else:
        a, b = torch.exp2(torch.rand(2, 5000, generator=generator) * 15 - 80)
        c = torch.randint(-50, 50, (5000,), generator=generator).int().view(torch.float32).nan_to_num()
    expected = torch.tensor([fmaf(*values) for values in zip(a.tolist(), b.tolist(), c.tolist(), strict=True)])
    assert torch.equal(fma(a, b, c).nan_to_num(1.5), expected.nan_to_num(1.5))


def test_a_product_is_one_chain_in_the_order_of_k(fmaf: Callable[[float, float, float], float]) -> None:
    a, b = draws(3, 4, 30), draws(4, 30, 5)
    found = TwinProducts().mm(a, b)
    for i in range(4):
        for j in range(5):
            total = 0.0
            for k in range(30):
                total = fmaf(float(a[i, k]), float(b[k, j]), total)
            assert float(found[i, j]) == total


@pytest.mark.parametrize("cut", CUTS, ids=str)
def test_convolutions_and_their_gradients_are_torchs_but_for_rounding(cut: KernelCut) -> None:
    x, k = torch.randn(2, 8, 7, 9, dtype=torch.float64), torch.randn(4, 8 // cut.groups, 3, 3, dtype=torch.float64)
    x.requires_grad_()
    k.requires_grad_()
    expected = F.conv2d(x, k, None, cut.stride, cut.padding, groups=cut.groups)
    grad = torch.randn_like(expected)
    dx, dk = torch.autograd.grad(expected, (x, k), grad)
    twin, (x, k, grad) = TwinProducts(), (t.detach().float() for t in (x, k, grad))
    torch.testing.assert_close(twin.conv2d(x, k, cut).double(), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(twin.conv2d_image(grad, k, (7, 9), cut).double(), dx, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(twin.conv2d_kernel(grad, x, (3, 3), cut).double(), dk, rtol=1e-4, atol=1e-4)


@with_repdl
def test_the_twin_gives_repdls_bits() -> None:
    ours, theirs = TwinProducts(), repdl_products()
    a, b = draws(5, 33, 57), draws(6, 57, 21)
    assert torch.equal(ours.mm(a, b), theirs.mm(a, b))
    for cut in CUTS:
        x, k = draws(7, 2, 8, 9, 11), draws(8, 8, 8 // cut.groups, 3, 3)
        y = theirs.conv2d(x, k, cut)
        grad = draws(9, *y.shape)
        assert torch.equal(ours.conv2d(x, k, cut), y)
        assert torch.equal(ours.conv2d_image(grad, k, (9, 11), cut), theirs.conv2d_image(grad, k, (9, 11), cut))
        assert torch.equal(ours.conv2d_kernel(grad, x, (3, 3), cut), theirs.conv2d_kernel(grad, x, (3, 3), cut))


def test_without_repdl_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "has_repdl", lambda: False)
    with pytest.raises(MissingPackageError, match=r"git clone https://github.com/microsoft/RepDL"):
        repdl_products()
