"""Muon and AdamW as one optimizer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Parameter
from torch.optim import AdamW, Optimizer
from torch.optim import Muon as TorchMuon

from asr_lab.errors import LabError
from asr_lab.training.groups import first_match
from asr_lab.training.parallel.shards import local, own_part, whole


def is_hidden_matrix(model: nn.Module, adamw: Sequence[str]) -> Callable[[Parameter], bool]:
    """Whether a parameter is the matrix of a linear layer, is no embedding table, and has no name in `adamw`.

    The number of axes does not tell: kernels of depthwise convolutions and scores per head have two as well.
    """
    linear = {id(m.weight) for m in model.modules() if isinstance(m, nn.Linear)}
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    named = {id(p) for name, p in model.named_parameters() if first_match(name, [adamw]) == 0}
    chosen = linear - tables - named
    return lambda p: id(p) in chosen


def orthogonalised(x: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """Matrices (M, R, C) with all singular values near 1, by the quintic Newton-Schulz iteration of Muon's authors.

    In x's type. The iteration starts from singular values of at most 1. Muon's authors divide by the root of the sum
    of their squares; here that of their eighth powers bounds them, which the first step's products hold anyway: a
    matrix of even spectrum starts several times higher, and four steps do what five did. A Frobenius norm below `eps`
    counts as eps.

    Each step multiplies x from the left by a polynomial P of x x'. These commute, so where x is wide, the square
    matrices alone are iterated (half the work at 1:4); in bfloat16 that would lose too many digits.
    """
    if x.shape[1] > x.shape[2]:
        tall: Tensor = orthogonalised(x.mT, coefficients, steps, eps).mT
        return tall
    a, b, c = coefficients
    gram = x @ x.mT  # (M, R, R)
    squares = gram.diagonal(dim1=1, dim2=2).sum(1).clamp(min=eps * eps)[:, None, None]
    gram = gram / squares
    gram_2 = gram @ gram
    # The square of the norm by eighth powers; an even spectrum has the least.
    bound = gram_2.norm(dim=(1, 2), keepdim=True).sqrt().clamp(min=x.shape[1] ** -0.75)
    gram, gram_2 = gram / bound, gram_2 / bound.square()
    polynomial = (b * gram).add_(gram_2, alpha=c)
    polynomial.diagonal(dim1=1, dim2=2).add_(a)
    product: Tensor = polynomial / (squares * bound).sqrt()
    if x.shape[1] == x.shape[2] or x.dtype == torch.bfloat16:
        x = product @ x
        for _ in range(steps - 1):
            gram = x @ x.mT
            x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
        return x
    for _ in range(steps - 1):
        gram = polynomial @ (polynomial @ gram)
        polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        polynomial.diagonal(dim1=1, dim2=2).add_(a)
        product = polynomial @ product
    return product @ x


class Muon(TorchMuon):
    """torch's Muon with matrices of one shape orthogonalised together, and in single precision on processors.

    Its own step takes them one by one in bfloat16: processors without bfloat16 products emulate those, twenty times
    slower than float32 (measured with AVX2), and four fifths of a small model's training went there. Matrices that lie
    in shards are gathered, and every process orthogonalises them: the bits are those of one.
    """

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every matrix that has a gradient."""
        for group in self.param_groups:
            shapes: dict[tuple[torch.Size, torch.device], list[Parameter]] = {}
            for p in group["params"]:
                if p.grad is not None:
                    shapes.setdefault((p.shape, p.device), []).append(p)
            for parameters in shapes.values():
                self._move(parameters, group)

    def _move(self, parameters: Sequence[Parameter], group: dict[str, Any]) -> None:
        gradients = [p.grad for p in parameters if p.grad is not None]
        weights: list[Tensor] = list(parameters)
        buffers = []
        for p in parameters:
            state = self.state[p]
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(p, memory_format=torch.preserve_format)
            buffers.append(state["momentum_buffer"])
        torch._foreach_lerp_([local(b) for b in buffers], [local(g) for g in gradients], 1 - group["momentum"])
        update = torch.stack([whole(b) for b in buffers])
        if group["nesterov"]:
            update = torch.stack([whole(g) for g in gradients]).lerp_(update, group["momentum"])
        update = update.to(torch.float32 if update.device.type == "cpu" else torch.bfloat16)
        update = orthogonalised(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
        lr = float(group["lr"])
        torch._foreach_mul_([local(w) for w in weights], 1 - lr * group["weight_decay"])
        scale = 0.2 * math.sqrt(max(weights[0].shape))
        moves = [own_part(move, w) for move, w in zip(update.to(weights[0].dtype).unbind(), weights, strict=True)]
        torch._foreach_add_([local(w) for w in weights], moves, alpha=-lr * scale)


class MuonWithAdamW(Optimizer):
    """Muon on the matrices that `wants` picks and fused AdamW on the others, both on the same groups.

    Muon's update is orthogonalised by Newton-Schulz and scaled by 0.2 · sqrt(max(rows, columns)), which
    gives it AdamW's root mean square (arXiv 2502.16982), so one learning rate serves both. A group may hold both kinds;
    it is split and keeps its settings. LabError when there is no matrix for Muon.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        wants: Callable[[Parameter], bool],
        *,
        lr: float,
        momentum: float = 0.95,
        ns_steps: int = 5,
        betas: tuple[float, float] = (0.9, 0.98),
        eps: float = 1e-8,
    ) -> None:
        matrices: list[dict[str, Any]] = []
        others: list[dict[str, Any]] = []
        for group in groups:
            for chosen, kind in ((matrices, True), (others, False)):
                if params := [p for p in group["params"] if wants(p) is kind]:
                    chosen.append({**group, "params": params})
        if not matrices:
            raise LabError("optimizer: the model has no hidden matrix to train, so muon would be AdamW; use adamw")
        muon = Muon(
            matrices, lr=lr, momentum=momentum, nesterov=True, ns_steps=ns_steps, adjust_lr_fn="match_rms_adamw"
        )
        self._parts: list[Optimizer] = [muon]
        if others:
            self._parts.append(AdamW(others, lr=lr, betas=betas, eps=eps, fused=True))
        super().__init__([g for part in self._parts for g in part.param_groups], {"lr": lr})
        self._share()

    def _share(self) -> None:
        # One state and one list of groups, seen by both: what is set or loaded here holds there.
        start = 0
        for part in self._parts:
            end = start + len(part.param_groups)
            part.state, part.param_groups = self.state, self.param_groups[start:end]
            start = end

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        for part in self._parts:
            part.step()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state; each entry goes to the device its part wants it on."""
        super().load_state_dict(state_dict)
        self._share()
