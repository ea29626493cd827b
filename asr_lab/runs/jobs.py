"""Jobs that were submitted for a run: which they are, where their logs lie, and how they stand.

What is known of a job comes from the run's events, its logs and the scheduler, never from submitit's pickles.
"""

from __future__ import annotations

import datetime
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import attrs

from asr_lab.config import validators as v
from asr_lab.config.stored import read_stored
from asr_lab.errors import RunError
from asr_lab.files import write_text
from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.lock import process_started
from asr_lab.runs.scheduler import GONE, JobState, job_states

LOOK_EVERY_S = 5.0
"""Seconds between questions to a scheduler, which serves the whole cluster."""
PREEMPTED_S = 30.0
"""Seconds for which a job is PREEMPTED before it counts as ended: some versions say so before they requeue it."""

LOG_TAIL_BYTES = 1 << 14
"""Of a log, where SLURM's last words are looked for."""
_MEMORY_RAN_OUT = re.compile(
    rb"^(slurmstepd: error: Detected \d+ oom[-_]kill event|srun: error: [^\n]*: Out Of Memory$)", re.MULTILINE
)
"""What SLURM writes into a job's log when a cgroup has run out of memory; its state may only be FAILED then."""

States = Callable[[Sequence[str]], Mapping[str, JobState]]


def _problem_of_ids(ids: tuple[str, ...]) -> str | None:
    return next(
        (f"must be a job's number, got {one!r}" for one in ids if not re.fullmatch(r"\d{1,18}(_\d{1,9})?", one)), None
    )


@attrs.frozen
class SubmittedJob:
    """What was submitted last for a run."""

    cluster: Literal["local", "slurm"]
    ids: tuple[str, ...] = attrs.field(validator=v.all_of(v.min_len(1), v.checked_by(_problem_of_ids)))
    """The job, and those that follow it one after another; on this machine its controller's process."""
    logs: str
    """The folder of its logs."""
    since: int
    """The newest attempt when it was submitted."""
    started: int = 0
    """Of a process, when it started, in clock ticks since boot."""
    boot: str = ""
    """Of a process, the boot of its machine."""
    inode: int = 0
    """Of the folder that this lies in: a copy of a run has no job. 0 = not written down."""

    def write(self, run: RunDirectory) -> None:
        """Lay it down in the run's directory."""
        run.submitit.mkdir(exist_ok=True)
        mine = attrs.evolve(self, inode=run.submitit.stat().st_ino)
        write_text(_file(run), json.dumps(attrs.asdict(mine)) + "\n")

    def log_files(self) -> dict[int, Path]:
        """The logs of the newest of its jobs that has any, by rank."""
        for job in reversed(self.ids):
            found = Path(self.logs).glob(f"{job}_*_log.out")
            ranks = {int(m[1]): path for path in found if (m := re.fullmatch(rf"{job}_(\d+)_log\.out", path.name))}
            if ranks:
                return dict(sorted(ranks.items()))
        return {}

    def ran_out_of_memory(self) -> bool:
        """Whether SLURM says so in its logs, which is all that tells without accounting."""
        return any(_MEMORY_RAN_OUT.search(_tail(path)) for path in self.log_files().values())


def submitted_job(run: RunDirectory) -> SubmittedJob | None:
    """What was submitted last for a run; None where it only ever ran in commands' own processes."""
    if not _file(run).exists():
        return None
    job = read_stored(_file(run), SubmittedJob)
    return job if job.inode in (0, run.submitit.stat().st_ino) else None


class JobWatch:
    """How a submitted job stands, asked now and then."""

    def __init__(
        self,
        job: SubmittedJob,
        states: States = job_states,
        clock: Callable[[], float] = time.monotonic,
        every_s: float = LOOK_EVERY_S,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.job = job
        self._states = states
        self._clock = clock
        self._every_s = every_s
        self._wall_clock = wall_clock
        self._asked_at: float | None = None
        self._preempted_at: float | None = None
        self._state = JobState("")
        self.silence = ""
        """Why the scheduler's last answer is not there; "" = it is."""

    def look(self) -> JobState:
        """The state as of at most a few seconds ago; the last one known while the scheduler does not answer."""
        now = self._clock()
        if self._asked_at is None or now - self._asked_at >= self._every_s:
            try:
                self._state, self.silence = self._ask(now), ""
            except RunError as error:
                self.silence = str(error)
            self._asked_at = self._clock()
        return self._state

    def _ask(self, now: float) -> JobState:
        if self.job.cluster == "local":
            return JobState("RUNNING" if is_process(self.job) else GONE)
        states = list(self._states(self.job.ids).values())
        state = next((state for state in states if state.is_alive), None) or _last(states)
        if state.word != "PREEMPTED":
            self._preempted_at = None
            is_of_memory = state.word == "FAILED" and self.job.ran_out_of_memory()
            return attrs.evolve(state, word="OUT_OF_MEMORY") if is_of_memory else state
        self._preempted_at = now if self._preempted_at is None else self._preempted_at
        since_s = max(now - self._preempted_at, self._since_s(state.ended))
        return state if since_s >= PREEMPTED_S else attrs.evolve(state, word="REQUEUED")

    def _since_s(self, ended: str) -> float:
        """How long ago that was by this machine's clock; 0 where SLURM does not say."""
        try:
            return self._wall_clock() - datetime.datetime.fromisoformat(ended).timestamp()
        except ValueError:
            return 0.0


def watch_of(run: RunDirectory) -> JobWatch | None:
    """The watch over what was submitted last for a run; None where nothing was."""
    job = submitted_job(run)
    return None if job is None else JobWatch(job)


def is_process(job: SubmittedJob) -> bool:
    """Whether the controller of a job on this machine runs; False when it ran on another."""
    return job.boot == boot_id() and process_started(int(job.ids[0].partition("_")[0])) == job.started


def job_of(environ: Mapping[str, str]) -> str:
    """The job that a process is of, as its scheduler writes it; "" for one of the command line."""
    if array := environ.get("SLURM_ARRAY_JOB_ID"):
        return f"{array}_{environ.get('SLURM_ARRAY_TASK_ID', '')}"
    return environ.get("SLURM_JOB_ID") or environ.get("SUBMITIT_LOCAL_JOB_ID", "")


def boot_id() -> str:
    """The boot of this machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _last(states: Sequence[JobState]) -> JobState:
    """Of a chain that is over, the last job that ran."""
    ran = [state for state in states if state.word != GONE and state.start == ""]
    return next((state for state in reversed(ran) if state.nodes), ran[0] if ran else states[0])


def _tail(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_TAIL_BYTES))
            return file.read(LOG_TAIL_BYTES)
    except OSError:
        return b""


def _file(run: RunDirectory) -> Path:
    return run.submitit / "job.json"
