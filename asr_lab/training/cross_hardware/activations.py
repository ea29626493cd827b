"""Activations and their gradients, from exact functions in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from asr_lab.training.cross_hardware import exact_functions as functions


def silu(x: Tensor) -> Tensor:
    wide = x.to(torch.float64)
    return (wide * functions.sigmoid(wide)).to(x.dtype)


def silu_backward(grad: Tensor, x: Tensor) -> Tensor:
    wide = x.to(torch.float64)
    s = functions.sigmoid(wide)
    return (grad.to(torch.float64) * (s * (1 + wide * (1 - s)))).to(x.dtype)


def sigmoid_backward(grad: Tensor, y: Tensor) -> Tensor:
    return grad * (y * (1 - y))


def tanh_backward(grad: Tensor, y: Tensor) -> Tensor:
    return grad * (1 - y * y)


def glu(x: Tensor, dim: int = -1) -> Tensor:
    a, b = x.chunk(2, dim)
    return a * functions.sigmoid(b)


def glu_backward(grad: Tensor, x: Tensor, dim: int) -> Tensor:
    a, b = x.chunk(2, dim)
    s = functions.sigmoid(b)
    return torch.cat([grad * s, grad * a * (s * (1 - s))], dim)


def gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    if approximate != "none":
        raise NotImplementedError("gelu(approximate='tanh')")
    wide = x.to(torch.float64)
    return (0.5 * wide * (1 + functions.erf(wide * 2**-0.5))).to(x.dtype)


def gelu_backward(grad: Tensor, x: Tensor, *, approximate: str = "none") -> Tensor:
    if approximate != "none":
        raise NotImplementedError("gelu(approximate='tanh')")
    wide = x.to(torch.float64)
    density = functions.exp(-0.5 * wide * wide) * 0.3989422804014327  # 1 / sqrt(2 pi)
    slope = 0.5 * (1 + functions.erf(wide * 2**-0.5)) + wide * density
    return (grad.to(torch.float64) * slope).to(x.dtype)


def softplus(x: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    if beta != 1:
        raise NotImplementedError("softplus(beta)")
    return torch.where(x > threshold, x, functions.softplus(x))


def softplus_backward(grad: Tensor, x: Tensor, beta: float, threshold: float) -> Tensor:
    if beta != 1:
        raise NotImplementedError("softplus(beta)")
    return torch.where(x > threshold, grad, grad * functions.sigmoid(x))


ACTIVATIONS: Mapping[str, Callable[..., Any]] = {
    "sigmoid_backward": sigmoid_backward,
    "tanh_backward": tanh_backward,
    "silu": silu,
    "silu_backward": silu_backward,
    "glu": glu,
    "glu_backward": glu_backward,
    "gelu": gelu,
    "gelu_backward": gelu_backward,
    "softplus": softplus,
    "softplus_backward": softplus_backward,
}
"""By the operator's name."""
