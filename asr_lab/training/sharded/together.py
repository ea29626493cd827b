"""A checkpoint that several processes write at once, each its own file, and that any number of them read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import safetensors
from torch import Tensor

from asr_lab.errors import CheckpointError
from asr_lab.training.parallel.group import Group
from asr_lab.training.sharded.layout import laid_out_like, piece_of
from asr_lab.training.sharded.pieces import Box, TensorPiece
from asr_lab.training.sharded.shard_file import shard_name, write_shard
from asr_lab.training.sharded.shards import Shards, open_shards
from asr_lab.training.unfinished import Sums, Unfinished, synced_sum

Tensors = dict[str, dict[str, Tensor]]
"""By part, then by name."""
T = TypeVar("T")
RNG = "rng"
"""The part that every process has its own of."""


def write_together(folder: Path, tensors: Mapping[str, Mapping[str, Tensor]], state: Any, group: Group) -> None:
    """Write a checkpoint, each process its pieces; all call it. It is there whole or not at all, as with `write`.

    `state` is rank 0's. CheckpointError, for all of them, where a disk refuses any.
    """
    what, world = f"saving {folder.name}", group.world
    begun = Unfinished(folder, group.first(lambda: _begin(folder), what))
    try:
        failed: Exception | None = None
        word: dict[str, Any]
        try:
            word = {"sums": _write_own(begun.path, tensors, world.rank, world.size)}
        except Exception as error:  # the others wait for word of it
            failed, word = error, {"error": str(error) or type(error).__name__}
        words = group.gather(word, what)
        if failed is not None and not isinstance(failed, OSError | safetensors.SafetensorError):
            raise failed
        if problems := [f"rank {rank}: {one['error']}" for rank, one in enumerate(words) if "error" in one]:
            raise CheckpointError(_refused(folder, "; ".join(problems)))
        sums = {name: of for one in words for name, of in one["sums"].items()}
        group.first(lambda: _finish(begun, state, sums), what)
    except BaseException:
        if world.rank == 0:
            begun.discard()
        raise


def agreed(group: Group, do: Callable[[], T], what: str) -> T:
    """What each process finds when it does something; CheckpointError for all where it has one for any."""
    problem, found = None, []
    try:
        found.append(do())
    except CheckpointError as error:
        if group.world.size == 1:
            raise
        problem = str(error)
    if problems := [one for one in group.gather(problem, what) if one is not None]:
        raise CheckpointError(problems[0])
    return found[0]


def _begin(folder: Path) -> str:
    try:
        return Unfinished.begin(folder).token
    except OSError as error:
        raise CheckpointError(_refused(folder, str(error))) from error


def _finish(begun: Unfinished, state: Any, sums: Sums) -> None:
    try:
        begun.finish(state, sums)
    except OSError as error:
        raise CheckpointError(_refused(begun.folder, str(error))) from error


def _refused(folder: Path, why: str) -> str:
    return f"{folder} cannot be written: {why}; what was saved before it stands"


def _write_own(path: Path, tensors: Mapping[str, Mapping[str, Tensor]], rank: int, world: int) -> Sums:
    pieces = {
        f"{part}/{name}": piece_of(tensor, rank, world)
        for part, named in tensors.items()
        if part != RNG
        for name, tensor in named.items()
    }
    own = own_share(pieces)
    for name, tensor in tensors.get(RNG, {}).items():
        own[f"{RNG}/{rank}/{name}"] = piece_of(tensor, 0, 1)
    file = path / shard_name(rank, world)
    write_shard(file, own)
    return {file.name: synced_sum(file)}


def own_share(pieces: Mapping[str, TensorPiece]) -> dict[str, TensorPiece]:
    """Those of a process's pieces that it writes: equal copies are written once, every process about as much of them.

    Every process comes to the same distribution, since all have the same tensors in the same copies.
    """
    loads: dict[int, list[int]] = {}
    own = {}
    for key, piece in sorted(pieces.items()):
        load = loads.setdefault(piece.num_copies, [0] * piece.num_copies)
        writer = load.index(min(load))
        load[writer] += piece.tensor.element_size() * Box.whole(piece.shape).num_elements
        if writer == piece.copy:
            own[key] = piece
    return own


def read_shards(
    folder: Path,
    names: Sequence[str],
    parts: Sequence[str],
    like: Mapping[str, Mapping[str, Tensor]] | None = None,
    rank: int = 0,
) -> Tensors:
    """The tensors of a sharded checkpoint's parts, on the CPU: whole, or each laid out as that in `like` is.

    `like` has the model's and averages' tensors; what an optimizer keeps for a weight lies as the weight does. A
    process that wrote no random state of its own takes rank 0's. CheckpointError as from `open_shards`.
    """
    tensors: Tensors = {}
    with open_shards(folder, names) as shards:
        states = {key.split("/")[1] for key in shards.tensors if key.startswith(f"{RNG}/")}
        own = str(rank) if str(rank) in states else "0"
        for key, stored in shards.tensors.items():
            part, _, name = key.partition("/")
            if part == RNG:
                whose, _, name = name.partition("/")
                if whose != own:
                    continue
            if part in parts:
                target = target_of(like or {}, part, name, stored.shape)
                tensors.setdefault(part, {})[name] = laid_out_like(target, _reader(shards, key))
    return tensors


def _reader(shards: Shards, key: str) -> Any:
    return lambda box: shards.read(key, box)


def target_of(like: Mapping[str, Mapping[str, Tensor]], part: str, name: str, shape: tuple[int, ...]) -> Tensor | None:
    """The tensor that a saved one of this name lies as, where there is one of its shape."""
    place, owner = ("model", name.rpartition("/")[0]) if part == "optimizer" else (part, name)
    found = like.get(place, {}).get(owner)
    return found if found is not None and tuple(found.shape) == shape else None
