"""Starting from another run's weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import attrs
from torch import Tensor, nn

from asr_lab.errors import CheckpointError
from asr_lab.training import checkpoint, state
from asr_lab.training.groups import require_matches
from asr_lab.training.state import Snapshot
from asr_lab.training.store import CheckpointStore


@attrs.frozen(kw_only=True)
class Lineage:
    """Where a model's first weights came from: for the run's record."""

    source: str
    """The checkpoint's folder as it was given."""
    step: int
    """Steps it had been trained for."""
    averaged: bool
    """Whether its averaged weights were taken."""
    sha256: str
    """Of the weights that were taken, by name, type, shape and bits."""
    loaded: tuple[str, ...]
    """Parameters and buffers that were taken over."""
    fresh: tuple[str, ...]
    """Those that keep their own first values."""
    frozen: tuple[str, ...]
    """Parameters that are not trained."""


def find_checkpoint(path: Path) -> Path:
    """The checkpoint meant by a path: itself, or a run's best, or its last; CheckpointError when there is none."""
    if (path / checkpoint.STATE).is_file():
        return path
    store = CheckpointStore(path / "checkpoints" if (path / "checkpoints").is_dir() else path)
    saved = store.all()
    if not saved:
        raise CheckpointError(f"{path}: neither a checkpoint nor a run with one")
    return store.find("best" if store.has_best else "last")


def weights_of(snapshot: Snapshot, *, averaged: bool = True) -> dict[str, Tensor]:
    """A checkpoint's weights by name; where it has averages and they are wanted, those."""
    average = snapshot.tensors.get("average", {}) if averaged else {}
    return {**snapshot.tensors["model"], **average}


def load_weights(model: nn.Module, folder: Path, *, averaged: bool = True, is_verified: bool = False) -> None:
    """Give a model the weights of a checkpoint of its own kind; CheckpointError names all that differs or isn't finite.

    `is_verified`: as in `checkpoint.read`.
    """
    weights = weights_of(checkpoint.read(folder, is_verified=is_verified), averaged=averaged)
    state.restore_tensors(state.model_tensors(model), weights, f"{folder}: the model")
    if broken := state.not_finite(weights):
        raise CheckpointError(f"{folder}: its weights are not sound:\n  " + "\n  ".join(broken))


def initialise(model: nn.Module, path: Path, skip: Sequence[str] = (), freeze: Sequence[str] = ()) -> Lineage:
    """Take over a checkpoint's (averaged) weights and freeze some parameters, before the optimizer is built.

    `skip` are patterns over names that keep their fresh values, `freeze` patterns over names that are not trained.
    CheckpointError names every parameter that the checkpoint does not have in the same shape and that is not skipped;
    LabError a pattern that matches nothing.
    """
    folder = find_checkpoint(path)
    snapshot = checkpoint.read(folder)
    weights = weights_of(snapshot)
    own = state.model_tensors(model)
    require_matches(skip, [*own, *weights], "init.skip")
    require_matches(freeze, own, "init.freeze")
    wanted = {name: tensor for name, tensor in own.items() if not _any(name, skip)}
    offered = {name: tensor for name, tensor in weights.items() if not _any(name, skip)}
    if problems := state.mismatches(wanted, offered):
        advice = "name them in init.skip, with patterns, if they are to keep their fresh values"
        raise CheckpointError(f"{folder}: its weights do not fit ({advice}):\n  " + "\n  ".join(problems))
    if broken := state.not_finite({name: offered[name] for name in wanted}):
        advice = "name another checkpoint, or let them keep their fresh values with init.skip"
        raise CheckpointError(f"{folder}: its weights are not sound ({advice}):\n  " + "\n  ".join(broken))
    state.restore_tensors(wanted, offered, str(folder))
    frozen = []
    for name, parameter in model.named_parameters():
        if _any(name, freeze):
            parameter.requires_grad_(False)
            frozen.append(name)
    return Lineage(
        source=str(path),
        step=int(snapshot.numbers["progress"]["step"]),
        averaged="average" in snapshot.tensors,
        sha256=_hash(offered),
        loaded=tuple(wanted),
        fresh=tuple(name for name in own if name not in wanted),
        frozen=tuple(frozen),
    )


def _any(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, p) for p in patterns)


def _hash(weights: Mapping[str, Tensor]) -> str:
    return state.fingerprint(Snapshot({"model": dict(weights)}, {}))
