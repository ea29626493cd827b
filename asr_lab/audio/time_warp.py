"""Features with a point moved in time, as if one part had been said faster and the other slower."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from asr_lab.audio.augmentation import Augmentation
from asr_lab.audio.draws import mix, uniform

if TYPE_CHECKING:
    from torch import Tensor

FIRST, LAST = 0.25, 0.75
"""Between these shares of an utterance lies the point that moves."""


class TimeWarping(Augmentation):
    """Each row's frames are read at places warped by a draw of its own, with straight lines between frames."""

    def __init__(self, max_share: float) -> None:
        self.max_share = max_share

    def features(self, frames: Tensor, lengths: Tensor, keys: Sequence[int]) -> Tensor:
        import torch

        rows = np.array(keys, dtype=np.uint64)
        old = FIRST + (LAST - FIRST) * uniform(mix(rows, 1))
        new = old + self.max_share * (2 * uniform(mix(rows, 2)) - 1)
        batch, num_frames, num_bins = frames.shape
        if num_frames == 0:
            return frames
        points = torch.from_numpy(np.stack([old, new])).to(frames.device)
        places = warped_frames(points[0], points[1], lengths, num_frames)  # (B, T)
        low = places.long()
        high = torch.minimum(low + 1, (lengths[:, None] - 1).clamp(min=0))
        part = (places - low).to(frames.dtype)[..., None]
        first = torch.arange(batch, device=frames.device)[:, None] * num_frames
        flat = frames.reshape(-1, num_bins)
        before, after = (flat[(first + index).flatten()].view_as(frames) for index in (low, high))
        return torch.lerp(before, after, part)


def warped_frames(old: Tensor, new: Tensor, lengths: Tensor, num_frames: int) -> Tensor:
    """Where on the old axis each new frame lies, (B, T) float64, if the point `old` (B,) comes to lie at `new`.

    Both are shares of a row's length (B,). Its first and last frame stay; what lies behind the last is the last.
    """
    import torch

    last = (lengths - 1).clamp(min=1).to(torch.float64)[:, None]
    share = torch.arange(num_frames, device=lengths.device, dtype=torch.float64) / last
    old, new = old[:, None], new[:, None]
    before = share * (old / new)
    behind = old + (share - new) * ((1 - old) / (1 - new))
    return (
        (torch.where(share < new, before, behind) * last).clamp(max=last).minimum((lengths[:, None] - 1).clamp(min=0))
    )
