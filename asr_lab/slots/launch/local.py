"""Train in processes of their own on this machine, through submitit."""

from __future__ import annotations

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.slots.launch import Launch


@section
class Local(Launch):
    """A job on this machine that outlives the command; the command watches it."""

    tasks_per_node: int | None = attrs.field(default=None, validator=v.optional(v.between(1, 1024)))
    """Processes; default: one for each of `gpus_per_node`, or one."""
    gpus_per_node: int | None = attrs.field(default=None, validator=v.optional(v.between(0, 1024)))
    """GPUs that the job sees, the first ones; default: one where there is one."""
    timeout_min: int = attrs.field(default=7 * 24 * 60, validator=v.between(1, 10_000_000))
    """Minutes after which the job saves and is ended."""

    @property
    def cluster(self) -> str | None:
        return "local"

    @property
    def num_processes(self) -> int:
        return self.tasks_per_node or self.gpus_per_node or 1

    @property
    def counted_by(self) -> str:
        return "tasks_per_node" if self.tasks_per_node else "gpus_per_node"
