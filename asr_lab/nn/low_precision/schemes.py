"""How the three matrix products of a linear layer are rounded: forward, the input's gradient, the weight's gradient.

All work on copies in float32 (float64 where that comes in) that hold the formats' values, so they run on any machine
and say what a GPU that has the formats would compute, but for the order of its sums.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from asr_lab.nn.low_precision import scaling
from asr_lab.nn.low_precision.delayed import DelayedScale
from asr_lab.nn.low_precision.formats import E2M1, E2M1_STOCHASTIC, E4M3, E5M2, Format


class Scheme:
    """The products of one linear layer; x is (M, K), weight (N, K), the output's gradient g (M, N)."""

    tile = 1
    """What K and N must be divided by."""

    def output(self, x: Tensor, weight: Tensor) -> Tensor:
        """x weightᵀ, (M, N)."""
        raise NotImplementedError

    def input_grad(self, g: Tensor, weight: Tensor) -> Tensor:
        """g weight, (M, K)."""
        raise NotImplementedError

    def weight_grad(self, g: Tensor, x: Tensor) -> Tensor:
        """gᵀ x, (N, K)."""
        raise NotImplementedError

    def see_gradient(self, g: Tensor) -> None:
        """Told once of each gradient before its products, for what is carried from step to step."""

    def state(self) -> dict[str, Tensor]:
        """What it carries from step to step; empty for schemes that look at the tensor alone."""
        return {}


class Rowwise(Scheme):
    """E4M3 in all three, each row scaled by a power of two of its own (torchao's recipe `rowwise`)."""

    tile = 16

    def output(self, x: Tensor, weight: Tensor) -> Tensor:
        return scaling.by_row(x, E4M3) @ scaling.by_row(weight, E4M3).T

    def input_grad(self, g: Tensor, weight: Tensor) -> Tensor:
        return scaling.by_row(g, E4M3) @ scaling.by_row(weight.T, E4M3).T

    def weight_grad(self, g: Tensor, x: Tensor) -> Tensor:
        return scaling.by_row(g.T, E4M3) @ scaling.by_row(x.T, E4M3).T


class Tensorwise(Scheme):
    """E4M3 forward and E5M2 for gradients, each tensor by one scale (torchao's recipe `tensorwise`)."""

    tile = 16

    def output(self, x: Tensor, weight: Tensor) -> Tensor:
        return scaling.by_tensor(x, E4M3) @ scaling.by_tensor(weight, E4M3).T

    def input_grad(self, g: Tensor, weight: Tensor) -> Tensor:
        return scaling.by_tensor(g, E5M2) @ scaling.by_tensor(weight, E4M3)

    def weight_grad(self, g: Tensor, x: Tensor) -> Tensor:
        return scaling.by_tensor(g, E5M2).T @ scaling.by_tensor(x, E4M3)


class Delayed(Scheme):
    """E4M3 forward and E5M2 for gradients, scaled by the largest magnitudes of the steps before.

    What a product rounds its gradient with is what the forward pass rounded x and the weight with. Source:
    TransformerEngine's `DelayedScaling` with `Format.HYBRID`, margin 0.
    """

    tile = 16

    def __init__(self, history: int) -> None:
        self.x, self.weight, self.g = (DelayedScale(form, history) for form in (E4M3, E4M3, E5M2))

    def output(self, x: Tensor, weight: Tensor) -> Tensor:
        self.x.see(x)
        self.weight.see(weight)
        return self.x.rounded(x) @ self.weight.rounded(weight).T

    def see_gradient(self, g: Tensor) -> None:
        self.g.see(g)

    def input_grad(self, g: Tensor, weight: Tensor) -> Tensor:
        return self.g.rounded(g) @ self.weight.rounded(weight)

    def weight_grad(self, g: Tensor, x: Tensor) -> Tensor:
        return self.g.rounded(g).T @ self.x.rounded(x)

    def state(self) -> dict[str, Tensor]:
        return {f"{name}.{key}": t for name in ("x", "weight", "g") for key, t in getattr(self, name).state().items()}


class Microscaling(Scheme):
    """MX blocks of 32 in all three products (torchao's `mx_mm`); M is padded with zeros to whole blocks."""

    tile = scaling.MX_BLOCK

    def __init__(self, form: Format) -> None:
        self.form = form

    def output(self, x: Tensor, weight: Tensor) -> Tensor:
        return self._rounded(x) @ self._rounded(weight).T

    def input_grad(self, g: Tensor, weight: Tensor) -> Tensor:
        return self._rounded(g) @ self._rounded(weight.T).T

    def weight_grad(self, g: Tensor, x: Tensor) -> Tensor:
        return self._rounded(_padded(g.T, self.tile)) @ self._rounded(_padded(x.T, self.tile)).T

    def _rounded(self, x: Tensor) -> Tensor:
        return scaling.mx_blocks(x, self.form).tensor()


class NVFP4(Scheme):
    """E2M1 in blocks of 16, weights in blocks of 16 by 16, gradients rounded stochastically.

    Both operands of the weight's gradient are rotated by the same Hadamard matrix with drawn signs. M is padded with
    zeros to whole blocks. Source: NVIDIA, "Pretraining Large Language Models with NVFP4" (arXiv:2509.25149).
    """

    tile = scaling.NVFP4_BLOCK

    def output(self, x: Tensor, weight: Tensor) -> Tensor:
        return scaling.nvfp4_blocks(x, E2M1).tensor() @ scaling.nvfp4_square(weight, E2M1).tensor().T

    def input_grad(self, g: Tensor, weight: Tensor) -> Tensor:
        return scaling.nvfp4_blocks(g, E2M1_STOCHASTIC).tensor() @ scaling.nvfp4_square(weight, E2M1).tensor()

    def weight_grad(self, g: Tensor, x: Tensor) -> Tensor:
        signs = 1.0 - 2.0 * torch.randint(0, 2, (self.tile,), device=g.device)
        g, x = (scaling.hadamard(_padded(t.T, self.tile), signs) for t in (g, x))
        return scaling.nvfp4_blocks(g, E2M1_STOCHASTIC).tensor() @ scaling.nvfp4_blocks(x, E2M1).tensor().T


def _padded(x: Tensor, size: int) -> Tensor:
    """With zeros behind the last dimension, to a multiple of `size`: they change no block's largest magnitude."""
    return F.pad(x, (0, -x.shape[-1] % size))
