"""Scales taken from what earlier steps held, so that a tensor is rounded in the pass that makes it."""

from __future__ import annotations

import torch
from torch import Tensor

from asr_lab.nn.low_precision.formats import Format


class DelayedScale:
    """The scale of one tensor of one layer: the format's maximum over the largest magnitude of the last steps.

    Until something other than zero was seen, the scale is 1; what is not finite is not remembered.
    """

    def __init__(self, form: Format, history: int) -> None:
        self.form = form
        self.history = torch.zeros(history)
        self.scale = torch.ones(())

    def see(self, x: Tensor) -> None:
        """Take the scale from the steps before, and remember this tensor's largest magnitude for the next ones."""
        if self.history.device != x.device:
            self.history, self.scale = self.history.to(x.device), self.scale.to(x.device)
        largest = self.history.max()
        self.scale.copy_(torch.where(largest > 0, self.form.max / largest, self.scale))
        seen = x.detach().abs().max().float()
        self.history.copy_(self.history.roll(1))
        self.history[0] = torch.where(seen.isfinite(), seen, 0.0)

    def rounded(self, x: Tensor) -> Tensor:
        """The tensor that was seen last as it comes back, float32 or float64."""
        return (self.form.round(x.float() * self.scale) / self.scale).to(torch.promote_types(x.dtype, torch.float32))

    def state(self) -> dict[str, Tensor]:
        """The live tensors to save and to load into."""
        return {"history": self.history, "scale": self.scale}
