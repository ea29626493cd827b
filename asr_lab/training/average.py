"""An exponential average of the weights."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)


class WeightAverage(Generic[M]):
    """An exponential moving average of a model's trainable weights, kept in a second module.

    After n updates the decay is min(decay, (1 + n) / (10 + n)), so that the start is soon forgotten (the warm-up of
    TensorFlow's ExponentialMovingAverage). Frozen weights and buffers are taken over as they are.
    """

    def __init__(self, model: M, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"an average's decay is at least 0 and below 1, got {decay}")
        self.decay = decay
        self.num_updates = 0
        self.module: M = copy.deepcopy(model).requires_grad_(False).eval()
        pairs = list(zip(self.module.parameters(), model.parameters(), strict=True))
        self._averages: list[Tensor] = [a for a, p in pairs if p.requires_grad]
        self._weights: list[Tensor] = [p for _, p in pairs if p.requires_grad]
        self._buffers = list(zip(self.module.buffers(), model.buffers(), strict=True))

    @torch.no_grad()
    def update(self) -> None:
        """Take in the present weights."""
        decay = min(self.decay, (1 + self.num_updates) / (10 + self.num_updates))
        self.num_updates += 1
        torch._foreach_lerp_(self._averages, self._weights, 1 - decay)

    @torch.no_grad()
    def present(self) -> M:
        """The averaged module, in eval mode, its buffers up to date."""
        for mine, theirs in self._buffers:
            mine.copy_(theirs)
        return self.module.eval()

    def tensors(self) -> dict[str, Tensor]:
        """The averages by parameter name."""
        wanted = {id(a) for a in self._averages}
        return {name: p.detach() for name, p in self.module.named_parameters() if id(p) in wanted}
