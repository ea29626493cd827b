"""Owners that give no sign, as `asrlab runs` and whoever watches see them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from typer.testing import CliRunner

from asr_lab.compiler.load import load_recipe
from asr_lab.runs import silence, view
from asr_lab.runs.directory import RunDirectory, create_run, runs_root
from asr_lab.runs.events import EventWriter
from asr_lab.runs.lock import Owner, last_attempt
from asr_lab.runs.silence import LOOK_S, silences
from asr_lab.runs.status import RunStatus
from cli.main import app

Write = Callable[..., Path]
DAY_S = 86400.0


def owned_elsewhere(run: RunDirectory, age_s: float, beat: int = 7) -> None:
    """A lock as a process on another machine leaves it, its heartbeat as old as said."""
    run.lock.mkdir(exist_ok=True)
    owner = attrs.evolve(Owner.me(), host="node-7", boot="its boot", machine="its machine")
    (run.lock / "0001.json").write_text(json.dumps(attrs.asdict(owner)))
    (run.lock / "0001.beat").write_text(str(beat))
    then = time.time() - age_s
    os.utime(run.lock / "0001.beat", (then, then))


@pytest.fixture
def run(recipe: Write) -> RunDirectory:
    return create_run(load_recipe(recipe()), runs_root())


def listed(monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, object], str, list[float]]:
    """The row of the only run, the table, and how long each looked for a heartbeat."""
    looks: list[float] = []
    monkeypatch.setattr(silence.silences, "__defaults__", (looks.append,))
    (row,) = json.loads(CliRunner().invoke(app, ["runs", "--json"]).stdout)
    return row, CliRunner().invoke(app, ["runs"]).stdout, looks


def test_a_silent_owner_is_told_from_one_that_trains(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    owned_elsewhere(run, age_s=200)
    row, table, looks = listed(monkeypatch)
    assert row["state"] == "silent"
    assert row["silent_s"] == pytest.approx(200, abs=30)
    assert "silent for 3m2" in table
    assert looks == [LOOK_S, LOOK_S]


def test_an_owner_that_beats_is_running_at_once(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    owned_elsewhere(run, age_s=4)
    row, _, looks = listed(monkeypatch)
    assert (row["state"], row["silent_s"], looks) == ("running", None, [])


@pytest.mark.parametrize("age_s", [-DAY_S, 400 * DAY_S])
def test_clocks_that_differ_make_no_owner_silent(run: RunDirectory, age_s: float) -> None:
    owned_elsewhere(run, age_s)
    attempt = last_attempt(run.lock)
    assert attempt is not None
    assert silences({run.lock: attempt}, lambda _: owned_elsewhere(run, age_s, beat=8)) == {}


def test_a_heartbeat_from_the_future_that_stands_is_silent(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    owned_elsewhere(run, age_s=-DAY_S)
    row, table, _ = listed(monkeypatch)
    assert (row["state"], row["silent_s"]) == ("silent", None)
    assert "silent  " in table


@pytest.mark.parametrize("jump_s", [-400 * DAY_S, 400 * DAY_S])
def test_ages_are_never_negative(run: RunDirectory, jump_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    with EventWriter(run.events_file, 1) as events:
        events.write("state", {"state": "building"})
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + jump_s)
    row, table, _ = listed(monkeypatch)
    assert isinstance(row["age_s"], float)
    assert row["age_s"] >= 0
    assert "-" not in table.splitlines()[1].removeprefix(run.name)


def test_a_watcher_is_told_of_the_silence(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    owned_elsewhere(run, age_s=0)
    monkeypatch.setattr(view, "DOUBT_S", 0.1)
    monkeypatch.setattr(view.Liveness.__init__, "__defaults__", (0.6, time.monotonic))
    lines: list[str] = []
    view.follow(run, view.PlainView(run, lines.append))
    (line,) = lines
    assert line.endswith("on node-7 gives no sign; it counts as gone after 60 s of silence")


def test_each_note_of_each_attempt_is_shown_once() -> None:
    shown: list[str] = []
    notes = view.Notes(shown.append)
    for attempt, said in ((1, ["a", "b"]), (1, ["a", "b", "c"]), (2, ["d"]), (2, ["d", "e"])):
        notes.show(RunStatus(attempt=attempt, notes=list(said)))
    assert shown == ["a", "b", "c", "d", "e"]


def test_a_clock_set_back_gives_no_time_left() -> None:
    status = RunStatus()
    status._pace.extend([(1000.0, 0.1), (500.0, 0.2)])
    assert status.eta_s is None
    assert view.duration(-5) == "0s"
