"""A layer whose products are rounded: inside its region alone, by each scheme, with the gradients that torchao has."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from asr_lab.nn.low_precision import schemes
from asr_lab.nn.low_precision.delayed import DelayedScale
from asr_lab.nn.low_precision.emulated import Emulated
from asr_lab.nn.low_precision.formats import E2M1, E4M3
from asr_lab.nn.low_precision.linear import LowPrecisionLinear, Region
from asr_lab.nn.positions import DistanceScores

SCHEMES: dict[str, tuple[Callable[[], schemes.Scheme], float]] = {
    "rowwise": (schemes.Rowwise, 24),
    "tensorwise": (schemes.Tensorwise, 22),
    "delayed": (lambda: schemes.Delayed(4), 22),
    "mxfp8": (lambda: schemes.Microscaling(E4M3), 24),
    "mxfp4": (lambda: schemes.Microscaling(E2M1), 10),
    "nvfp4": (schemes.NVFP4, 10),
}
"""By name, with the least signal-to-noise ratio in dB of an output and its gradients."""


def products(layer: Callable[[Tensor], Tensor], weight: Tensor, rows: int = 48) -> list[Tensor]:
    """The output of drawn inputs, and the gradients of input and weight."""
    x = torch.randn(rows, 64, generator=torch.Generator().manual_seed(7)).requires_grad_()
    y = layer(x)
    upstream = torch.randn(y.shape, generator=torch.Generator().manual_seed(8))
    return [y.detach(), *torch.autograd.grad((y * upstream).sum(), [x, weight])]


def linear() -> nn.Linear:
    torch.manual_seed(5)
    return nn.Linear(64, 96)


def snr_db(signal: Tensor, with_noise: Tensor) -> float:
    return float(20 * torch.log10(signal.norm() / (signal - with_noise).norm()))


@pytest.mark.parametrize("name", SCHEMES)
def test_the_three_products_are_rounded_in_the_region_and_plain_outside(name: str) -> None:
    make, least_db = SCHEMES[name]
    plain, region = linear(), Region()
    layer = LowPrecisionLinear(plain, Emulated(make()), region)
    wanted = products(plain, plain.weight)
    assert all(map(torch.equal, products(layer, layer.weight), wanted))
    torch.manual_seed(1)
    with region.entered():
        products(layer, layer.weight)  # delayed scales know nothing of the first
        rounded = products(layer, layer.weight)
    ratios = [snr_db(*pair) for pair in zip(wanted, rounded, strict=True)]
    assert min(ratios) > least_db, ratios
    assert max(ratios) < 40, ratios
    assert all(map(torch.equal, products(layer, layer.weight), wanted))


@pytest.mark.parametrize("rows", [1, 15, 33])
@pytest.mark.parametrize("name", SCHEMES)
def test_any_number_of_rows_will_do(name: str, rows: int) -> None:
    plain, region = linear(), Region()
    layer = LowPrecisionLinear(plain, Emulated(SCHEMES[name][0]()), region)
    with region.entered():
        rounded = products(layer, layer.weight, rows)
    assert all(t.isfinite().all() for t in rounded)
    assert rounded[1].shape == (rows, 64)


def test_a_layer_keeps_its_parameters_and_its_names() -> None:
    plain, region = linear(), Region()
    layer = LowPrecisionLinear(plain, Emulated(schemes.Rowwise()), region)
    assert layer.weight is plain.weight
    assert layer.bias is plain.bias
    assert list(layer.state_dict()) == ["weight", "bias"]
    twin = copy.deepcopy(layer)
    assert twin.region is region
    assert twin.weight is not layer.weight


def test_under_autocast_inputs_and_outputs_are_of_its_format() -> None:
    region = Region()
    layer = LowPrecisionLinear(linear(), Emulated(schemes.Rowwise()), region)
    with torch.autocast("cpu", dtype=torch.bfloat16), region.entered():
        y = layer(torch.randn(2, 3, 64))
    assert y.dtype == torch.bfloat16
    assert y.shape == (2, 3, 96)
    y.float().sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32


def test_a_delayed_scale_is_that_of_the_steps_before() -> None:
    scale = DelayedScale(E4M3, history=2)
    seen = []
    for largest in (4.0, 2.0, 8.0, 1.0, 1.0, float("inf"), 1.0):
        scale.see(torch.tensor([largest, -0.5]))
        seen.append(448.0 / float(scale.scale))
    # Nothing yet; then the largest of the last two, of which what is not finite counts as nothing.
    assert seen == [448.0, 4.0, 4.0, 8.0, 8.0, 1.0, 1.0]


def test_what_is_carried_is_saved_and_loaded_in_place() -> None:
    plain, region = linear(), Region()
    first, second = (LowPrecisionLinear(plain, Emulated(schemes.Delayed(4)), region) for _ in range(2))
    with region.entered():
        for _ in range(3):
            products(first, plain.weight)
        for name, tensor in second.product.state().items():
            tensor.copy_(first.product.state()[name])
        assert all(map(torch.equal, products(first, plain.weight), products(second, plain.weight)))


@pytest.mark.parametrize("name", ["rowwise", "tensorwise"])
def test_fp8_equals_torchaos_emulation(name: str) -> None:
    float8 = pytest.importorskip("torchao.float8")
    plain, region = linear(), Region()
    layer = LowPrecisionLinear(plain, Emulated(SCHEMES[name][0]()), region)
    config = dataclasses.replace(float8.Float8LinearConfig.from_recipe_name(name), emulate=True)
    twin = float8.convert_to_float8_training(nn.Sequential(copy.deepcopy(plain)), config=config)
    with region.entered():
        ours = products(layer, layer.weight)
    assert all(map(torch.equal, ours, products(twin, twin[0].weight)))


@pytest.mark.parametrize("name", ["mxfp8", "mxfp4"])
def test_mx_equals_torchaos_emulation(name: str) -> None:
    mx = pytest.importorskip("torchao.prototype.moe_training.mxfp8_linear")
    from torchao.prototype.mx_formats import config
    from torchao.quantization.quantize_.common.kernel_preference import KernelPreference

    element = torch.float8_e4m3fn if name == "mxfp8" else torch.float4_e2m1fn_x2
    choices = (config.MXFP8Dim0CastKernelChoice.TORCH, config.MXFP8Dim1CastKernelChoice.TORCH)
    plain, region = linear(), Region()

    def twin(x: Tensor) -> Tensor:
        mode, emulated = config.ScaleCalculationMode.RCEIL, KernelPreference.EMULATED
        y: Tensor = mx.mx_mm.apply(x, plain.weight, element, element, element, 32, emulated, *choices, mode, False)
        return y + plain.bias

    layer = LowPrecisionLinear(plain, Emulated(SCHEMES[name][0]()), region)
    with region.entered():
        ours = products(layer, plain.weight, rows=64)
    assert all(map(torch.equal, ours, products(twin, plain.weight, rows=64)))


def test_scores_by_distance_are_rounded_for_one_query_as_for_many() -> None:
    torch.manual_seed(2)
    scores, region, calls = DistanceScores(32, 2), Region(), []
    emulated = Emulated(schemes.Microscaling(E2M1))

    class Counted:
        def __call__(self, x: Tensor, weight: Tensor) -> Tensor:
            calls.append(len(x))
            return emulated(x, weight)

        def state(self) -> dict[str, Tensor]:
            return {}

    scores.project = LowPrecisionLinear(scores.project, Counted(), region)
    q = torch.randn(1, 1, 2, 16)
    with torch.no_grad(), region.entered():
        alone = scores(q, 16)
        many = scores(q.expand(64, 1, 2, 16), 16)
    assert calls == [18, 18]
    torch.testing.assert_close(alone.expand_as(many), many)
    with torch.no_grad():
        assert not torch.allclose(scores(q, 16), alone)
    assert calls == [18, 18]
