"""From gradients to new weights: norm, clipping, loss scale, optimizer, average."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from asr_lab.training.forward_backward import StepLosses
from asr_lab.training.parallel.shards import local
from asr_lab.training.parallel.strategy import RunningAverage, Strategy

_LOWEST_SCALE = 1.0
"""Below this loss scale an overflow under fp16 is a fault of the model, not of the scale."""


class Measured(NamedTuple):
    """A step's numbers, read from the device at once."""

    loss: float
    """Sum over utterances."""
    parts: dict[str, float]
    """By decoder."""
    norm: float
    """Of the whole gradient, before clipping."""
    cause: str
    """Why the weights must stay as they are; empty when they may move."""
    fault: bool
    """Whether that counts against `max_nonfinite`: an overflow that a lower loss scale heals does not."""


class OptimizerUpdate:
    """Moves the weights by the gradients that a step left on them.

    `is_ordered`: the norm is one sum in one order, whose bits depend on nothing but the gradient.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        scaler: torch.amp.GradScaler | None,
        clip_norm: float | None,
        average: RunningAverage | None,
        strategy: Strategy,
    ) -> None:
        self.strategy = strategy
        self.optimizer = optimizer
        if strategy.bitwise:
            _unfuse(optimizer)
        self.scaler = scaler
        self.clip_norm = clip_norm
        self.average = average
        self.peak_lr = float(optimizer.defaults["lr"])
        self._names = {p: name for name, p in model.named_parameters()}
        self._trained = [p for group in optimizer.param_groups for p in group["params"]]

    def set_lr(self, factor: float) -> float:
        """Set each group's learning rate to factor × peak × `lr_scale`; returns factor × peak."""
        lr = self.peak_lr * factor
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group.get("lr_scale", 1.0)
        return lr

    def measure(self, sums: StepLosses, what: str = "losses") -> Measured:
        """Read losses and gradient norm, in the step's only synchronisation, and judge them; unscales the gradients."""
        if not sums.parts:
            return Measured(0.0, {}, 0.0, "no usable utterance in the step", False)
        gradients = self._gradients()
        self.strategy.complete(gradients)
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        norm = self.strategy.norm(gradients)
        rows = [rows.sum() for rows in sums.rows] or [norm.new_zeros(())]
        own = torch.stack(
            [v.double().to(norm.device) for v in (torch.stack(rows).double().sum(), *sums.parts.values())]
        )
        loss, *others, length = torch.cat([self.strategy.sum(own, what), norm.double()[None]]).tolist()
        parts = dict(zip(sums.parts, others, strict=True))
        cause, fault = self._judge(loss, length)
        return Measured(loss, parts, length, cause, fault)

    def apply(self, measured: Measured) -> None:
        """Clip, step, average, unless there is a cause not to; then forget the gradients."""
        if not measured.cause:
            if self.clip_norm is not None and measured.norm > self.clip_norm:
                # What clip_grads_with_norm_ does; the norm is known, so the usual step skips the pass.
                torch._foreach_mul_([local(g) for g in self._gradients()], self.clip_norm / (measured.norm + 1e-6))
            self.optimizer.step()  # unscaled and finite: nothing is left that the scaler's own step would see to
            if self.average is not None:
                self.average.update()
        if self.scaler is not None and any(p.grad is not None for p in self._trained):
            self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)

    def _judge(self, loss: float, norm: float) -> tuple[str, bool]:
        if not math.isfinite(loss):
            return f"the loss is {loss}", True
        if math.isfinite(norm):
            return "", False
        if self.scaler is not None and (scale := self.scaler.get_scale()) >= _LOWEST_SCALE:
            return f"overflow at loss scale {scale:g}", False
        broken = self._not_finite()
        return f"the gradient's norm is {norm}" + (f", first in {', '.join(broken[:3])}" if broken else ""), True

    def _not_finite(self) -> list[str]:
        """Parameters whose gradient is not, on whatever rank; all ranks ask."""
        own = [p.grad is not None and not bool(torch.isfinite(local(p.grad)).all()) for p in self._trained]
        found = self.strategy.sum(torch.tensor(own, dtype=torch.int64), "gradients that are not finite")
        return [self._names[p] for p, count in zip(self._trained, found.tolist(), strict=True) if count]

    def _gradients(self) -> list[Tensor]:
        return [p.grad for p in self._trained if p.grad is not None]


def _unfuse(optimizer: Optimizer) -> None:
    """Have each product and sum of an update be one of its own, a number for a number.

    The fused kernel computes the last few numbers of a tensor otherwise than those before them, so that what a number
    becomes depends on how many stand beside it in its shard: 3 of 100,000 differed.
    """
    for group in optimizer.param_groups:
        if group.get("fused"):
            group["fused"], group["foreach"] = False, True
