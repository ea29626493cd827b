"""A learner's state as named tensors and plain numbers, and back; and its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import attrs
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from asr_lab.errors import CheckpointError, shown_name
from asr_lab.training.parallel.shards import local, own_part, shard_like

PARTS = ("model", "optimizer", "average", "rng", "precision")
"""The kinds of tensors in a checkpoint; each is a file of its own."""
MOST_LINES = 40
"""Of what a checkpoint's file names and the model does not have."""


@attrs.frozen
class Snapshot:
    """Everything that decides how a run goes on."""

    tensors: dict[str, dict[str, Tensor]]
    """By part (`PARTS`), then by name."""
    numbers: dict[str, Any]
    """What JSON can hold: the cursor, totals, scaler."""


def fingerprint(snapshot: Snapshot) -> str:
    """SHA-256 over names, types, shapes and bits of all tensors and over the numbers, hex."""
    digest = hashlib.sha256()
    for part in sorted(snapshot.tensors):
        for name, tensor in sorted(snapshot.tensors[part].items()):
            digest.update(f"{part}/{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            digest.update(_bytes(tensor))
    digest.update(json.dumps(snapshot.numbers, sort_keys=True).encode())
    return digest.hexdigest()


def _bytes(tensor: Tensor) -> memoryview:
    flat = tensor.detach().to("cpu").contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data if flat.numel() else memoryview(b"")


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and kept buffers by name; a tied one under its first name only."""
    found: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            found[name] = tensor.detach()
    return found


def optimizer_tensors(optimizer: Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """The optimizer's state as tensors called `<parameter>/<key>`.

    Its settings are not here: the recipe says them. A number kept per parameter becomes a float64 tensor.
    """
    found = {}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            found[f"{name}/{key}"] = value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)
    return found


def restore_tensors(target: Mapping[str, Tensor], source: Mapping[str, Tensor], what: str) -> None:
    """Copy tensors into those of the same name, in place; CheckpointError names all that don't fit."""
    problems = mismatches(target, source)
    if problems:
        raise CheckpointError(f"{what} does not fit:\n  " + "\n  ".join(problems))
    with torch.no_grad():
        for name, tensor in target.items():
            local(tensor).copy_(own_part(source[name], tensor))


def mismatches(target: Mapping[str, Tensor], source: Mapping[str, Tensor]) -> list[str]:
    """A line for each name that only one side has and each shape or type that differs."""
    lines = [f"{name}: not in the checkpoint" for name in target if name not in source]
    lines += _few([f"{shown_name(name)}: in the checkpoint only" for name in source if name not in target])
    for name in target:
        if name in source and (own := _kind(target[name])) != (other := _kind(source[name])):
            lines.append(f"{name}: {own} here, {other} in the checkpoint")
    return lines


def not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """A line for each tensor that holds NaN or infinity."""
    counts = {name: int((~torch.isfinite(tensor)).sum()) for name, tensor in tensors.items()}
    return _few([f"{shown_name(n)}: {c:,} of its values are not finite" for n, c in counts.items() if c])


def _few(lines: list[str]) -> list[str]:
    """As many as a person reads: a file may hold any number of names."""
    return lines if len(lines) <= MOST_LINES else [*lines[:MOST_LINES], f"… and {len(lines) - MOST_LINES:,} more"]


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def restore_optimizer(optimizer: Optimizer, model: nn.Module, source: Mapping[str, Tensor]) -> None:
    """Give each parameter's state back; CheckpointError for a parameter that is not the optimizer's."""
    names = {id(p): name for name, p in model.named_parameters()}
    by_name: dict[str, dict[str, Any]] = {}
    for key, tensor in source.items():
        name, _, entry = key.rpartition("/")
        by_name.setdefault(name, {})[entry] = tensor.item() if tensor.dtype == torch.float64 else tensor
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    own = {names[id(p)]: p for p in parameters}
    if strangers := sorted(set(by_name) - set(own)):
        named = ", ".join(_few([shown_name(name) for name in strangers]))
        raise CheckpointError(f"the optimizer does not train what the checkpoint has state for: {named}")
    for name, entries in by_name.items():
        for key, value in entries.items():
            if isinstance(value, Tensor) and value.ndim and value.shape != own[name].shape:
                raise CheckpointError(
                    f"optimizer {name}/{key}: {tuple(own[name].shape)} here, {tuple(value.shape)} saved"
                )
    for name, entries in by_name.items():
        by_name[name] = {key: _placed(value, own[name]) for key, value in entries.items()}
    # load_state_dict, not assignment: it knows which entries belong on the CPU for this optimizer's variant.
    plain = optimizer.state_dict()
    plain["state"] = {i: by_name[names[id(p)]] for i, p in enumerate(parameters) if names[id(p)] in by_name}
    optimizer.load_state_dict(plain)


def _placed(value: Any, parameter: Tensor) -> Any:
    """An entry of a parameter's state, in shards where the parameter is and the entry is of its shape."""
    is_like = isinstance(value, Tensor) and value.ndim and value.shape == parameter.shape
    return shard_like(value, parameter) if is_like else value
