"""Where a step's time goes."""

from __future__ import annotations

import time

import torch

PHASES = ("data", "forward", "backward", "optimizer")


class Stopwatch:
    """Seconds per phase of a step.

    On CUDA, work is queued, so the phases on the device are timed by events. They are read when the step's one
    synchronisation has passed; what is queued after it (`optimizer`) is therefore that of the step before.
    """

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._marks: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []
        self._late: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []
        self._event: torch.cuda.Event | None = None
        self._last = 0.0
        self.seconds = dict.fromkeys(PHASES, 0.0)

    def start(self) -> None:
        """A step begins."""
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self._marks = []
        self._last = time.perf_counter()
        self._event = None

    def lap(self, phase: str) -> None:
        """The time since the last call was spent in `phase`."""
        now = time.perf_counter()
        if not self._cuda or phase == "data":
            self.seconds[phase] += now - self._last
        if self._cuda:
            event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            event.record()
            if self._event is not None and phase != "data":
                (self._late if phase == "optimizer" else self._marks).append((phase, self._event, event))
            self._event = event
        self._last = now

    def synchronised(self) -> None:
        """The device has done all that was queued: read its events."""
        marks, self._marks, self._late = [*self._marks, *self._late], [], []
        for phase, begin, end in marks:
            end.synchronize()  # no wait, unless the step held nothing to synchronise on
            self.seconds[phase] += begin.elapsed_time(end) / 1000

    def shares(self) -> dict[str, float]:
        """Share of each phase in the time that was measured."""
        total = sum(self.seconds.values())
        return {phase: seconds / total if total else 0.0 for phase, seconds in self.seconds.items()}
