"""The line that names a command's weights: the run, the step, and what validation found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from asr_lab.commands.weights_line import weights_line
from asr_lab.compiler.load import load_recipe
from asr_lab.errors import CheckpointError
from asr_lab.runs.directory import RunDirectory, create_run, runs_root
from asr_lab.training.rank import Rank
from asr_lab.training.state import Snapshot
from asr_lab.training.store import CheckpointStore


def saved(path: Path, *ranks: Rank | None, metric: str = "wer") -> RunDirectory:
    run = create_run(load_recipe(path, [f"train.metric={metric}"]), runs_root())
    for step, rank in enumerate(ranks, start=1):
        snapshot = Snapshot({"model": {"w": torch.zeros(1)}}, {"progress": {"step": 100 * step}})
        CheckpointStore(run.checkpoints, keep_last=9).save(snapshot, rank=rank)
    return run


def test_it_names_the_run_the_step_and_the_validations_score(recipe: Callable[..., Path]) -> None:
    run = saved(recipe(), Rank(0.2), Rank(0.074), Rank(0.0755), None)
    assert weights_line(run, "best") == f"{run.name}, step 200 (best), WER 7.4 % on valid"
    assert weights_line(run, "last") == f"{run.name}, step 400 (last)"
    path = str(run.checkpoints / "step-00000300")
    assert weights_line(run, path) == f"{run.name}, step 300 ({path}), WER 7.5 % on valid"


def test_it_names_the_metric_and_the_last_where_none_was_chosen(recipe: Callable[..., Path]) -> None:
    assert weights_line(saved(recipe(), Rank(1.5), metric="cer"), "best").endswith(
        "step 100 (best), CER 150.0 % on valid"
    )
    assert weights_line(saved(recipe("seed = 7", "seed = 9"), None), "best").endswith(", step 100 (last)")


def test_a_damaged_best_is_not_named(recipe: Callable[..., Path]) -> None:
    run = saved(recipe(), Rank(0.2), Rank(0.1))
    (run.checkpoints / "step-00000200" / "model.safetensors").write_bytes(b"")
    assert weights_line(run, "best").endswith("step 100 (best), WER 20.0 % on valid")
    with pytest.raises(CheckpointError):
        weights_line(saved(recipe("seed = 7", "seed = 8")), "best")
