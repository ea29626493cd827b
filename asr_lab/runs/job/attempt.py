"""One attempt at a run, by the process that holds its lock or another rank of it: what its parts share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.job.elsewhere import Events, Lock
from asr_lab.runs.job.stopping import Stopper

if TYPE_CHECKING:
    from asr_lab.data.left_out import LeftOut
    from asr_lab.training.parallel.group import Group


@attrs.frozen
class Attempted:
    """The run, this process's hold on it, where it says what happens, whether it was asked to end, and with whom."""

    run: RunDirectory
    lock: Lock
    events: Events
    stop: Stopper
    group: Group

    @property
    def writes(self) -> bool:
        """Whether this process writes the run's files."""
        return self.group.world.is_first

    def warn(self, message: str) -> None:
        """Write down what whoever watches the run should know."""
        self.events.write("warning", {"message": message})

    def warn_of_left_out(self, left_out: LeftOut) -> None:
        """Write down in a line what is left out so far; nothing where nothing is."""
        if line := left_out.line(self.run.left_out_file):
            self.events.write("warning", {"message": line, "left_out": left_out.record()})
