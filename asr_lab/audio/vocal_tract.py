"""Features as another vocal tract would have made them: a random warp of the frequency axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from asr_lab.audio.augmentation import Augmentation
from asr_lab.audio.draws import uniform

if TYPE_CHECKING:
    from torch import Tensor

KNEE = 0.8
"""Share of the bins up to which all are moved by the same factor; from there on a line leads to the last bin."""


class VocalTractPerturbation(Augmentation):
    """Each row's bins are read at places warped by a factor of its own, with straight lines between bins."""

    def __init__(self, max_warp: float) -> None:
        self.max_warp = max_warp

    def features(self, frames: Tensor, lengths: Tensor, keys: Sequence[int]) -> Tensor:
        import torch

        shares = uniform(np.array(keys, dtype=np.uint64))
        factors = 1 + self.max_warp * (2 * torch.from_numpy(shares) - 1)
        places = warped_bins(factors, frames.shape[2]).to(frames.device)  # (B, F)
        low = places.long().clamp(max=frames.shape[2] - 2)
        part = (places - low).to(frames.dtype)[:, None]
        low = low[:, None].expand_as(frames)
        return frames.gather(2, low) * (1 - part) + frames.gather(2, low + 1) * part


def warped_bins(factors: Tensor, num_bins: int) -> Tensor:
    """Where on the old axis each new bin lies, (B, F) float64, for factors (B,): first and last bin stay."""
    import torch

    last = num_bins - 1
    bins = torch.arange(num_bins, dtype=torch.float64)
    # The knee lies where the larger of old and new place is KNEE of the axis.
    knee = KNEE * last / factors.clamp(min=1)[:, None]  # (B, 1)
    at_knee = knee * factors[:, None]
    beyond = at_knee + (bins - knee) * (last - at_knee) / (last - knee)
    return torch.where(bins <= knee, bins * factors[:, None], beyond)
