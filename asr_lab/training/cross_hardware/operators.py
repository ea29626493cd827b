"""What stands in the place of torch's operators whose bits depend on the machine.

Each function takes an operator's arguments and gives its result by operators of `EXACT` alone: sums are ordered, what a
library would contract or approximate is taken apart. Those that need products are in `product_operators`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from asr_lab.training.cross_hardware import exact_functions as functions
from asr_lab.training.cross_hardware.activations import ACTIVATIONS
from asr_lab.training.cross_hardware.draws import bernoulli, dropped, normal, normal_like, normal_of, uniform
from asr_lab.training.cross_hardware.losses import LOSSES
from asr_lab.training.cross_hardware.ordered_sums import ordered_sum, running_sum

_EXACT = """
_has_same_storage_numel _local_scalar_dense _reshape_alias _to_copy _unsafe_view abs add alias amax amin arange
argmax argmin as_strided bitwise_and bitwise_not bitwise_or bucketize cat ceil clamp clamp_max clamp_min clone
complex constant_pad_nd copy detach diagonal div embedding empty empty_like empty_strided eq equal expand eye fill
flip floor full full_like gather ge gt index index_select is_nonzero isfinite isinf isnan le lift_fresh logical_and
logical_not logical_or lt masked_fill masked_select max maximum min minimum mul nan_to_num ne neg new_empty
new_empty_strided new_full new_ones new_zeros nonzero ones ones_like permute rand real relu repeat resize roll round
rsub scalar_tensor scatter select select_backward select_scatter sgn sign slice slice_backward slice_scatter sort
split split_with_sizes squeeze stack sub t threshold_backward topk transpose tril triu trunc unbind unfold
unsqueeze view view_as_complex view_as_real where zero zeros zeros_like
"""
EXACT = frozenset(_EXACT.split())
"""Operators that move, compare and choose values, and those that IEEE 754 rounds: one result on every machine."""


def add(x: Tensor, y: Any, alpha: float = 1) -> Tensor:
    return torch.add(x, y if alpha == 1 else torch.mul(y, alpha))


def sub(x: Tensor, y: Any, alpha: float = 1) -> Tensor:
    return torch.sub(x, y if alpha == 1 else torch.mul(y, alpha))


def rsub(x: Tensor, y: Any, alpha: float = 1) -> Tensor:
    return torch.neg(sub(torch.mul(x, alpha), y))


def addcmul(x: Tensor, a: Tensor, b: Tensor, value: float = 1) -> Tensor:
    product: Tensor = a * b * value
    return x + product


def addcdiv(x: Tensor, a: Tensor, b: Tensor, value: float = 1) -> Tensor:
    quotient: Tensor = a / b * value
    return x + quotient


def lerp(start: Tensor, end: Tensor, weight: Any) -> Tensor:
    moved: Tensor = (end - start) * weight
    return start + moved


def rsqrt(x: Tensor) -> Tensor:
    return (1 / functions.root(x.to(torch.float64))).to(x.dtype)


def reciprocal(x: Tensor) -> Tensor:
    return torch.div(torch.ones_like(x), x)


def power(base: Any, exponent: Any) -> Tensor:
    """Products, roots and quotients where the exponent is a small number, else by exp and log."""
    if isinstance(base, Tensor) and not isinstance(exponent, Tensor):
        if exponent in (0.5, -0.5):
            return functions.root(base) if exponent > 0 else rsqrt(base)
        if exponent == -1:
            return reciprocal(base)
        if exponent in (1, 2, 3, 4):
            result = base.clone()
            for _ in range(int(exponent) - 1):
                result = result * base
            return result
    like = base if isinstance(base, Tensor) else exponent
    kind = like.dtype if like.is_floating_point() else torch.float32
    base, exponent = (x if isinstance(x, Tensor) else torch.full_like(like, x, dtype=kind) for x in (base, exponent))
    return functions.power(base, exponent)


def total(
    x: Tensor, dims: Sequence[int] | None = None, keepdim: bool = False, *, dtype: torch.dtype | None = None
) -> Tensor:
    x = x if dtype is None else x.to(dtype)
    every = dims or range(x.ndim)
    if not x.is_floating_point():
        return torch.sum(x, list(every), keepdim)
    return ordered_sum(x, list(every), keepdim)


def mean(
    x: Tensor, dims: Sequence[int] | None = None, keepdim: bool = False, *, dtype: torch.dtype | None = None
) -> Tensor:
    x = x if dtype is None else x.to(dtype)
    every = list(dims or range(x.ndim))
    count = math.prod(x.shape[dim] for dim in every)
    return (ordered_sum(x.to(torch.float64), every, keepdim) / count).to(x.dtype)


def vector_norm(
    x: Tensor,
    order: float = 2,
    dims: Sequence[int] | None = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
) -> Tensor:
    if order != 2:
        raise NotImplementedError(f"a norm of order {order}")
    wide = x.to(torch.float64)
    every = list(dims or range(x.ndim))
    return functions.root(ordered_sum(wide * wide, every, keepdim)).to(dtype or x.dtype)


def cumulative(x: Tensor, dim: int, *, dtype: torch.dtype | None = None) -> Tensor:
    x = x if dtype is None else x.to(dtype)
    return running_sum(x, dim) if x.is_floating_point() else torch.cumsum(x, dim)


def logsumexp(x: Tensor, dims: Sequence[int], keepdim: bool = False) -> Tensor:
    wide = x.to(torch.float64)
    highest = wide.amax(list(dims), keepdim=True)
    highest = torch.where(highest.isinf(), 0.0, highest)
    found = functions.log(ordered_sum(functions.exp(wide - highest), list(dims), keepdim=True)) + highest
    return (found if keepdim else found.squeeze(tuple(dims))).to(x.dtype)


def softmax(x: Tensor, dim: int, half_to_float: bool = False) -> Tensor:
    wide = x.to(torch.float64)
    powers = functions.exp(wide - wide.amax(dim, keepdim=True))
    return (powers / ordered_sum(powers, [dim], keepdim=True)).to(x.dtype)


def softmax_backward(grad: Tensor, y: Tensor, dim: int, dtype: torch.dtype) -> Tensor:
    along = (grad * y).to(torch.float64)
    return (along - y * ordered_sum(along, [dim], keepdim=True)).to(y.dtype)


def log_softmax(x: Tensor, dim: int, half_to_float: bool = False) -> Tensor:
    wide = x.to(torch.float64)
    return (wide - logsumexp(wide, [dim], keepdim=True)).to(x.dtype)


def log_softmax_backward(grad: Tensor, y: Tensor, dim: int, dtype: torch.dtype) -> Tensor:
    wide = grad.to(torch.float64)
    return (wide - functions.exp(y.to(torch.float64)) * ordered_sum(wide, [dim], keepdim=True)).to(y.dtype)


def layer_norm(
    x: Tensor, shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    dims = list(range(x.ndim - len(shape), x.ndim))
    wide, count = x.to(torch.float64), math.prod(shape)
    centre = ordered_sum(wide, dims, keepdim=True) / count
    centred = wide - centre
    scale = 1 / functions.root(ordered_sum(centred * centred, dims, keepdim=True) / count + eps)
    y = centred * scale
    y = y if weight is None else y * weight
    y = y if bias is None else y + bias
    return y.to(x.dtype), centre.to(x.dtype), scale.to(x.dtype)


def layer_norm_backward(
    grad: Tensor,
    x: Tensor,
    shape: Sequence[int],
    centre: Tensor,
    scale: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    wanted: Sequence[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    dims = list(range(x.ndim - len(shape), x.ndim))
    rows = list(range(x.ndim - len(shape)))
    count = math.prod(shape)
    wide, normed = grad.to(torch.float64), (x.to(torch.float64) - centre) * scale
    through = wide if weight is None else wide * weight
    dx = dweight = dbias = None
    if wanted[0]:
        level = ordered_sum(through, dims, keepdim=True) / count
        along = ordered_sum(through * normed, dims, keepdim=True) / count
        dx = ((through - level - normed * along) * scale).to(x.dtype)
    if wanted[1] and weight is not None:
        dweight = ordered_sum(wide * normed, rows).to(weight.dtype)
    if wanted[2] and bias is not None:
        dbias = ordered_sum(wide, rows).to(bias.dtype)
    return dx, dweight, dbias


def embedding_dense_backward(grad: Tensor, indices: Tensor, rows: int, padding: int, by_frequency: bool) -> Tensor:
    _require(not by_frequency, "an embedding scaled by frequency")
    table = grad.new_zeros(rows, grad.shape[-1])
    for row, index in zip(grad.reshape(-1, grad.shape[-1]).unbind(0), indices.reshape(-1).tolist(), strict=True):
        if index != padding:
            table[index] = table[index] + row
    return table


def adamw(
    weights: Sequence[Tensor],
    gradients: Sequence[Tensor],
    means: Sequence[Tensor],
    squares: Sequence[Tensor],
    largest: Sequence[Tensor],
    steps: Sequence[Tensor],
    *,
    lr: Any,
    beta1: float,
    beta2: float,
    weight_decay: float,
    eps: float,
    amsgrad: bool,
    maximize: bool,
    grad_scale: Tensor | None = None,
    found_inf: Tensor | None = None,
) -> None:
    """AdamW in separate products, sums and quotients, in place; the counts of steps are this one's already."""
    _require(not amsgrad and not maximize and grad_scale is None and found_inf is None, "adamw(amsgrad or maximize)")
    rate = float(lr)
    for weight, gradient, average, square, step in zip(weights, gradients, means, squares, steps, strict=True):
        number = int(step)
        weight.mul_(1 - rate * weight_decay)
        average.copy_(average * beta1 + gradient * (1 - beta1))
        square.copy_(square * beta2 + gradient * gradient * (1 - beta2))
        first, second = 1 - _to_the(beta1, number), 1 - _to_the(beta2, number)
        deviation = functions.root(square) / math.sqrt(second) + eps
        weight.copy_(weight - average / deviation * (rate / first))


