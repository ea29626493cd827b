"""SHA-256 of what a run ended with, part by part: what two runs of equal bits have in common."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import attrs

from asr_lab.errors import RunError
from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.job.validation import TEST
from asr_lab.training.checkpoint import read
from asr_lab.training.metrics import read_metrics
from asr_lab.training.report import without_speed
from asr_lab.training.state import fingerprint
from asr_lab.training.store import CheckpointStore

LABELS = {
    "model": "weights",
    "optimizer": "optimizer",
    "average": "averaged weights",
    "rng": "random state",
    "precision": "delayed scales",
    "cursor": "cursor",
    "best": "best checkpoint",
    "metrics": "metrics",
    "hypotheses": "hypotheses",
}
"""What people read of each part."""


@attrs.frozen
class PartDifference:
    """A part that two runs do not have alike; empty = that one has no such part."""

    part: str
    wanted: str
    found: str


def digests(run: RunDirectory) -> dict[str, str]:
    """Of the newest checkpoint's tensors and its cursor, the best one, metrics and hypotheses, hex.

    What tells of the machine's speed is left out. RunError where the run has no whole checkpoint.
    """
    store = CheckpointStore(run.checkpoints)
    newest, best = store.newest(), store.best()
    if newest is None:
        raise RunError(f"{run.path} has no whole checkpoint: there is nothing to compare")
    snapshot, found = newest[1], {}
    for part, tensors in snapshot.tensors.items():
        found[part] = fingerprint(attrs.evolve(snapshot, tensors={part: tensors}, numbers={}))
    cursor = {**snapshot.numbers, "progress": {**snapshot.numbers["progress"], "wall_s": 0}}
    found["cursor"] = _hash_of(cursor)
    if best is not None:
        found["best"] = fingerprint(attrs.evolve(read(best.folder), numbers={"step": best.step, "rank": best.rank}))
    found["metrics"] = _hash_of([without_speed(record) for record in read_metrics(run.metrics_file)])
    hypotheses = run.eval / f"{TEST}.jsonl"
    if hypotheses.exists():
        found["hypotheses"] = hashlib.sha256(hypotheses.read_bytes()).hexdigest()
    return found


def differences(wanted: Mapping[str, str], found: Mapping[str, str]) -> tuple[PartDifference, ...]:
    """The parts that are not alike, in the order of `wanted`."""
    parts = list(dict.fromkeys([*wanted, *found]))
    return tuple(
        PartDifference(part, wanted.get(part, ""), found.get(part, ""))
        for part in parts
        if wanted.get(part) != found.get(part)
    )


def _hash_of(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
