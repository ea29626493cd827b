"""SpecAugment: features with a point moved in time, and with bands and stretches masked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from asr_lab.audio.augmentation import Augmentation
from asr_lab.audio.keyed_random import generator, mix, uniform

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


class SpecMasks(Augmentation):
    """Frequency and time masks of SpecAugment (arXiv 1904.08779), time masks adaptive.

    Masked values become the utterance's mean. A time mask covers at most `max_time_share` of the utterance's frames
    (arXiv 1912.05533).
    """

    def __init__(self, num_freq_masks: int, max_freq_bins: int, num_time_masks: int, max_time_share: float) -> None:
        self.num_freq_masks = num_freq_masks
        self.max_freq_bins = max_freq_bins
        self.num_time_masks = num_time_masks
        self.max_time_share = max_time_share

    def features(self, frames: Tensor, lengths: Tensor, keys: Sequence[int]) -> Tensor:
        import torch

        batch, num_frames, num_bins = frames.shape
        num_masks = self.num_freq_masks + self.num_time_masks
        # Shares of what is possible are drawn here; what they mean is worked out beside the features, so that the
        # lengths need not come back from a device.
        draws = np.stack([generator(key).random((num_masks, 2)) for key in keys])
        shares = torch.from_numpy(draws).to(frames.device, non_blocking=True)  # (B, masks, 2) float64
        sizes = torch.full((batch,), num_bins, device=frames.device)
        widest = torch.full_like(sizes, min(self.max_freq_bins, num_bins))
        hidden = _masks(shares[:, : self.num_freq_masks], sizes, widest, num_bins)[:, None, :]  # (B, 1, F)
        valid = torch.arange(num_frames, device=frames.device) < lengths[:, None]  # (B, T)
        widest = (lengths * self.max_time_share).long()
        hidden = hidden | _masks(shares[:, self.num_freq_masks :], lengths, widest, num_frames)[:, :, None]
        kept = torch.where(valid[:, :, None], frames, torch.zeros_like(frames))
        mean = kept.sum(dim=(1, 2)) / (lengths.clamp(min=1) * num_bins).to(frames.dtype)
        return torch.where(hidden & valid[:, :, None], mean[:, None, None], frames)


def _masks(shares: Tensor, sizes: Tensor, widest: Tensor, length: int) -> Tensor:
    """Which of `length` places any mask covers, (B, length), from shares (B, masks, 2) of width and start."""
    import torch

    width = (shares[:, :, 0] * (widest[:, None] + 1)).long()  # (B, masks)
    start = (shares[:, :, 1] * (sizes[:, None] - width + 1)).long()
    places = torch.arange(length, device=shares.device)
    covered = (places >= start[:, :, None]) & (places < (start + width)[:, :, None])  # (B, masks, length)
    return covered.any(dim=1)
