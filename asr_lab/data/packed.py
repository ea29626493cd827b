"""Many short texts in little memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray


class StringsBuilder:
    """Gathers texts for `Strings`."""

    def __init__(self) -> None:
        self._block = bytearray()
        self._ends = array("q", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def append(self, text: str) -> None:
        """Add a text at the end."""
        self._block += text.encode("utf-8", "surrogateescape")
        self._ends.append(len(self._block))

    def packed(self) -> tuple[bytes, NDArray[np.int64]]:
        """All texts one after another, and where each begins and ends, (N + 1,)."""
        return bytes(self._block), np.array(self._ends, dtype=np.int64)

    def build(self) -> Strings:
        """The texts so far."""
        return Strings.of(*self.packed())


class Strings(Sequence[str]):
    """An immutable list of texts in one block of UTF-8: a tenth of what a list takes, and shared by forked workers."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        builder = StringsBuilder()
        for text in texts:
            builder.append(text)
        self._block: bytes | memoryview
        self._block, self._ends = builder.packed()

    @classmethod
    def of(cls, block: bytes | memoryview, ends: NDArray[np.int64]) -> Strings:
        """The texts that lie in a block, each from its place in `ends` (N + 1,) to the next; nothing is copied."""
        strings = cls()
        strings._block, strings._ends = block, ends
        return strings

    @property
    def packed(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """The block, and where each text begins and ends, (N + 1,)."""
        return np.frombuffer(self._block, dtype=np.uint8), self._ends

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        return str(self._block[self._ends[index] : self._ends[index + 1]], "utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        return (self[i] for i in range(len(self)))

    @property
    def num_bytes(self) -> int:
        """Memory that it takes."""
        return len(self._block) + self._ends.nbytes


class Ragged:
    """Rows of integers of different lengths in one array."""

    def __init__(self, values: NDArray[np.int32], ends: NDArray[np.int64]) -> None:
        self.values = values
        self.ends = ends  # (N + 1,), row i is values[ends[i] : ends[i + 1]]

    @classmethod
    def of(cls, rows: Iterable[Sequence[int]]) -> Ragged:
        """Pack rows."""
        values, ends = array("i"), array("q", [0])
        for row in rows:
            values.extend(row)
            ends.append(len(values))
        return cls(np.array(values, dtype=np.int32), np.array(ends, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, index: int) -> NDArray[np.int32]:
        return self.values[self.ends[index] : self.ends[index + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Length of each row, (N,)."""
        return np.diff(self.ends)
