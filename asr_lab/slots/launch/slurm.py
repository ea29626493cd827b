"""Train as a job of a SLURM cluster, through submitit."""

from __future__ import annotations

from typing import Any

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.slots.launch import Launch

KEYS = {
    "partition": "partition", "account": "account", "qos": "qos", "time": "timeout_min", "mem": "mem_gb",
    "constraint": "constraint", "exclude": "exclude", "nodes": "nodes", "ntasks-per-node": "tasks_per_node",
    "gpus-per-node": "gpus_per_node", "cpus-per-task": "cpus_per_task",
}  # fmt: skip
"""Flags that have a key of their own."""
OURS = ("array", "chdir", "dependency", "error", "input", "job-name", "ntasks", "open-mode", "output", "signal", "wrap")
"""Flags that the dispatch sets, or that would undo it."""


def _problem_of_flags(flags: dict[str, Any]) -> str | None:
    for flag, value in flags.items():
        if not flag.replace("-", "").isalnum() or flag != flag.lower():
            return f"must name flags as sbatch does, without the dashes before them, got {flag!r}"
        if flag in KEYS:
            return f"must not hold {flag!r}: give launch.{KEYS[flag]}"
        if flag in OURS:
            return f"must not hold {flag!r}, which the dispatch sets"
        if value is not True and (isinstance(value, bool) or not isinstance(value, str | int | float)):
            return f"must hold texts, numbers and true (a bare flag), got {value!r} for {flag!r}"
        if isinstance(value, str) and not value.isprintable():
            return f"must hold one line for {flag!r}"
    return None


def _problem_of_lines(lines: tuple[str, ...]) -> str | None:
    return next((f"must hold lines, got {line!r}" for line in lines if not line.isprintable()), None)


_WORD = v.optional(v.matches_re(r"[!-~]+"))


@section
class Slurm(Launch):
    """A job of a SLURM cluster, which goes on after preemption and time limits; the command watches it."""

    partition: str | None = attrs.field(default=None, validator=_WORD)
    """Partition, or several with commas; default: the cluster's."""
    account: str | None = attrs.field(default=None, validator=_WORD)
    """Who pays."""
    qos: str | None = attrs.field(default=None, validator=_WORD)
    """Quality of service."""
    timeout_min: int = attrs.field(default=24 * 60, validator=v.between(1, 10_000_000))
    """Time limit in minutes; before it the job saves and is put into the queue again."""
    mem_gb: float | None = attrs.field(default=None, validator=v.optional(v.gt(0), v.le(1_000_000)))
    """Memory of each node; default: the cluster's."""
    constraint: str | None = attrs.field(default=None, validator=_WORD)
    """Features that nodes must have: `a100|h100`."""
    exclude: str | None = attrs.field(default=None, validator=_WORD)
    """Nodes not to run on: `n[01-04],n07`."""
    nodes: int = attrs.field(default=1, validator=v.between(1, 100_000))
    """Nodes."""
    tasks_per_node: int | None = attrs.field(default=None, validator=v.optional(v.between(1, 1024)))
    """Processes on each node; default: one for each of `gpus_per_node`, or one."""
    gpus_per_node: int = attrs.field(default=0, validator=v.between(0, 1024))
    """GPUs on each node."""
    cpus_per_task: int | None = attrs.field(default=None, validator=v.optional(v.between(1, 4096)))
    """Processors for each process; default: the cluster's."""
    array_parallelism: int = attrs.field(default=256, validator=v.between(1, 100_000))
    """Of an array of jobs, how many run at once."""
    sbatch: dict[str, Any] = attrs.field(factory=dict, validator=v.checked_by(_problem_of_flags))
    """More flags of sbatch, without their dashes: `{ mail-type = "END", exclusive = true }`."""
    setup: tuple[str, ...] = attrs.field(default=(), validator=v.checked_by(_problem_of_lines))
    """Shell lines of the batch script before anything starts: `module load cuda`."""
    container: str | None = attrs.field(default=None, validator=v.optional(v.matches_re(r"[ -~]*[!-~][ -~]*")))
    """Command before `python3`, which is then an image's: `apptainer exec --nv lab.sif`."""
    resubmit: int = attrs.field(default=0, validator=v.between(0, 1000))
    """Jobs that wait to take over, one after another: for clusters that cancel preempted jobs instead of requeuing."""

    @property
    def cluster(self) -> str | None:
        return "slurm"

    @property
    def processes_per_node(self) -> int:
        """Processes on each node."""
        return self.tasks_per_node or self.gpus_per_node or 1

    @property
    def num_processes(self) -> int:
        return self.nodes * self.processes_per_node

    @property
    def counted_by(self) -> str:
        if self.nodes > 1:
            return "nodes"
        return "tasks_per_node" if self.tasks_per_node else "gpus_per_node"
