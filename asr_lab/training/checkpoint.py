"""A checkpoint on disk: a folder of safetensors and JSON that is there whole or not at all.

It is written under a temporary name, synced, and renamed; `checksums.json` holds each file's size and SHA-256. One
process writes a file for each kind of tensor, several write a file each of their pieces of all tensors
(`asr_lab.training.sharded`); both are read alike, by any number of processes. Nothing in it is executed.
"""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import save_file
from torch import Tensor

from asr_lab.errors import CheckpointError
from asr_lab.training.parallel.group import Group
from asr_lab.training.sharded.layout import laid_out_like
from asr_lab.training.sharded.pieces import Box
from asr_lab.training.sharded.shard_file import is_shard_name, open_shard, shard_name
from asr_lab.training.sharded.shards import open_shards
from asr_lab.training.sharded.together import agreed, read_shards, target_of, write_together
from asr_lab.training.state import PARTS, Snapshot
from asr_lab.training.unfinished import (
    CHECKSUMS,
    STATE,
    Sums,
    Unfinished,
    is_unfinished,
    put_aside,
    sha256_of,
    synced_sum,
)

FORMAT = 1
"""Raised when what the files hold changes."""
SHARDED_FORMAT = 2
"""Of one in shards, which has `shards` files beside its state."""
MOST_THREADS = 4
"""That hash the files of a checkpoint: each takes a core."""
ALONE = Group()


def write(folder: Path, snapshot: Snapshot, group: Group = ALONE) -> None:
    """Write a checkpoint to `folder`; a kill at any instant leaves either all of it or nothing by that name.

    One that stands there already is replaced. Several processes all call it with their own tensors; the numbers are
    those of rank 0. CheckpointError where the disk refuses.
    """
    if group.world.size > 1:
        state = {"format": SHARDED_FORMAT, "shards": group.world.size, **snapshot.numbers}
        return write_together(folder, snapshot.tensors, state, group)
    try:
        begun = Unfinished.begin(folder)
        try:
            begun.finish({"format": FORMAT, **snapshot.numbers}, _write_parts(begun.path, snapshot))
        except BaseException:
            begun.discard()
            raise
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{folder} cannot be written: {error}; what was saved before it stands") from error


def _write_parts(path: Path, snapshot: Snapshot) -> Sums:
    files = []
    for part in PARTS:
        if tensors := snapshot.tensors.get(part):
            files.append(path / f"{part}.safetensors")
            save_file({name: _plain(t) for name, t in tensors.items()}, files[-1])
    return {file.name: synced_sum(file) for file in files}


def read(
    folder: Path,
    *,
    parts: Sequence[str] = PARTS,
    is_verified: bool = False,
    like: Mapping[str, Mapping[str, Tensor]] | None = None,
    group: Group = ALONE,
) -> Snapshot:
    """Read a checkpoint, tensors on the CPU; CheckpointError says what is wrong with a damaged one.

    `parts` are the kinds of tensors that are wanted. One that `verify` has just passed need not be hashed again.
    Several processes all call it: each gets its own random state, and tensors in shards where those of its learner's
    snapshot, `like`, are; what is damaged for one of them is for all.
    """
    if not is_verified:
        verify(folder, group)
    return agreed(group, lambda: _read(folder, parts, like, group.world.rank), f"reading {folder.name}")


def _read(folder: Path, parts: Sequence[str], like: Mapping[str, Mapping[str, Tensor]] | None, rank: int) -> Snapshot:
    count, numbers = _read_state(folder)
    if count:
        return Snapshot(read_shards(folder, _shards(folder, count), parts, like, rank), numbers)
    files = {part: path for part in parts if (path := folder / f"{part}.safetensors").exists()}
    return Snapshot({part: _read_whole(path, part, like or {}) for part, path in files.items()}, numbers)


