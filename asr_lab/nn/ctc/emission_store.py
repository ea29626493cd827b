"""The scores of a long recording's frames, for those tokens alone that its text has; beyond a size they are on disk."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from types import TracebackType

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

MAX_IN_MEMORY_BYTES = 1 << 27
"""What is kept without a temporary file: three hours of 25 frames a second for 120 tokens."""


class EmissionStore:
    """Frames of log-probabilities (T, V), given in pieces, of which the columns of `tokens` are kept: (T, C).

    `columns` has each token's column. A context manager: the file goes with it.
    """

    def __init__(self, tokens: Iterable[int]) -> None:
        self.tokens = sorted(set(tokens))
        self.columns = {token: column for column, token in enumerate(self.tokens)}
        self.num_frames = 0
        self._type = np.dtype(np.float32)
        self._file = tempfile.SpooledTemporaryFile(max_size=MAX_IN_MEMORY_BYTES)  # noqa: SIM115

    def __enter__(self) -> EmissionStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, log_probs: Tensor) -> None:
        """The next frames, (T, V)."""
        kept = log_probs.detach()[:, torch.tensor(self.tokens, device=log_probs.device)].cpu()
        values = np.ascontiguousarray(kept.to(torch.promote_types(kept.dtype, torch.float32)).numpy())
        assert not self.num_frames or values.dtype == self._type
        self._type = values.dtype
        self._file.seek(0, 2)
        self._file.write(values.tobytes())
        self.num_frames += len(values)

    def rows(self, first: int, end: int) -> npt.NDArray[np.float64]:
        """The frames from `first` to before `end`, (T, C)."""
        size = len(self.tokens) * self._type.itemsize
        self._file.seek(first * size)
        data = self._file.read((min(end, self.num_frames) - first) * size)
        return np.frombuffer(data, self._type).reshape(-1, len(self.tokens)).astype(np.float64)
