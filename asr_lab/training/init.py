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
from asr_lab.training.weights import choose_first_weights


@attrs.frozen(kw_only=True)
class Lineage:
    """Where a model's first weights came from: for the run's record."""

    source: str
    """The checkpoint's folder as it was given."""
    weights: str
    """Which of its weights: `best`, `average:5` and so on, or the checkpoint's path."""
    step: int
    """Steps it had been trained for; of several the best one's."""
    mean_of: tuple[int, ...]
    """The steps of the checkpoints whose mean was taken, best first; none where it was one checkpoint."""
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


def initialise(
    model: nn.Module, path: Path, skip: Sequence[str] = (), freeze: Sequence[str] = (), name: str = "best"
) -> Lineage:
    """Take over a checkpoint's (averaged) weights and freeze some parameters, before the optimizer is built.

    `name` is which of a run's weights: `best`, `last`, `average`, `average:N`.
    `skip` are patterns over names that keep their fresh values, `freeze` patterns over names that are not trained.
    CheckpointError names every parameter that the checkpoint does not have in the same shape and that is not skipped;
    LabError a pattern that matches nothing.
    """
    chosen = choose_first_weights(path, name)
    folder, weights = chosen.folder, chosen.read()
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
    steps = tuple(checkpoint.step_of(one) for one in chosen.folders)
    return Lineage(
        source=str(path),
        weights=chosen.kind,
        step=steps[0],
        mean_of=steps if len(steps) > 1 else (),
        averaged=chosen.has_averages,
        sha256=_hash(offered),
        loaded=tuple(wanted),
        fresh=tuple(name for name in own if name not in wanted),
        frozen=tuple(frozen),
    )


def _any(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, p) for p in patterns)


def _hash(weights: Mapping[str, Tensor]) -> str:
    return state.fingerprint(Snapshot({"model": dict(weights)}, {}))
