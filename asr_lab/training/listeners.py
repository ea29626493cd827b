"""TensorBoard and Weights & Biases, fed with the records of metrics.jsonl (extra `training`)."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asr_lab.errors import LabError, MissingPackageError
from asr_lab.training.metrics import MetricsListener

LISTENERS = ("tensorboard", "wandb")


class TensorBoard:
    """Scalars by step, in a folder of event files; after a resume, those beyond `start_step` are hidden."""

    def __init__(self, folder: Path, start_step: int) -> None:
        _require("tensorboard")
        module = importlib.import_module("torch.utils.tensorboard")
        self._writer = module.SummaryWriter(
            str(folder / "tensorboard"), purge_step=start_step + 1 if start_step else None
        )

    def record(self, record: Mapping[str, Any]) -> None:
        for key, value in numbers(record).items():
            self._writer.add_scalar(key, value, record["step"])

    def close(self) -> None:
        self._writer.close()


class WeightsAndBiases:
    """A run of the same name and identity at Weights & Biases; a resumed run goes on there under the same identity."""

    def __init__(self, folder: Path, name: str, identity: str) -> None:
        wandb = _require("wandb")
        self._run = wandb.init(dir=str(folder), project="asr-lab", name=name, id=identity, resume="allow")

    def record(self, record: Mapping[str, Any]) -> None:
        self._run.log(numbers(record), step=record["step"])

    def close(self) -> None:
        self._run.finish()


def open_listener(kind: str, folder: Path, name: str, identity: str, start_step: int = 0) -> MetricsListener:
    """The listener `tensorboard` or `wandb` of a run; MissingPackageError when its package is not installed.

    `identity` is the run's hash, `start_step` the step that the run goes on from.
    """
    if kind == "tensorboard":
        return TensorBoard(folder, start_step)
    if kind == "wandb":
        return WeightsAndBiases(folder, name, identity)
    raise LabError(f"no listener called {kind!r} (have: {', '.join(LISTENERS)})")


def numbers(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a record by name, without `step`; times and decoders' losses stand under one heading each."""
    found = {}
    for key, value in record.items():
        if key != "step" and isinstance(value, int | float) and not isinstance(value, bool):
            head, _, rest = key.partition("_")
            found[f"{head}/{rest}" if head in {"time", "loss", "valid"} and rest else key] = float(value)
    return found


def _require(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingPackageError(
            f"log.listeners: {package} is not installed; extra `training` brings it: pip install 'asr-lab[training]'"
        ) from error