def _read_whole(path: Path, part: str, like: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """A file of whole tensors; of those that lie in shards in `like` a process reads its own part alone."""
    found = {}
    try:
        with open_shard(path) as opened:
            names = opened.keys()  # what opened gives is no mapping
            for name in names:
                stored = opened.get_slice(name)
                shape = tuple(stored.get_shape())
                read = functools.partial(_values, opened, name, Box.whole(shape))
                found[name] = laid_out_like(target_of(like, part, name, shape), read)
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a safetensors file: {error}") from error
    return found


def _values(opened: Any, name: str, whole: Box, box: Box | None) -> Tensor:
    values: Tensor = opened.get_tensor(name) if box is None else opened.get_slice(name)[box.within(whole)]
    return values


def read_numbers(folder: Path) -> dict[str, Any]:
    """The JSON part alone; CheckpointError when it is absent, damaged or of another format."""
    return _read_state(folder)[1]


def _read_state(folder: Path) -> tuple[int, dict[str, Any]]:
    """How many shards a checkpoint has, 0 where it is in none, and its numbers."""
    numbers = _read_json(folder / STATE)
    found, count = numbers.pop("format", None), numbers.pop("shards", 0)
    if found not in (FORMAT, SHARDED_FORMAT):
        raise CheckpointError(f"{folder / STATE}: not a checkpoint of format {FORMAT} or {SHARDED_FORMAT}")
    if type(count) is not int or (count < 1 if found == SHARDED_FORMAT else count != 0):
        raise CheckpointError(f"{folder / STATE}: does not say how many shards there are")
    return count, numbers


def _shards(folder: Path, count: int) -> list[str]:
    """The names of so many shards; CheckpointError where there are fewer."""
    there = sum(is_shard_name(path.name) for path in folder.iterdir())
    if count > there:
        raise CheckpointError(f"{folder}: {there:,} of {count:,} shards are there")
    return [shard_name(rank, count) for rank in range(count)]


def step_of(folder: Path) -> int:
    """The steps that a checkpoint's weights had been trained for; CheckpointError when its state cannot be read."""
    return int(read_numbers(folder)["progress"]["step"])


def has_part(folder: Path, part: str) -> bool:
    """Whether a checkpoint has tensors of a kind; CheckpointError where it is in shards that don't fit."""
    count, _ = _read_state(folder)
    if not count:
        return (folder / f"{part}.safetensors").exists()
    with open_shards(folder, _shards(folder, count)) as shards:
        return any(key.startswith(f"{part}/") for key in shards.tensors)


def verify(folder: Path, group: Group = ALONE) -> None:
    """CheckpointError unless every file of a checkpoint is there with the size and checksum that were written.

    Of one in shards the pieces must make up whole tensors, too. Several processes all call it and share the hashing.
    """
    world = group.world
    agreed(group, lambda: _verify(folder, slice(world.rank, None, world.size)), f"verifying {folder.name}")


def _verify(folder: Path, own: slice) -> None:
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such checkpoint")
    sums = _read_json(folder / CHECKSUMS)
    listed = sorted(name for name in sums if is_shard_name(name))
    known = {STATE, *(listed or [f"{part}.safetensors" for part in PARTS])}
    if STATE not in sums or not set(sums) <= known or not all(map(_is_sum, sums.values())):
        raise CheckpointError(f"{folder / CHECKSUMS}: does not list a checkpoint's files")
    with ThreadPoolExecutor(MOST_THREADS) as pool:
        for _ in pool.map(lambda name: _verify_file(folder / name, sums[name]), list(sums)[own]):
            pass
    for path in sorted(folder.iterdir()):
        if path.name not in sums and (path.name in known or is_shard_name(path.name)):
            raise CheckpointError(f"{path}: was not written with this checkpoint")
    count, _ = _read_state(folder)
    names = _shards(folder, count)
    if names != listed:
        raise CheckpointError(f"{folder / CHECKSUMS}: does not list the shards that {STATE} counts")
    if names:
        with open_shards(folder, names):
            pass


def _is_sum(entry: Any) -> bool:
    return isinstance(entry, dict) and {"bytes", "sha256"} <= set(entry)


def _verify_file(path: Path, expected: Mapping[str, Any]) -> None:
    if not path.is_file():
        raise CheckpointError(f"{path}: missing")
    if path.stat().st_size != expected["bytes"]:
        raise CheckpointError(f"{path}: {path.stat().st_size} bytes, {expected['bytes']} were written")
    if sha256_of(path) != expected["sha256"]:
        raise CheckpointError(f"{path}: its checksum is not the one that was written")


def remove(folder: Path) -> None:
    """Remove a checkpoint, where it is still there; a kill leaves it whole or gone by its name."""
    with contextlib.suppress(FileNotFoundError):  # removed by an owner that was overtaken in the midst of saving
        shutil.rmtree(put_aside(folder), ignore_errors=True)


def remove_leftovers(folder: Path) -> list[str]:
    """Remove what killed writes left in a folder of checkpoints; their names. Only the run's owner may call it."""
    removed = []
    for path in sorted(folder.glob(".*")) if folder.is_dir() else []:
        if is_unfinished(path):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
            removed.append(path.name)
    return removed


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu").contiguous()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: missing") from error
    except (ValueError, OSError, RecursionError) as error:
        raise CheckpointError(f"{path}: not readable: {error}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: not an object")
    return value