def _to_the(base: float, exponent: int) -> float:
    """A power by squaring: the C library's own has its last bit from the processor."""
    result = 1.0
    while exponent:
        result = result * base if exponent & 1 else result
        base, exponent = base * base, exponent >> 1
    return result


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise NotImplementedError(what)


ORDERED: Mapping[str, Callable[..., Any]] = {
    "add": add,
    "sub": sub,
    "rsub": rsub,
    "addcmul": addcmul,
    "addcdiv": addcdiv,
    "lerp": lerp,
    "sqrt": functions.root,
    "rsqrt": rsqrt,
    "reciprocal": reciprocal,
    "pow": power,
    "square": lambda x: x * x,
    "sum": total,
    "mean": mean,
    "linalg_vector_norm": vector_norm,
    "cumsum": cumulative,
    "logsumexp": logsumexp,
    "exp": functions.exp,
    "log": functions.log,
    "log10": functions.log10,
    "log1p": functions.log1p,
    "expm1": functions.expm1,
    "sin": functions.sin,
    "cos": functions.cos,
    "erf": functions.erf,
    "sigmoid": functions.sigmoid,
    "tanh": functions.tanh,
    "_softmax": softmax,
    "_safe_softmax": softmax,
    "_softmax_backward_data": softmax_backward,
    "_log_softmax": log_softmax,
    "_log_softmax_backward_data": log_softmax_backward,
    "native_layer_norm": layer_norm,
    "native_layer_norm_backward": layer_norm_backward,
    "embedding_dense_backward": embedding_dense_backward,
    "_fused_adamw": adamw,
    "uniform": uniform,
    "normal": normal,
    "randn": normal_of,
    "randn_like": normal_like,
    "bernoulli": bernoulli,
    "native_dropout": dropped,
    **ACTIVATIONS,
    **LOSSES,
}
"""By the operator's name, without the `_` of its in-place form."""
