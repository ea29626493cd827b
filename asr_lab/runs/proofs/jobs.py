"""A run's job in processes of their own, forked from a server that has torch loaded, so that it starts in a second."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import attrs

from asr_lab.errors import LabError, RunError, TrainingError
from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.status import status_of

PRELOADED = (
    "asr_lab.audio.augmentation.noise",
    "asr_lab.audio.augmentation.spec_augment",
    "asr_lab.audio.features.log_mel",
    "asr_lab.commands.result",
    "asr_lab.compiler.build",
    "asr_lab.evaluation.plots",
    "asr_lab.evaluation.report",
    "asr_lab.nn.blocks",
    "asr_lab.recognition.transcribe_set",
    "asr_lab.runs.job.entry",
    "asr_lab.runs.proofs.jobs",
    "asr_lab.training.determinism",
    "asr_lab.training.store",
    "matplotlib.backends.backend_svg",
    "matplotlib.figure",
    "rapidfuzz.distance",
    "scipy.stats",
    "torch._dynamo",
    "torch._inductor.test_operators",
)
"""What a run loads."""
LOG = "output.log"
"""In the run's directory: what its processes print."""
LOG_TAIL = 20
"""Lines shown of it where a job failed."""
LAUNCHERS_GRACE_S = 0.5
"""Within so many seconds of one rank's end a launcher ends the others."""


@attrs.define
class RankedJob:
    """The processes that train one run together, rank by rank; each leads a process group, with its workers in it."""

    run: RunDirectory
    processes: list[ForkServerProcess]

    @property
    def is_over(self) -> bool:
        """Whether all have ended."""
        return not any(process.is_alive() for process in self.processes)

    def wait(self) -> None:
        """See it to its end; an error, with its reason, where it failed."""
        for process in self.processes:
            process.join()
        self.must_be_well()

    def must_be_well(self) -> None:
        """RunError or TrainingError, as the run's last record has it, where a process did not end by finishing."""
        codes = [process.exitcode for process in self.processes]
        if any(code not in (0, None) for code in codes):
            raise failure(self.run, "its job failed")

    def kill(self, first: int = 0, grace_s: float = 0.0) -> None:
        """SIGKILL to the process group of one rank, after `grace_s` to the others', as a launcher does."""
        _kill_group(self.processes[first])
        time.sleep(grace_s if len(self.processes) > 1 else 0.0)
        for process in self.processes:
            _kill_group(process)
        for process in self.processes:
            process.join()


def start_job(run: RunDirectory, num_ranks: int = 1) -> RankedJob:
    """Start a run's job as so many processes, with the environment that torchrun would give each."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    port = free_port() if num_ranks > 1 else 0
    processes = []
    for rank in range(num_ranks):
        environment = {**os.environ, **(rank_environment(rank, num_ranks, port) if num_ranks > 1 else {})}
        process = context.Process(target=_work, args=(str(run.path), environment))
        process.start()
        processes.append(process)
    return RankedJob(run, processes)


def failure(run: RunDirectory, what: str) -> LabError | TrainingError:
    """The error that tells why a run's job failed: its last record, or the end of its log where there is none."""
    error, log = status_of(run).error, run.path / LOG
    if error is not None:
        kind = RunError if error.get("exit") == 2 else TrainingError
        return kind(f"{what}: {error['message']} (all of it: {log})")
    lines = log.read_text(errors="replace").splitlines()[-LOG_TAIL:] if log.exists() else []
    return TrainingError("\n  ".join([f"{what}; the end of {log}:", *lines]))


def _work(folder: str, environment: Mapping[str, str]) -> None:
    """The body of a process: the job, its output aside."""
    with contextlib.suppress(OSError):  # it leads a group already
        os.setpgid(0, 0)
    os.environ.clear()
    os.environ.update(environment)
    output = os.open(Path(folder) / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    from asr_lab.runs.job.entry import main

    try:
        code = main(folder)
    except (LabError, TrainingError) as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        code = 2 if isinstance(error, LabError) else 1
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        code = 1
    os._exit(code)


def _kill_group(process: ForkServerProcess) -> None:
    if process.pid is None or not process.is_alive():
        return
    with contextlib.suppress(ProcessLookupError):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:  # it does not lead a group yet
            os.kill(process.pid, signal.SIGKILL)


def rank_environment(rank: int, size: int, port: int) -> dict[str, str]:
    """What torchrun would tell one of so many processes of this machine."""
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "MASTER_PORT": port}
    return {"MASTER_ADDR": "127.0.0.1", **{name: str(value) for name, value in place.items()}}


def free_port() -> int:
    """One at which processes of this machine can meet."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
