"""A checkpoint's format is a promise: what this version writes, versions of the same number read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from asr_lab.errors import CheckpointError
from asr_lab.training import checkpoint
from asr_lab.training.state import PARTS, Snapshot, fingerprint


def test_a_checkpoint_is_of_format_1_and_has_these_files(tmp_path: Path) -> None:
    folder = tmp_path / "step-1"
    checkpoint.write(folder, Snapshot({"model": {"w": torch.ones(2)}}, {"progress": {"step": 1}}))
    assert sorted(path.name for path in folder.iterdir()) == ["checksums.json", "model.safetensors", "state.json"]
    assert json.loads((folder / "state.json").read_text()) == {"format": 1, "progress": {"step": 1}}
    sums = json.loads((folder / "checksums.json").read_text())
    assert {name: set(entry) for name, entry in sums.items()} == {
        "model.safetensors": {"bytes", "sha256"},
        "state.json": {"bytes", "sha256"},
    }


@pytest.mark.parametrize("other", ['{"format": 3}', '{"format": 0}', '{"format": "1"}', "{}"])
def test_another_format_is_not_read(tmp_path: Path, other: str) -> None:
    (tmp_path / "state.json").write_text(other)
    with pytest.raises(CheckpointError, match="not a checkpoint of format 1"):
        checkpoint.read_numbers(tmp_path)


def test_a_states_fingerprint_is_the_same_for_ever() -> None:
    tensors = {
        "model": {"w": torch.tensor([1.0, 2.0]), "b": torch.zeros(0)},
        "rng": {"cpu": torch.tensor([1, 2], dtype=torch.uint8)},
    }
    found = fingerprint(Snapshot(tensors, {"b": 1, "a": [2.5, None]}))
    assert found == "b1146894bd067bf0d81d15a9792953dccd6e9b163176265184cb4e83c1be9928"
    assert PARTS == ("model", "optimizer", "average", "rng", "precision")
