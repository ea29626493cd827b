"""Instants of a run at which it is killed: drawn, waited for from outside, and told by what the directory shows."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from typing import Literal, get_args

import attrs
import numpy as np

from asr_lab.evaluation.page import TRAINED
from asr_lab.files import read_jsonl
from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.events import EventReader, read_events
from asr_lab.runs.lock import last_attempt
from asr_lab.training.unfinished import is_being_written

Kind = Literal["start", "step", "validation", "checkpoint", "evaluation"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MIX: tuple[Kind, ...] = (
    *("step", "checkpoint", "validation", "evaluation", "step"),
    *("checkpoint", "step", "validation", "start", "step"),
)
"""Of ten kills, how many aim at which kind; fewer take the first ones."""
POLL_S = 0.0005
FILES = 8
"""Of a checkpoint that one process writes, at most; it is hit while it has some of them, or is just whole."""
PHASES: dict[str, Kind] = {
    "building": "start",
    "training": "step",
    "validating": "validation",
    TRAINED: "evaluation",
    "scoring": "evaluation",
}


@attrs.frozen
class Aim:
    """What a kill is to hit: the first instant of its kind from a step on."""

    kind: Kind
    step: int


@attrs.frozen
class RunPace:
    """How long things take in the undisturbed run, in seconds: what delays within them are drawn from."""

    start_s: float
    step_s: float
    validation_s: float
    evaluation_s: float


def draw_aims(num: int, kinds: Sequence[Kind], num_steps: int, rng: np.random.Generator) -> list[Aim]:
    """So many aims of these kinds, in the order in which a run comes to them."""
    mix = [kind for kind in MIX if kind in kinds]
    drawn = [mix[i % len(mix)] for i in range(num)]
    before = [Aim(kind, int(rng.integers(0, num_steps))) for kind in drawn if kind != "evaluation"]
    after = [Aim("evaluation", num_steps)] * drawn.count("evaluation")
    return [*sorted(before, key=lambda aim: aim.step), *after]


def pace_of(run: RunDirectory) -> RunPace:
    """The pace of a finished run of one attempt."""
    events = read_events(run.events_file)
    at: dict[str, float] = {}
    for event in events:
        at.setdefault(str(event.data.get("state", event.kind)), event.time)
    begun, steps = at.get("training", events[0].time), [r["step_s"] for r in read_jsonl(run.metrics_file)]
    validations = [event.data["seconds"] for event in events if event.kind == "valid"]
    evaluation_s = events[-1].time - at.get("scoring", events[-1].time)
    return RunPace(
        begun - events[0].time, float(np.mean(steps or [0.0])), float(np.mean(validations or [0.0])), evaluation_s
    )


class Instants:
    """One attempt at a run, looked at from outside while it is under way."""

    def __init__(self, run: RunDirectory, num_ranks: int = 1) -> None:
        newest = last_attempt(run.lock)
        self.run = run
        self._files = FILES if num_ranks == 1 else num_ranks + 2  # a piece each, the state and the checksums
        self.attempt = newest.number + 1 if newest else 1
        """Its number."""
        self._events = EventReader(run.events_file)
        self._kind: Kind = "start"
        self._torn = self._writings()

    @property
    def kind(self) -> Kind:
        """Where the attempt stands."""
        if self._fresh_writings():
            return "checkpoint"
        for event in self._events.read():
            if event.attempt == self.attempt and event.kind == "state":
                self._kind = PHASES.get(event.data.get("state", ""), self._kind)
        return self._kind

    @property
    def step(self) -> int:
        """The last step that metrics.jsonl knows of, 0 before."""
        try:
            return int(json.loads(self.run.metrics_file.read_bytes().rstrip(b"\n").rpartition(b"\n")[2])["step"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return 0

    def until(self, aim: Aim, pace: RunPace, rng: np.random.Generator) -> Iterator[bool]:
        """Whether the instant has come, asked again and again: False until it has."""
        if aim.kind == "checkpoint":
            yield from self._until_written(aim.step, int(rng.integers(0, self._files)))
            time.sleep(rng.uniform(0, 0.002))
        else:
            within = {"start": pace.start_s, "step": pace.step_s}
            within |= {"validation": pace.validation_s, "evaluation": pace.evaluation_s}
            while self.kind != aim.kind or (self.step < aim.step and aim.kind in ("step", "validation")):
                yield False
            over = time.monotonic() + rng.uniform(0, within[aim.kind])
            while time.monotonic() < over and self.kind == aim.kind:  # it may be faster than the undisturbed one
                yield False
        yield True

    def _until_written(self, step: int, num_files: int) -> Iterator[bool]:
        """Until a checkpoint from a step on has so many files, or is whole."""
        seen: set[str] = set()
        while True:
            now = self._fresh_writings() if self.step >= step else set()
            if seen - now or any(self._num_files(name) >= num_files for name in now):
                return
            seen |= now
            yield False

    def _num_files(self, name: str) -> int:
        try:
            return len(os.listdir(self.run.checkpoints / name))
        except OSError:  # renamed: it is whole
            return self._files

    def _fresh_writings(self) -> set[str]:
        return self._writings() - self._torn

    def _writings(self) -> set[str]:
        try:
            return {entry.name for entry in os.scandir(self.run.checkpoints) if is_being_written(entry.name)}
        except FileNotFoundError:
            return set()
