"""Commands as a user of a cluster types them, and the folder that they are typed in."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import attrs
from cluster import Cluster

from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.find import all_runs
from asr_lab.runs.jobs import submitted_job
from asr_lab.runs.status import RunStatus, status_of

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 400
"""Seconds for what takes five on an idle machine: these tests share theirs with others."""


@attrs.frozen
class Lab:
    """A user of the cluster: a folder with data, a recipe and runs."""

    cluster: Cluster
    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        """The environment of the user's commands."""
        own = {"ASRLAB_DATA": str(self.folder / "data"), "ASRLAB_RUNS": str(self.folder / "runs")}
        return {**self.cluster.environ, **own, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def asrlab(self, *words: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; its exit code must be this one, None = any."""
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", *words],
            cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=PATIENCE_S,
        )  # fmt: skip
        assert code is None or done.returncode == code, f"{done.returncode}: {done.stdout}\n{done.stderr}"
        return done

    def start(self, seed: int, launch: str = "", *more: str, **values: object) -> RunDirectory:
        """Submit a run of a seed and leave it to itself."""
        done = self.asrlab(*_words(seed, launch, values), *more, "--detach")
        return self.run(re.findall(r"(tiny-[0-9a-f]{8}): ", done.stderr)[0])

    def dry_run(self, seed: int, launch: str = "", *more: str, **values: object) -> str:
        """What `start` would submit."""
        return self.asrlab(*_words(seed, launch, values), *more, "--dry-run").stdout

    def watching(self, run: RunDirectory) -> subprocess.Popen[str]:
        """`asrlab watch`, which goes on."""
        return self.running("watch", run.name)

    def running(self, *words: str) -> subprocess.Popen[str]:
        """A command that goes on; what it says on either stream is one text."""
        return subprocess.Popen(
            [sys.executable, "-m", "cli.main", *words],
            cwd=self.folder, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def run(self, name: str) -> RunDirectory:
        """A run by its name."""
        return next(run for run in all_runs(self.folder / "runs") if run.name == name)

    def job(self, run: RunDirectory) -> str:
        """The number of a run's job."""
        return self.jobs(run)[0]

    def jobs(self, run: RunDirectory) -> tuple[str, ...]:
        """Its number, and those of the jobs that follow it."""
        job = submitted_job(run)
        assert job is not None
        return job.ids

    def wait(self, run: RunDirectory, is_so: Callable[[RunStatus], bool]) -> RunStatus:
        """The run's status once it is so."""
        deadline = time.monotonic() + PATIENCE_S
        while not is_so(status := status_of(run)):
            log = self.asrlab("logs", run.name, code=None).stdout if time.monotonic() > deadline else ""
            assert time.monotonic() < deadline, f"{status}\n{self.cluster.output('squeue')}\n{log}"
            time.sleep(0.2)
        return status

    def wait_for_end(self, run: RunDirectory) -> None:
        """Until SLURM has no job of the run; one that it would start again is an error."""
        deadline = time.monotonic() + PATIENCE_S
        while states := self.cluster.output("squeue", "-h", "-o", "%T", "-j", ",".join(self.jobs(run))).split():
            assert "PENDING" not in states
            assert time.monotonic() < deadline, states
            time.sleep(0.2)

    def row(self, run: RunDirectory) -> dict[str, object]:
        """What `asrlab runs` has on a run."""
        rows = json.loads(self.asrlab("runs", "--json").stdout)
        return next(row for row in rows if row["run"] == run.name)

    def take_nodes(self, seconds: int) -> None:
        """Have a job of higher priority need both nodes."""
        self.cluster.output(
            "sbatch", "-p", "high", "-N2", "-c2", "-t1", "-o", "/dev/null", "--wrap", f"sleep {seconds}"
        )


def _words(seed: int, launch: str, values: dict[str, object]) -> list[str]:
    more = [word for key, value in values.items() for word in ("--set", f"train.{key}={value}")]
    limit = "" if "timeout_min" in launch else "timeout_min=20, "
    table = f'launch={{type="slurm", {limit}{launch}}}'
    return ["run", "tiny.toml", "--set", f"seed={seed}", "--set", table, *more]


def lay_folder(folder: Path) -> Path:
    """Write tones and the small recipe of the unit tests."""
    spec = importlib.util.spec_from_file_location("unit_fixtures", ROOT / "tests" / "unit" / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    unit = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(unit)
    unit.write_tones(folder / "data" / "tones")
    (folder / "tiny.toml").write_text(unit.RECIPE)
    return folder


def kill(pid: int) -> None:
    """Kill a process, as the kernel does where memory runs out."""
    os.kill(pid, signal.SIGKILL)


def processes(job: str) -> dict[int, int]:
    """The process ids of a job's ranks on this machine, by rank."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            words = (folder / "cmdline").read_bytes().split(b"\0")
            environ = dict(one.partition(b"=")[::2] for one in (folder / "environ").read_bytes().split(b"\0"))
            if b"submitit.core._submit" in words and environ.get(b"SLURM_JOB_ID") == job.encode():
                found[int(environ[b"SLURM_PROCID"])] = int(folder.name)
    return found
