"""A batch of rows of frames, of which each row's first few are valid."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Mask(NamedTuple):
    """Which frames are valid, made once for all that lie alike."""

    valid: Tensor  # (B, T) bool
    zero: Tensor  # () float32, what stands in the padding


class Frames(NamedTuple):
    """One step's input or output: rows of frames, padded on the right.

    What stands in the padding is never read. A row with no valid frame is idle in this step. `final` marks rows whose
    utterance ends with this step: a layer that looks ahead gives back there what it had held.
    """

    x: Tensor  # (B, T, D), or (B, S) for samples
    lengths: Tensor  # (B,) int64, valid frames in each row; of samples the host may keep them
    final: Tensor  # (B,) bool
    full: bool = False
    """Every frame of every row is valid, and that is known without a look at `lengths`, which may be on a device."""
    made: Mask | None = None
    """The mask, where it was made already."""

    @staticmethod
    def whole(x: Tensor, lengths: Tensor | None = None) -> Frames:
        """Complete utterances, (B, T, D) or (B, S); without `lengths` every frame is valid."""
        full = lengths is None or (lengths.device.type == "cpu" and bool((lengths == x.shape[1]).all()))
        if lengths is None:
            lengths = torch.full((x.shape[0],), x.shape[1], dtype=torch.int64, device=x.device)
        return Frames(x, lengths, torch.ones_like(lengths, dtype=torch.bool), full)

    @property
    def batch(self) -> int:
        """Rows, B."""
        return int(self.x.shape[0])

    @property
    def ends(self) -> bool:
        """Whether every row ends here, so that no later step needs the state.

        False where only a device knows, and in a compiled graph, which looks at no value.
        """
        return not torch.compiler.is_compiling() and self.final.device.type == "cpu" and bool(self.final.all())

    def mask(self) -> Tensor:
        """Valid frames: (B, T) bool."""
        if self.made is not None:
            return self.made.valid
        lengths = self.lengths.to(self.x.device, non_blocking=True)
        return torch.arange(self.x.shape[1], device=self.x.device) < lengths[:, None]

    def valid(self) -> Tensor:
        """The frames with zeros in the padding, whatever stood there, NaN included: x's shape."""
        if self.full:
            return self.x
        mask = self.mask()
        mask = mask.reshape(mask.shape + (1,) * (self.x.ndim - 2))
        return torch.where(mask, self.x, self.x.new_zeros(()) if self.made is None else self.made.zero)

    def with_mask(self) -> Frames:
        """The same, with a mask that frames made `with_x` share; without one where none is needed."""
        if self.full or self.made is not None:
            return self
        return self._replace(made=Mask(self.mask(), torch.zeros((), device=self.x.device)))

    def with_x(self, x: Tensor) -> Frames:
        """Other frames, as many in each row."""
        is_alike = x.shape[1] == self.x.shape[1]
        return Frames(x, self.lengths, self.final, self.full and is_alike, self.made if is_alike else None)

    def rows(self, index: Tensor) -> Frames:
        """The rows named by `index`, (b,) int64, in that order."""
        made = None if self.made is None else self.made._replace(valid=self.made.valid[index])
        return Frames(self.x[index], self.lengths[index], self.final[index], self.full, made)


def last_valid(x: Tensor, chunk: Frames, count: int) -> Tensor:
    """Each row's last `count` frames before `count + chunk.lengths`: the state that a step leaves behind.

    `x` is the old state's `count` frames followed by the step's, (B, count + T, …). A row without a valid frame gets
    its old state back, bit for bit. Returns (B, count, …), a view of x where that costs no more than as much memory.
    """
    if chunk.full and x.shape[1] <= 2 * count:
        return x[:, x.shape[1] - count :]
    if count == 0:
        return x[:, :0]
    lengths = chunk.lengths.to(x.device, non_blocking=True)
    index = lengths[:, None] + torch.arange(count, device=x.device)  # (B, count)
    index = index.reshape(index.shape + (1,) * (x.ndim - 2)).expand(-1, -1, *x.shape[2:])
    return x.gather(1, index)
