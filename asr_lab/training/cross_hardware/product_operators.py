"""Operators made of matrix products and convolutions, on RepDL's or its twin's."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from asr_lab.training.cross_hardware import exact_functions as functions
from asr_lab.training.cross_hardware.operators import softmax, softmax_backward
from asr_lab.training.cross_hardware.ordered_sums import ordered_product, ordered_sum
from asr_lab.training.cross_hardware.products import KernelCut, Products


def mm(products: Products, a: Tensor, b: Tensor) -> Tensor:
    """Float32 as RepDL has it, float64 (features use it for sums over time) in separate products and sums."""
    if a.dtype == torch.float64:
        return ordered_product(a, b)
    if a.dtype != torch.float32 or b.dtype != torch.float32:
        raise NotImplementedError(f"a product of {a.dtype} and {b.dtype}")
    return products.mm(a, b)


def bmm(products: Products, a: Tensor, b: Tensor) -> Tensor:
    if not len(a):
        return a.new_zeros(0, a.shape[1], b.shape[2])
    return torch.stack([mm(products, x, y) for x, y in zip(a.unbind(0), b.unbind(0), strict=True)])


def mv(products: Products, a: Tensor, b: Tensor) -> Tensor:
    return mm(products, a, b[:, None])[:, 0]


def dot(products: Products, a: Tensor, b: Tensor) -> Tensor:
    return mm(products, a[None], b[:, None])[0, 0]


def addmm(products: Products, bias: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    return _scaled(mm(products, a, b), alpha) + _scaled(bias, beta)


def baddbmm(products: Products, bias: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    return _scaled(bmm(products, a, b), alpha) + _scaled(bias, beta)


def _scaled(x: Tensor, factor: float) -> Tensor:
    return x if factor == 1 else x * factor


def convolution(
    products: Products,
    image: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Tensor:
    cut, image, kernel = _as_images(image, kernel, stride, padding, dilation, transposed, groups)
    y = products.conv2d(image, kernel, cut)
    y = y if bias is None else y + bias[:, None, None]
    return y[:, :, 0] if len(stride) == 1 else y


def convolution_backward(
    products: Products,
    grad: Tensor,
    image: Tensor,
    kernel: Tensor,
    bias_sizes: Sequence[int] | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
    wanted: Sequence[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    one_axis = len(stride) == 1
    grad = grad[:, :, None] if one_axis else grad
    cut, image, kernel = _as_images(image, kernel, stride, padding, dilation, transposed, groups)
    size, kernel_size = (image.shape[2], image.shape[3]), (kernel.shape[2], kernel.shape[3])
    dimage = dkernel = dbias = None
    if wanted[0]:
        dimage = products.conv2d_image(grad, kernel, size, cut)
        dimage = dimage[:, :, 0] if one_axis else dimage
    if wanted[1]:
        dkernel = products.conv2d_kernel(grad, image, kernel_size, cut)
        dkernel = dkernel[:, :, 0] if one_axis else dkernel
    if wanted[2]:
        dbias = ordered_sum(grad, [0, 2, 3])
    return dimage, dkernel, dbias


def _as_images(
    image: Tensor,
    kernel: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    groups: int,
) -> tuple[KernelCut, Tensor, Tensor]:
    """A convolution over one axis as one over images a row high."""
    if transposed or any(d != 1 for d in dilation) or image.dtype != torch.float32 or len(stride) > 2:
        raise NotImplementedError("a convolution that is transposed, dilated, of three axes or not float32")
    if len(stride) == 1:
        return KernelCut((1, stride[0]), (0, padding[0]), groups), image[:, :, None], kernel[:, :, None]
    return KernelCut((stride[0], stride[1]), (padding[0], padding[1]), groups), image, kernel


def spectrum(products: Products, x: Tensor, dims: Sequence[int], normalization: int, onesided: bool) -> Tensor:
    """The discrete Fourier transform of real frames (…, N) as products with cosines and sines: (…, N // 2 + 1)."""
    if list(dims) not in ([x.ndim - 1], [-1]) or normalization != 0 or not onesided:
        raise NotImplementedError("a Fourier transform other than torch.fft.rfft over the last axis")
    size = x.shape[-1]
    turns = torch.arange(size)[:, None] * torch.arange(size // 2 + 1) % size  # whole numbers: nothing is lost
    angle = turns.to(torch.float64) * (2 * math.pi) / size
    waves = torch.cat([functions.cos(angle), -functions.sin(angle)], 1).to(x.dtype)  # (N, 2F)
    both = mm(products, x.reshape(-1, size), waves).view(*x.shape[:-1], 2, size // 2 + 1)
    return torch.complex(both[..., 0, :], both[..., 1, :])


def attention(
    products: Products,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    dropout: float = 0.0,
    causal: bool = False,
    *,
    attn_mask: Tensor | None = None,
    scale: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Softmax attention of heads (B, H, T, K); its second result is never read."""
    weights = _attention_weights(products, q, k, dropout, causal, attn_mask, scale)
    y = bmm(products, weights.flatten(0, 1), v.reshape(-1, *v.shape[2:])).view(q.shape)
    return y, q.new_zeros(q.shape[:-1])


def attention_backward(
    products: Products,
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    logsumexp: Tensor,
    dropout: float,
    causal: bool,
    *,
    attn_mask: Tensor | None = None,
    scale: float | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    weights = _attention_weights(products, q, k, dropout, causal, attn_mask, scale).flatten(0, 1)
    grad, flat_q, flat_k, flat_v = (x.reshape(-1, *x.shape[2:]) for x in (grad, q, k, v))
    dv = bmm(products, weights.mT, grad)
    dweights = bmm(products, grad, flat_v.mT)
    factor = _root_of(q.shape[-1]) if scale is None else scale
    dscores = softmax_backward(dweights, weights, -1, weights.dtype) * factor
    dq, dk = bmm(products, dscores, flat_k), bmm(products, dscores.mT, flat_q)
    return dq.view(q.shape), dk.view(k.shape), dv.view(v.shape)


def _attention_weights(
    products: Products,
    q: Tensor,
    k: Tensor,
    dropout: float,
    causal: bool,
    mask: Tensor | None,
    scale: float | None,
) -> Tensor:
    if dropout:
        raise NotImplementedError("attention with dropout in one kernel")
    factor = _root_of(q.shape[-1]) if scale is None else scale
    scores = bmm(products, q.reshape(-1, *q.shape[2:]), k.reshape(-1, *k.shape[2:]).mT)
    scores = scores.view(*q.shape[:2], q.shape[2], k.shape[2]) * factor
    if causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask
    return softmax(scores, -1)


def _root_of(width: int) -> float:
    return 1 / math.sqrt(width)


PRODUCTS: Mapping[str, Callable[..., Any]] = {
    "mm": mm,
    "bmm": bmm,
    "mv": mv,
    "dot": dot,
    "addmm": addmm,
    "baddbmm": baddbmm,
    "convolution": convolution,
    "convolution_backward": convolution_backward,
    "_fft_r2c": spectrum,
    "_scaled_dot_product_flash_attention_for_cpu": attention,
    "_scaled_dot_product_flash_attention_for_cpu_backward": attention_backward,
}
"""By the operator's name; the first argument is who multiplies."""
