"""Events: whole records in order, whatever a kill tore."""

from __future__ import annotations

from pathlib import Path

from asr_lab.runs.events import EventReader, EventWriter, read_events


def test_a_reader_sees_each_record_once(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    reader = EventReader(path)
    assert reader.read() == []
    with EventWriter(path, attempt=1) as writer:
        writer.write("state", {"state": "training"})
        assert [e.kind for e in reader.read()] == ["state"]
        writer.write("step", {"step": 1, "loss": 2.5})
        (event,) = reader.read()
    assert (event.attempt, event.kind, event.data) == (1, "step", {"step": 1, "loss": 2.5})
    assert reader.read() == []


def test_half_a_line_is_left_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    line = b'{"attempt": 1, "time": 0.5, "kind": "step", "step": 3}\n'
    reader = EventReader(path)
    path.write_bytes(line[:20])
    assert reader.read() == []
    path.write_bytes(line)
    assert [e.data for e in reader.read()] == [{"step": 3}]


def test_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventWriter(path, attempt=1) as writer:
        writer.write("step", {"step": 1})
        writer.write("step", {"step": 2})
    whole = path.read_bytes()
    for cut in range(1, len(whole)):
        path.write_bytes(whole[:cut])
        with EventWriter(path, attempt=2) as writer:
            writer.write("state", {"state": "training"})
        events = read_events(path)
        assert events[-1].kind == "state"
        assert [e.data["step"] for e in events[:-1]] == [1, 2][: len(events) - 1]


def test_a_line_that_is_no_record_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('[1]\n{"kind": "step"}\nnull\n\n{"attempt": 1, "time": 1, "kind": "done"}\n')
    assert [e.kind for e in read_events(path)] == ["done"]
