"""What processes of the tests do: a small training under FSDP, saved, read back, killed."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from cutting import odd_tensors
from torch import Tensor, nn

from asr_lab.training import state
from asr_lab.training.parallel.group import Group
from asr_lab.training.rank import Rank
from asr_lab.training.state import Snapshot
from asr_lab.training.store import CheckpointStore


def trainee(world: int, *, shards: int | None = None) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A small network, sharded over the processes, `shards` to a copy; (5,) and (1,) leave some without rows."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.GELU(), nn.Linear(16, 5), nn.Linear(5, 1))
    if shards is None:
        mesh = init_device_mesh("cpu", (world,))
    else:
        mesh = init_device_mesh("cpu", (world // shards, shards), mesh_dim_names=("copies", "shards"))
    for layer in (model[0], model[3], model):
        fully_shard(layer, mesh=mesh)
    return model, torch.optim.AdamW(model.parameters(), lr=1e-2)


def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """One on data that all processes have alike."""
    x = torch.randn(8, 6, generator=torch.Generator().manual_seed(5))
    model(x).pow(2).sum().backward()
    optimizer.step()
    optimizer.zero_grad()


def snapshot_of(model: nn.Module, optimizer: torch.optim.Optimizer, rank: int) -> Snapshot:
    """As a learner's, with the averages that one would keep and tensors of every shape and type."""
    weights = state.model_tensors(model)
    tensors = {
        "model": {**weights, **odd_tensors()},
        "optimizer": state.optimizer_tensors(optimizer, model),
        "average": {name: tensor * 0.5 for name, tensor in weights.items() if tensor.is_floating_point()},
        "rng": {"cpu": torch.full((7,), rank, dtype=torch.uint8)},
    }
    return Snapshot(tensors, {"progress": {"step": 3}, "seed": 1})


def hashes(tensors: Mapping[str, Mapping[str, Tensor]]) -> dict[str, str]:
    """By part/name of whole tensors, their types, shapes and bits; every process must ask. Not of random states."""
    found = {}
    for part, named in sorted(tensors.items()):
        for name, tensor in sorted(named.items()) if part != "rng" else ():
            whole = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
            flat = whole.detach().contiguous().reshape(-1)
            bits = flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
            kind = f"{whole.dtype} {tuple(whole.shape)} "
            found[f"{part}/{name}"] = kind + hashlib.sha256(bits).hexdigest()
    return found


def save(group: Group, folder: Path, shards: int | None = None) -> dict[str, str]:
    model, optimizer = trainee(group.world.size, shards=shards)
    step(model, optimizer)
    step(model, optimizer)
    snapshot = snapshot_of(model, optimizer, group.world.rank)
    CheckpointStore(folder, group=group).save(snapshot, rank=Rank(0.5))
    return hashes(snapshot.tensors)


def load(group: Group, folder: Path) -> dict[str, Any]:
    """Read the newest into a fresh model and optimizer; what was read, and what they hold then."""
    model, optimizer = trainee(group.world.size)
    like = snapshot_of(model, optimizer, group.world.rank).tensors
    newest = CheckpointStore(folder, group=group).newest(like)
    assert newest is not None
    read = newest[1].tensors
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    own = state.model_tensors(model)
    state.restore_tensors(own, {name: read["model"][name] for name in own}, "the model")
    state.restore_optimizer(optimizer, model, read["optimizer"])
    bits = hashes(read)
    held = {"model": {**own, **odd_tensors()}, "optimizer": state.optimizer_tensors(optimizer, model)}
    before = hashes(held)
    step(model, optimizer)
    return {"read": bits, "held": before, "rng": read["rng"]["cpu"].tolist(), "step": newest[0].step}


def save_with_a_full_disk(group: Group, folder: Path, full: int) -> str:
    """Save once as it should be, then with a rank whose disk takes nothing."""
    model, optimizer = trainee(group.world.size)
    step(model, optimizer)
    store = CheckpointStore(folder, group=group)
    snapshot = snapshot_of(model, optimizer, group.world.rank)
    store.save(snapshot)
    if group.world.rank == full:
        from asr_lab.training.sharded import together

        def refuse(path: Path, pieces: object) -> None:
            path.write_bytes(b"half of it")
            raise OSError(28, "No space left on device", str(path))

        together.write_shard = refuse
    try:
        store.save(Snapshot(snapshot.tensors, {"progress": {"step": 4}}))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "saved"


def save_and_die(group: Group, folder: Path, victim: int, moment: str) -> str:
    """Save once as it should be, then with a rank that is killed at a moment."""
    from asr_lab.training.sharded import together

    store = CheckpointStore(folder, group=group)
    tensors = {"w": torch.arange(1000.0), "n": torch.tensor(group.world.size)}
    store.save(Snapshot({"model": tensors}, {"progress": {"step": 3}}))
    group.gather(None, "all have word of it")

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def write_half(path: Path, pieces: object) -> None:
        path.write_bytes(b"half of it")
        die()

    if group.world.rank == victim:
        instead = {"within its file": write_half, "after its file": die, "before the list of checksums": die}[moment]
        names = {"within its file": "write_shard", "after its file": "synced_sum"}
        setattr(together, names.get(moment, "_finish"), instead)
    try:
        store.save(Snapshot({"model": tensors}, {"progress": {"step": 4}}))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "saved"


def save_for_ever(group: Group, folder: Path) -> None:
    """Save step after step, until killed."""
    store = CheckpointStore(folder, keep_last=2, group=group)
    store.clean()
    newest = store.newest()
    number = newest[0].step if newest else 0
    while True:
        number += 1
        tensors = {"w": torch.full((300_000,), float(number)), "n": torch.tensor(number)}
        store.save(Snapshot({"model": tensors}, {"progress": {"step": number}}))
        if group.world.rank == 0:
            (folder / "reported").write_text(str(number))


def read_damaged(group: Group, folder: Path) -> dict[str, Any]:
    """What the newest is, where one is damaged, and what was said."""
    import warnings

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        newest = CheckpointStore(folder, group=group).newest()
    return {"step": newest and newest[0].step, "said": [str(one.message) for one in caught]}


def save_plain(group: Group, folder: Path, steps: tuple[int, ...]) -> None:
    """What DDP has: every process all tensors."""
    for number in steps:
        tensors = {"w": torch.full((1000,), float(number)), "v": torch.arange(999), "n": torch.tensor(number)}
        rng = {"cpu": torch.full((4,), group.world.rank)}
        CheckpointStore(folder, group=group).save(
            Snapshot({"model": tensors, "rng": rng}, {"progress": {"step": number}}), rank=Rank(1 / number)
        )
