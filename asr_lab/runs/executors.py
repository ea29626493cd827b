"""submitit's executors as a `[launch]` table asks for them; a dry run reads its batch script off the same one."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import submitit
from submitit.slurm.slurm import SlurmExecutor

from asr_lab.config.imports import PATH_VARIABLE
from asr_lab.devices import visible_gpus
from asr_lab.slots.launch import Launch
from asr_lab.slots.launch.local import Local
from asr_lab.slots.launch.slurm import Slurm

SIGNAL_DELAY_S = 120
"""Seconds before the time limit at which a job is told to save."""
EXPORTED = ("PYTHONPATH", "PYTHONSAFEPATH", PATH_VARIABLE, "ASRLAB_DATA", "ASRLAB_RUNS", "ASRLAB_CACHE")
"""Variables that the batch script sets: a cluster may start jobs with an empty environment."""
VISIBLE = (
    'bad=0; command -v "$1" >/dev/null || { echo "${SLURMD_NODENAME:-$(hostname)}: $1 is not there" >&2; bad=2; }; '
    'shift; for path; do [ -e "$path" ] || '
    '{ echo "${SLURMD_NODENAME:-$(hostname)}: $path is not there" >&2; bad=2; }; done; exit $bad'
)
"""Shell that a node runs: a line for the program and each path that it lacks."""


class BatchExecutor(SlurmExecutor):
    """submitit's for SLURM, which writes its script on machines without SLURM as well."""

    @classmethod
    def affinity(cls) -> int:
        return 2

    def script(self) -> str:
        """The batch script of the next job."""
        return str(self._make_submission_file_text(self._submitit_command_str, ""))


def slurm_executor(
    launch: Slurm, name: str, logs: Path, needed: Sequence[Path], environ: Mapping[str, str]
) -> BatchExecutor:
    """The executor of jobs of this name; `needed` are the paths that every node must see."""
    python = "python3" if launch.container is None else f"{launch.container} python3"
    executor = BatchExecutor(folder=logs, python=shlex.quote(sys.executable) if launch.container is None else python)
    flags = {"requeue": True, **launch.sbatch}
    if "no-requeue" in flags:
        del flags["requeue"]
    executor.update_parameters(
        job_name=name,
        partition=launch.partition,
        account=launch.account,
        qos=launch.qos,
        time=launch.timeout_min,
        mem=None if launch.mem_gb is None else f"{round(launch.mem_gb * 1024)}M",
        constraint=launch.constraint,
        exclude=launch.exclude,
        nodes=launch.nodes,
        ntasks_per_node=launch.processes_per_node,
        gpus_per_node=launch.gpus_per_node or None,
        cpus_per_task=launch.cpus_per_task,
        array_parallelism=launch.array_parallelism,
        signal_delay_s=_signal_delay_s(launch.timeout_min),
        stderr_to_stdout=True,
        srun_args=["--kill-on-bad-exit=1"],
        wckey=None,
        setup=_setup(launch, needed, environ),
        additional_parameters=flags,
    )
    return executor


def local_executor(launch: Launch, logs: Path) -> submitit.LocalExecutor:
    """The executor of a job on this machine."""
    asked = launch if isinstance(launch, Local) else Local()
    gpus = asked.gpus_per_node
    if gpus is None:
        gpus = min(1, len(visible_gpus()))
    executor = submitit.LocalExecutor(folder=logs)
    executor.update_parameters(
        timeout_min=asked.timeout_min,
        tasks_per_node=asked.num_processes,
        signal_delay_s=_signal_delay_s(asked.timeout_min),
        gpus_per_node=gpus,
        visible_gpus=tuple(int(name) for name in visible_gpus() if name.isdecimal()),
        stderr_to_stdout=True,
    )
    return executor


def _setup(launch: Slurm, needed: Sequence[Path], environ: Mapping[str, str]) -> list[str]:
    """Shell lines before the job itself: the table's own, its environment, and whether each node sees what it needs."""
    exports = [f"export {name}={shlex.quote(environ[name])}" for name in EXPORTED if environ.get(name)]
    if launch.cpus_per_task is not None:  # since SLURM 22.05 srun does not take it over
        exports.append("export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK")
    container = [] if launch.container is None else shlex.split(launch.container)
    python = sys.executable if launch.container is None else "python3"
    words = [*container, "sh", "-c", VISIBLE, "visible", python, *(str(path) for path in needed)]
    once = 'srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1'
    return [*launch.setup, *exports, f"{once} --kill-on-bad-exit=0 {shlex.join(words)} || exit 2"]


def _signal_delay_s(timeout_min: int) -> int:
    return min(SIGNAL_DELAY_S, 30 * timeout_min)
