"""The files of a sharded checkpoint as one: whole tensors, or the parts that a process wants."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import safetensors
import torch
from torch import Tensor

from asr_lab.errors import CheckpointError, shown_name
from asr_lab.training.sharded.pieces import Box, cover_problem
from asr_lab.training.sharded.shard_file import StoredPiece, open_shard, stored_pieces


@attrs.frozen
class StoredTensor:
    """A tensor whose pieces stand in files and make up the whole, each value once."""

    key: str
    dtype: str
    shape: tuple[int, ...]
    pieces: tuple[StoredPiece, ...]


class Shards:
    """Opened files: `with open_shards(folder, names) as shards`. Only what is asked for is read."""

    def __init__(self, files: Sequence[tuple[Path, Any]], tensors: Mapping[str, StoredTensor]) -> None:
        self._files = files
        self.tensors = tensors
        """By key."""

    def read(self, key: str, box: Box | None = None) -> Tensor:
        """A tensor on the CPU, or the part of it in a box; CheckpointError where the files hold no such thing.

        No larger than what its pieces hold, whatever numbers the files give.
        """
        stored = self.tensors[key]
        box = box or Box.whole(stored.shape)
        if not box.lies_in(stored.shape):
            raise CheckpointError(f"{shown_name(key)}: {box.shown} lies outside {shown_name(str(stored.shape))}")
        with self._damage_named(key):
            parts = [(piece, shared) for piece in stored.pieces if (shared := piece.box.overlap(box))]
            if len(parts) == 1 and parts[0][0].box == box:
                return self._values(parts[0][0], box).reshape(box.sizes)
            found = torch.empty(box.sizes, dtype=self._dtype(stored))
            for piece, shared in parts:
                found[shared.within(box)] = self._values(piece, shared).reshape(shared.sizes)
            return found

    def _values(self, piece: StoredPiece, box: Box) -> Tensor:
        opened = self._files[piece.file][1]
        if box == piece.box:
            whole: Tensor = opened.get_tensor(piece.key)
            return whole
        part: Tensor = opened.get_slice(piece.key)[box.within(piece.box)]
        return part

    def _dtype(self, stored: StoredTensor) -> torch.dtype:
        """As torch calls the type: that of a part without values."""
        piece = stored.pieces[0]
        opened = self._files[piece.file][1]
        sizes = piece.box.sizes or (1,)
        part: Tensor = opened.get_slice(piece.key)[tuple(slice(0, 0) for _ in sizes)]
        return part.dtype

    @contextlib.contextmanager
    def _damage_named(self, key: str) -> Iterator[None]:
        try:
            yield
        except (safetensors.SafetensorError, OSError, RuntimeError, OverflowError, ValueError) as error:
            folder = self._files[0][0].parent
            raise CheckpointError(f"{folder}: {shown_name(key)} cannot be read: {error}") from error


@contextlib.contextmanager
def open_shards(folder: Path, names: Sequence[str]) -> Iterator[Shards]:
    """The files of a checkpoint, opened; their headers alone are read.

    CheckpointError where one is no safetensors file, or where the pieces of some tensor are not of one type and shape,
    overlap, lie outside, or don't make up the whole.
    """
    with contextlib.ExitStack() as stack:
        files = [(folder / name, stack.enter_context(open_shard(folder / name))) for name in names]
        by_key: dict[str, list[StoredPiece]] = {}
        for number, (path, opened) in enumerate(files):
            for piece in stored_pieces(path, opened, number):
                by_key.setdefault(piece.key, []).append(piece)
        yield Shards(files, {key: _together(folder, key, pieces) for key, pieces in by_key.items()})


def _together(folder: Path, key: str, pieces: Sequence[StoredPiece]) -> StoredTensor:
    first = pieces[0]
    if any((piece.dtype, piece.shape) != (first.dtype, first.shape) for piece in pieces):
        raise CheckpointError(f"{folder}: {shown_name(key)}: its pieces are not of one tensor: {_kinds(pieces)}")
    if problem := cover_problem(first.shape, [piece.box for piece in pieces]):
        raise CheckpointError(f"{folder}: {shown_name(key)}: {problem}")
    return StoredTensor(key, first.dtype, first.shape, tuple(pieces))


def _kinds(pieces: Sequence[StoredPiece]) -> str:
    return shown_name(", ".join(sorted({f"{piece.dtype} {piece.shape}" for piece in pieces})))
