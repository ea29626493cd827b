"""What a command asks of the next attempt; it lies in the run's directory, since a job is given nothing else."""

from __future__ import annotations

import json
import shlex

import attrs

from asr_lab.config.stored import read_stored
from asr_lab.files import write_text
from asr_lab.runs.directory import RunDirectory


@attrs.frozen
class AttemptRequest:
    """What asked for the attempt, and under what terms."""

    command: tuple[str, ...] = ()
    """The command line."""
    folder: str = ""
    """Its working directory: relative data paths start there."""
    accept_changes: bool = False
    """Whether the run may go on under other code, data or packages."""
    after: int | None = None
    """The newest attempt when it was asked for: a run that a later one finished needs no other."""
    pause_share: float | None = None
    """Share of the training at which it saves and ends, at the first validation that is due there or later; none: it
    trains to its end. What is paused goes on as if it never had been."""

    @property
    def resume_command(self) -> str:
        """The command line that goes on with the run; empty when none was typed."""
        once = ("--again", "--accept-changes", "--detach")
        return shlex.join(["asrlab", *(word for word in self.command[1:] if word not in once)]) if self.command else ""

    def write(self, run: RunDirectory) -> None:
        """Lay it down for the next attempt."""
        write_text(run.path / "request.json", json.dumps(attrs.asdict(self)) + "\n")

    @classmethod
    def read(cls, run: RunDirectory) -> AttemptRequest:
        """What was laid down last; one that asks for nothing where there is none. RunError where it is damaged."""
        path = run.path / "request.json"
        if not path.exists():
            return cls()
        return read_stored(path, cls)
