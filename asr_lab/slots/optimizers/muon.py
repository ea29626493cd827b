"""Muon for matrices, AdamW for everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.slots.optimizers import Optimizer, wrong_betas

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer as TorchOptimizer


@section
class Muon(Optimizer):
    """Orthogonalised momentum for hidden matrices, scaled to AdamW's step (arXiv 2502.16982); AdamW for the rest.

    Hidden matrices are the weights of linear layers; kernels, tables of embeddings and vectors are the rest. The same
    `peak_lr` and `weight_decay` serve both.
    """

    peak_lr: float = attrs.field(default=3e-3, validator=v.above(0, 1))
    """Learning rate at the schedule's highest point."""
    momentum: float = attrs.field(default=0.95, validator=v.all_of(v.ge(0), v.lt(1)))
    """Decay rate of the matrices' (Nesterov) momentum."""
    ns_steps: int = attrs.field(default=5, validator=v.between(1, 100))
    """Newton-Schulz iterations that orthogonalise it."""
    adamw: tuple[str, ...] = ("heads.*.output.*",)
    """Patterns over the names of linear layers' matrices that AdamW moves all the same; by default output layers."""
    betas: tuple[float, float] = attrs.field(default=(0.9, 0.98), validator=v.checked_by(wrong_betas))
    """AdamW's decay rates of the first and second moments."""
    eps: float = attrs.field(default=1e-8, validator=v.between(1e-20, 1))
    """Added to AdamW's denominator."""

    def build(self, model: nn.Module) -> TorchOptimizer:
        from asr_lab.training.groups import parameter_groups
        from asr_lab.training.muon import MuonWithAdamW, is_hidden_matrix

        groups = parameter_groups(model, self.group, self.weight_decay, strict=self.has_own_groups)
        return MuonWithAdamW(
            groups,
            is_hidden_matrix(model, self.adamw),
            lr=self.peak_lr,
            momentum=self.momentum,
            ns_steps=self.ns_steps,
            betas=self.betas,
            eps=self.eps,
        )
