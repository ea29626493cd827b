"""A few steps of a recipe and the hashes after them: `python -m asr_lab.commands.reproducible_steps`, asked on stdin.

A process of its own, because instruction sets and threads are chosen as torch loads.
"""

from __future__ import annotations

import hashlib
import json
import sys
from itertools import islice
from pathlib import Path
from typing import Any


def main() -> None:
    """Read what to train from stdin, train it, and print the hashes, each as JSON; LabError's words as `error`."""
    from asr_lab.errors import LabError
    from asr_lab.files import json_record

    asked = json_record(sys.stdin.buffer.read())
    assert asked is not None, "what to train comes from the command's own process"
    try:
        found = train(asked["recipe"], asked["overrides"], asked["steps"], asked["products"], Path(asked["folder"]))
    except LabError as error:
        found = {"error": str(error)}
    print(json.dumps(found))


def train(file: str, overrides: list[str], steps: int, products: str, folder: Path) -> dict[str, Any]:
    """SHA-256 of weights, optimizer and each step's loss after `steps` steps of a recipe, and what they ran on."""
    import torch

    from asr_lab.compiler.build import build
    from asr_lab.compiler.load import load_recipe
    from asr_lab.devices import num_workers, threads_beside
    from asr_lab.runs.directory import runs_root
    from asr_lab.runs.find import find_weights
    from asr_lab.training.arithmetic import arithmetic_of
    from asr_lab.training.determinism import apply_determinism
    from asr_lab.training.state import Snapshot, fingerprint

    document = load_recipe(file, overrides)
    recipe = document.value
    if (threads := threads_beside(num_workers(recipe.data.num_workers))) is not None:
        torch.set_num_threads(threads)
    start = None if recipe.init is None else find_weights(recipe.init.from_, runs_root())
    arithmetic = arithmetic_of(recipe.determinism.level, products)
    record = apply_determinism(arithmetic, arithmetic.device())
    experiment = build(document, folder, start, arithmetic=arithmetic)
    learner = experiment.learner
    reports = list(islice(learner.steps(), steps))
    tensors = learner.snapshot().tensors
    losses = [[r.loss, r.grad_norm] for r in reports]
    return {
        "weights": fingerprint(Snapshot({k: v for k, v in tensors.items() if k in ("model", "average")}, {})),
        "optimizer": fingerprint(Snapshot({"optimizer": tensors["optimizer"]}, {})),
        "losses": hashlib.sha256(json.dumps(losses).encode()).hexdigest(),
        "by_step": losses,
        "microbatches": [r.num_microbatches for r in reports],
        "longest_s": float(experiment.learner.data.plan(0)[0].durations_s.max()),  # type: ignore[attr-defined]
        "record": record,
    }


if __name__ == "__main__":
    main()
