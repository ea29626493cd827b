"""One process's file of a sharded checkpoint: safetensors, whose metadata says of what each tensor is a piece.

The metadata's entry `pieces` is JSON: by key (`model/encoder.0.weight`) the whole tensor's `shape` and this piece's
`offsets`. A number without dimensions is stored with the shape (1,).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import safetensors
from safetensors.torch import save_file
from torch import Tensor

from asr_lab.errors import CheckpointError, shown_name
from asr_lab.training.sharded.pieces import MOST_ELEMENTS, Box, TensorPiece

PIECES = "pieces"
_NAME = re.compile(r"shard-(\d{5,9})-of-(\d{5,9})\.safetensors")


@attrs.frozen
class StoredPiece:
    """A piece in a file: where it stands and what it is of; its values are not read."""

    file: int
    """Which of the checkpoint's files."""
    key: str
    dtype: str
    """As safetensors calls it."""
    shape: tuple[int, ...]
    """Of the whole tensor."""
    box: Box


def shard_name(rank: int, count: int) -> str:
    """The name of a process's file, among those of `count` processes."""
    return f"shard-{rank:05d}-of-{count:05d}.safetensors"


def is_shard_name(name: str) -> bool:
    """Whether a file of that name is one of a sharded checkpoint's."""
    return _NAME.fullmatch(name) is not None


def write_shard(path: Path, pieces: Mapping[str, TensorPiece]) -> None:
    """Write pieces by key to a file. OSError or SafetensorError where that fails."""
    described = {key: {"shape": list(p.shape), "offsets": list(p.offsets)} for key, p in pieces.items()}
    tensors = {key: _stored(piece.tensor) for key, piece in pieces.items()}
    save_file(tensors, path, metadata={PIECES: json.dumps(described)})


def _stored(tensor: Tensor) -> Tensor:
    plain = tensor.detach().to("cpu").contiguous()
    return plain.reshape(1) if plain.ndim == 0 else plain


def open_shard(path: Path) -> Any:
    """A file, opened for reading: safetensors holds each tensor's type and shape against the file's own bytes."""
    try:
        return safetensors.safe_open(path, framework="pt")
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a safetensors file: {error}") from error


def stored_pieces(path: Path, opened: Any, number: int) -> list[StoredPiece]:
    """What an opened file says that it holds; CheckpointError where its metadata and its tensors don't agree."""
    described = _described(path, opened.metadata())
    keys = set(opened.keys())
    if set(described) != keys:
        raise CheckpointError(f"{path}: describes {len(described):,} pieces and holds {len(keys):,} others")
    found = []
    for key, entry in described.items():
        stored = opened.get_slice(key)
        sizes = tuple(stored.get_shape())
        shape = _counts(entry, "shape")
        offsets = _counts(entry, "offsets")
        if shape is None or offsets is None or len(shape) != len(offsets):
            raise CheckpointError(f"{path}: {shown_name(key)} has no shape and offsets in its metadata")
        if not shape and sizes == (1,):
            sizes = ()
        box = Box(offsets, sizes)
        if not box.lies_in(shape):
            raise CheckpointError(f"{path}: {shown_name(key)}: {box.shown} lies outside {shown_name(str(shape))}")
        found.append(StoredPiece(number, key, str(stored.get_dtype()), shape, box))
    return found


def _described(path: Path, metadata: Mapping[str, str] | None) -> dict[str, Any]:
    try:
        described = json.loads((metadata or {})[PIECES])
    except (KeyError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: its metadata does not say what its pieces are") from error
    if not isinstance(described, dict):
        raise CheckpointError(f"{path}: its metadata does not say what its pieces are")
    return described


def _counts(entry: Any, name: str) -> tuple[int, ...] | None:
    listed = entry.get(name) if isinstance(entry, dict) else None
    if not isinstance(listed, list):
        return None
    counts = tuple(n for n in listed if type(n) is int and 0 <= n <= MOST_ELEMENTS)
    return counts if len(counts) == len(listed) else None
