"""metrics.jsonl and its listeners."""

from __future__ import annotations

import importlib
import json
import math
from pathlib import Path
from typing import Any

import pytest

from asr_lab.errors import LabError, MissingPackageError
from asr_lab.training.listeners import numbers, open_listener
from asr_lab.training.metrics import MetricsWriter, cut_back, read_metrics


class Recorder:
    def __init__(self) -> None:
        self.records: list[Any] = []
        self.closed = False

    def record(self, record: Any) -> None:
        self.records.append(record)

    def close(self) -> None:
        self.closed = True


def test_listeners_get_what_is_written(tmp_path: Path) -> None:
    listener = Recorder()
    writer = MetricsWriter(tmp_path / "m.jsonl", [listener])
    writer.write({"step": 1, "loss": math.nan, "text": "é", "bad": [{"x": math.inf}]})
    writer.sync()
    writer.close()
    assert list(read_metrics(tmp_path / "m.jsonl")) == listener.records
    assert listener.records == [{"step": 1, "loss": None, "text": "é", "bad": [{"x": None}]}]
    assert listener.closed
    with pytest.raises(ValueError, match="step"):
        MetricsWriter(tmp_path / "n.jsonl").write({"loss": 1.0})


@pytest.mark.parametrize("torn", ['{"step": 4, "lo', '{"step": 4}', "x"])
def test_a_torn_line_is_left_out_and_mended(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "m.jsonl"
    writer = MetricsWriter(path)
    for step in (1, 2, 3):
        writer.write({"step": step})
    writer.close()
    with path.open("a") as file:
        file.write(torn)
    assert [r["step"] for r in read_metrics(path)] == [1, 2, 3]
    writer = MetricsWriter(path)
    writer.write({"step": 4})
    writer.close()
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2, 3, 4]


def test_records_after_the_checkpoint_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    writer = MetricsWriter(path)
    for step in range(1, 8):
        writer.write({"step": step})
    writer.close()
    with path.open("a") as file:
        file.write('{"step": 3, "torn')
    assert cut_back(path, 4) == 4
    assert [r["step"] for r in read_metrics(path)] == [1, 2, 3, 4]
    assert cut_back(path, 4) == 0
    assert cut_back(tmp_path / "none", 4) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["m.jsonl"]


def test_a_record_that_another_file_keeps_goes_to_the_listeners_alone(tmp_path: Path) -> None:
    kept = Recorder()
    writer = MetricsWriter(tmp_path / "m.jsonl", [kept])
    writer.tell({"step": 4, "valid_cer": 0.5, "valid_cer_de": math.nan})
    writer.close()
    assert kept.records == [{"step": 4, "valid_cer": 0.5, "valid_cer_de": None}]
    assert list(read_metrics(tmp_path / "m.jsonl")) == []


def test_numbers_are_grouped_for_charts() -> None:
    validated = {"step": 4, "valid_cer": 0.5, "valid_cer_de": 0.25, "valid_loss": None}
    assert numbers(validated) == {"valid/cer": 0.5, "valid/cer_de": 0.25}
    record = {"step": 3, "loss": 1, "loss_ctc": 2.0, "time_data": 0.5, "skipped": True, "cause": "x", "lr": None}
    assert numbers(record) == {"loss": 1.0, "loss/ctc": 2.0, "time/data": 0.5}


@pytest.mark.parametrize("kind", ["tensorboard", "wandb"])
def test_a_listener_that_is_not_installed_names_its_extra(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.import_module

    def absent(name: str) -> Any:
        if name == kind:
            raise ImportError(name)
        return real(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(MissingPackageError, match=r"asr-lab\[training\]"):
        open_listener(kind, tmp_path, "run", "abc")
    with pytest.raises(LabError, match="no listener called 'x'"):
        open_listener("x", tmp_path, "run", "abc")


def test_tensorboard_gets_scalars(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    listener = open_listener("tensorboard", tmp_path, "run", "abc", start_step=2)
    listener.record({"step": 3, "loss": 1.5})
    listener.close()
    assert any((tmp_path / "tensorboard").iterdir())
