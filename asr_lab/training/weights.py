"""A model's weights out of checkpoints: of one, or the mean of the best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from asr_lab.errors import CheckpointError
from asr_lab.training import checkpoint, state
from asr_lab.training.state import Snapshot
from asr_lab.training.store import CheckpointStore
from asr_lab.training.unfinished import STATE
from asr_lab.training.weight_choice import NAMED, num_averaged

WEIGHT_PARTS = ("model", "average")


@attrs.frozen
class ChosenWeights:
    """Which checkpoints a name means."""

    kind: str
    """`best`, `last`, `average`, `average:N`, or the path given."""
    folders: tuple[Path, ...]
    """Those whose mean is taken, best first; one where none is."""
    takes_averages: bool = True
    """Whether the exponential averages stand for the weights, where there are any."""
    is_verified: bool = True
    """Whether their checksums have been looked at."""

    @property
    def folder(self) -> Path:
        """The best of them."""
        return self.folders[0]

    @property
    def has_averages(self) -> bool:
        """Whether exponential averages are taken and there."""
        return self.takes_averages and checkpoint.has_part(self.folder, "average")

    def record(self) -> dict[str, Any]:
        """What files say of them: the checkpoint's name, and the names of all where a mean is taken."""
        names = [folder.name for folder in self.folders]
        return {"checkpoint": names[0], **({"mean_of": names} if len(names) > 1 else {})}

    def read(self) -> dict[str, Tensor]:
        """The weights by name, on the CPU; CheckpointError for what is damaged, or is not of one model."""
        read = (self._read(folder) for folder in self.folders)
        return next(read) if len(self.folders) == 1 else mean_weights(read, str(self.folder))

    def _read(self, folder: Path) -> dict[str, Tensor]:
        snapshot = checkpoint.read(folder, parts=WEIGHT_PARTS, is_verified=self.is_verified)
        return weights_of(snapshot, averaged=self.takes_averages)


def choose_weights(store: CheckpointStore, name: str) -> ChosenWeights:
    """What `best`, `last`, `average`, `average:N` or a path means to a store; `best` is `last` where none was chosen.

    CheckpointError when there are none, or too few, or they are damaged.
    """
    if (count := num_averaged(name)) is not None:
        return ChosenWeights(name, tuple(store.best_few(count)))
    if name == "best" and store.has_best:
        return ChosenWeights(name, (store.find("best"),))
    if name in NAMED:
        kind = "last" if name == "best" else name
        return ChosenWeights(kind, (store.find("last"),), takes_averages=name != "last")
    return ChosenWeights(name, (find_checkpoint(Path(name)),), is_verified=False)


def choose_first_weights(path: Path, name: str = "best") -> ChosenWeights:
    """What a fresh run starts from: the checkpoint or run at a path, of a run those that `name` means."""
    if (path / STATE).is_file():
        if name != "best":
            raise CheckpointError(f"{path} is one checkpoint; init.checkpoint = {name!r} chooses among those of a run")
        return ChosenWeights(str(path), (path,), is_verified=False)
    return choose_weights(_store_at(path), name)


def find_checkpoint(path: Path) -> Path:
    """The checkpoint meant by a path: itself, or a run's best, or its last; CheckpointError when there is none."""
    if (path / STATE).is_file():
        return path
    store = _store_at(path)
    return store.find("best" if store.has_best else "last")


def _store_at(path: Path) -> CheckpointStore:
    store = CheckpointStore(path / "checkpoints" if (path / "checkpoints").is_dir() else path)
    if not store.all():
        raise CheckpointError(f"{path}: neither a checkpoint nor a run with one")
    return store


def weights_of(snapshot: Snapshot, *, averaged: bool = True) -> dict[str, Tensor]:
    """A checkpoint's weights by name; where it has averages and they are wanted, those."""
    average = snapshot.tensors.get("average", {}) if averaged else {}
    return {**snapshot.tensors.get("model", {}), **average}


def mean_weights(many: Iterable[Mapping[str, Tensor]], what: str) -> dict[str, Tensor]:
    """The mean of the weights of several checkpoints of one model, best first.

    Summed and divided in float64 and rounded once to the type that they have; whole numbers are those of the best.
    CheckpointError where they are not of one model.
    """
    sums: dict[str, Tensor] = {}
    best: dict[str, Tensor] = {}
    count = 0
    for weights in many:
        count += 1
        if count == 1:
            best = dict(weights)
            sums = {name: t.to(torch.float64, copy=True) for name, t in best.items() if t.is_floating_point()}
            continue
        if problems := state.mismatches(best, weights):
            raise CheckpointError(
                f"{what}: one that it is averaged with is of another model:\n  " + "\n  ".join(problems)
            )
        for name, total in sums.items():
            total += weights[name].double()
    return best | {name: rounded(total / count, best[name].dtype) for name, total in sums.items()}


def rounded(values: Tensor, dtype: torch.dtype) -> Tensor:
    """float64 values in another floating-point type, each rounded once to the nearest.

    torch goes by way of float32 to narrower types and so rounds twice; a float32 rounded to odd keeps what the second
    rounding needs (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008).
    """
    near = values.to(torch.float32)
    if dtype in (torch.float32, torch.float64):
        return values.to(dtype)
    is_even = near.view(torch.int32) & 1 == 0
    is_inexact = (near.double() != values) & torch.isfinite(near)
    towards = torch.where(values > near.double(), torch.inf, -torch.inf).float()
    return torch.where(is_even & is_inexact, torch.nextafter(near, towards), near).to(dtype)


def load_weights(model: nn.Module, weights: Mapping[str, Tensor], what: str) -> None:
    """Give a model weights of its own kind; CheckpointError names all that differs or isn't finite."""
    state.restore_tensors(state.model_tensors(model), weights, f"{what}: the model")
    if broken := state.not_finite(weights):
        raise CheckpointError(f"{what}: its weights are not sound:\n  " + "\n  ".join(broken))
