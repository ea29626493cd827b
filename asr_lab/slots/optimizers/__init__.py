"""Slot `[optimizer]`: how gradients move weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import Slot, section

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer as TorchOptimizer


def wrong_betas(betas: tuple[float, float]) -> str | None:
    """What is wrong with the decay rates of Adam's two moments, or None."""
    return None if all(0 <= beta < 1 for beta in betas) else "must both be 0 or more and below 1"


@section
class Group:
    """Parameters with settings of their own."""

    match: tuple[str, ...] = attrs.field(validator=v.sized(1, 1000))
    """Patterns over parameter names; `*` matches anything. The first group that matches takes the parameter."""
    lr_scale: float = attrs.field(default=1.0, validator=v.between(0, 1e6))
    """Factor on the learning rate."""
    weight_decay: float | None = attrs.field(default=None, validator=v.optional(v.between(0, 1e6)))
    """Weight decay of this group; default: the optimizer's."""


DEFAULT_GROUPS = (Group(match=("*.bias", "*norm*", "*.dt_bias", "*.A_log", "*.D"), weight_decay=0.0),)
"""Vectors are not decayed."""


@section
class Optimizer(Slot):
    """The update rule; the schedule scales its peak learning rate."""

    peak_lr: float = attrs.field(default=1e-3, validator=v.above(0, 1))
    """Learning rate at the schedule's highest point."""
    weight_decay: float = attrs.field(default=1e-3, validator=v.between(0, 1e6))
    """Decoupled weight decay."""
    clip_norm: float | None = attrs.field(default=1.0, validator=v.optional(v.between(1e-9, 1e9)))
    """Largest norm of the whole gradient; longer ones are scaled down to it."""
    group: tuple[Group, ...] = attrs.field(default=DEFAULT_GROUPS, validator=v.max_len(100))
    """Settings for parameters by name."""

    @property
    def has_own_groups(self) -> bool:
        """Whether the recipe wrote `group`: its patterns must match something, the default's need not."""
        return self.group != DEFAULT_GROUPS

    def build(self, model: nn.Module) -> TorchOptimizer:
        """The optimizer over the model's trainable parameters, each group with its `lr_scale` and `weight_decay`."""
        raise NotImplementedError
