"""AdamW."""

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
class AdamW(Optimizer):
    """Adam with decoupled weight decay (arXiv 1711.05101)."""

    betas: tuple[float, float] = attrs.field(default=(0.9, 0.98), validator=v.checked_by(wrong_betas))
    """Decay rates of the first and second moments."""
    eps: float = attrs.field(default=1e-8, validator=v.between(1e-20, 1))
    """Added to the denominator."""

    def build(self, model: nn.Module) -> TorchOptimizer:
        import torch

        from asr_lab.training.groups import parameter_groups

        groups = parameter_groups(model, self.group, self.weight_decay, strict=self.has_own_groups)
        return torch.optim.AdamW(groups, lr=self.peak_lr, betas=self.betas, eps=self.eps, fused=True)
