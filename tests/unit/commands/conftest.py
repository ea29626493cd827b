"""Runs that commands work on: trained in a few steps, or with weights that were never trained.

Makes `talkative` beside it importable.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import asr_lab
from asr_lab import TrainedModel
from asr_lab.compiler.build import seeded_model
from asr_lab.compiler.load import load_recipe
from asr_lab.config.paths import quote
from asr_lab.runs.directory import RunDirectory, create_run, runs_root
from asr_lab.runs.dispatch import prepare, write_request
from asr_lab.runs.job import entry
from asr_lab.text.characters import ENGLISH
from asr_lab.training.state import Snapshot, model_tensors
from asr_lab.training.store import CheckpointStore

sys.path.insert(0, str(Path(__file__).parent))

from talkative import Make, make_talkative

Write = Callable[..., Path]


@pytest.fixture
def train() -> Callable[[Path], RunDirectory]:
    """Trains a recipe in this process."""

    def trained(path: Path) -> RunDirectory:
        document = load_recipe(path)
        prepared = prepare(document, runs_root())
        write_request(prepared, document, False)
        entry.main(str(prepared.run.path))
        return prepared.run

    return trained


@pytest.fixture
def trained(recipe: Write, train: Callable[[Path], RunDirectory]) -> RunDirectory:
    """The small recipe after two steps."""
    return train(recipe("max_steps = 12", "max_steps = 2"))


@pytest.fixture
def make(recipe: Callable[..., Path]) -> Make:
    """A run of the small recipe, changed as asked, whose checkpoint holds weights that say something."""

    def write(*replacements: str) -> RunDirectory:
        document = load_recipe(recipe(*replacements), [f"tokenizer.alphabet={quote(ENGLISH)}"])  # no text is read
        run = create_run(document, runs_root())
        model = seeded_model(document.value, document.value.tokenizer.build(None).vocab_size)
        make_talkative(model, document.value.features.build())
        snapshot = Snapshot({"model": model_tensors(model)}, {"progress": {"step": 1}})
        CheckpointStore(run.checkpoints).save(snapshot)
        return run

    return write


@pytest.fixture
def model(make: Make) -> TrainedModel:
    return asr_lab.load(make().path)
