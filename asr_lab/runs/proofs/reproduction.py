"""A finished run made again from its record, and what of it came out alike.

A run directory executes nothing by itself: its record is read, and the code that runs is the installed one, or the
run's own copy where the user trusts it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

import asr_lab
from asr_lab.errors import RunError
from asr_lab.files import write_json, write_text
from asr_lab.runs.code_snapshot import changed_files, code_of, running_code, snapshot_environment
from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.find import find_weights
from asr_lab.runs.proofs.digests import PartDifference, differences, digests
from asr_lab.runs.proofs.folders import new_folder, remove
from asr_lab.runs.proofs.jobs import LOG, failure
from asr_lab.runs.proofs.reasons import NOTHING_TO_COMPARE, reasons
from asr_lab.runs.provenance import read_provenance
from asr_lab.runs.request import AttemptRequest
from asr_lab.runs.status import RunStatus, state_of, status_of

FOLDER = "reproduced"
"""Under the runs: where runs are made again."""
MAX_FILES = 5
"""Changed files that a refusal names."""
GRACE_S = 60.0
"""For the job to save and end, once it was asked to."""
JOB = """\
import sys
from asr_lab.runs.code_snapshot import running_code
if running_code().hash != sys.argv[2]:
    sys.exit(f"error: the code that runs is {running_code().hash}, not {sys.argv[2]}")
from asr_lab.errors import LabError, TrainingError
from asr_lab.runs.job.entry import main
try:
    sys.exit(main(sys.argv[1]))
except (LabError, TrainingError) as error:
    sys.exit(f"error: {error}")
"""
"""What the process runs: it makes sure of its code, then does the job. Old copies have these names too."""


@attrs.frozen
class Reproduction:
    """What of a run came out alike, and what the two records say of the rest."""

    run: RunDirectory
    again: RunDirectory
    """Where it was made again; gone where all is equal."""
    wanted: dict[str, str]
    """SHA-256 by part, of the run."""
    found: dict[str, str]
    """SHA-256 by part, of the run that was made again; empty where data have changed."""
    scores: tuple[tuple[str, float | None, float | None], ...]
    """Of each rate of each test set: its name, its value in the run, and made again."""
    reasons: tuple[str, ...]
    """How the two records differ."""

    @property
    def differences(self) -> tuple[PartDifference, ...]:
        """The parts that are not alike."""
        return differences(self.wanted, self.found)

    @property
    def holds(self) -> bool:
        """Whether all of it is alike."""
        return not self.differences and all(old == new for _, old, new in self.scores)


@attrs.frozen
class CodeToRun:
    """Which code a run is made again on: its hash, and the environment of a process that runs it."""

    hash: str
    environment: dict[str, str]
    is_own_copy: bool


def code_to_run(run: RunDirectory, record: Mapping[str, Any], trusts_code: bool) -> CodeToRun:
    """The installed code where the run was trained by it, else the run's own copy.

    RunError where that is not trusted, damaged or gone.
    """
    wanted, installed = record["hashes"].get("code", ""), running_code()
    if installed.hash == wanted:
        package = str(Path(asr_lab.__file__).resolve().parent.parent)
        paths = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")]))
        return CodeToRun(wanted, {**os.environ, "PYTHONPATH": paths, "PYTHONSAFEPATH": "1"}, False)
    copy = run.code / wanted[:16]
    if not copy.is_dir() or not wanted:
        commit = (record.get("git") or {}).get("commit")
        way = f"; check out commit {commit} and install that" if commit else ""
        raise RunError(f"{run.path} was trained by other code than is installed, and its copy {copy} is gone{way}")
    if not trusts_code:
        files = changed_files(copy, installed)
        shown = [f"  {line}" for line in files[:MAX_FILES]]
        shown += [f"  … and {len(files) - MAX_FILES} more"] if len(files) > MAX_FILES else []
        raise RunError(
            "\n".join(
                [
                    f"{run.path} was trained by other code ({wanted[:12]}) than is installed ({installed.hash[:12]}):",
                    *shown,
                    f"a run directory executes nothing by itself; to run the copy in {copy}, type:",
                    f"  asrlab reproduce {run.path} --trust-code",
                ]
            )
        )
    found = code_of({path.name: path for path in copy.iterdir() if path.is_dir()})
    if found.hash != wanted:
        raise RunError(
            f"{copy} is damaged: its hash is {found.hash[:12]}, recorded is {wanted[:12]}; nothing of it is run"
        )
    return CodeToRun(wanted, snapshot_environment(copy, os.environ), True)


def last_record(run: RunDirectory) -> dict[str, Any]:
    """What a finished run's last attempt ran on; RunError where the run is not finished, or has no record."""
    state, _ = state_of(run, status_of(run))
    if state != "finished":
        raise RunError(f"{run.path} is {state}, not finished: there is nothing to compare with")
    attempts = read_provenance(run)
    if not attempts:
        raise RunError(f"{run.provenance_file} has no record of an attempt: what the run was trained on is not known")
    return attempts[-1]


def reproduce(
    run: RunDirectory, root: Path, code: CodeToRun, follow: Callable[[RunDirectory, Callable[[], bool]], RunStatus]
) -> Reproduction:
    """Make a finished run again in a folder of its own, and compare; `follow` shows it until it is over.

    It ends at once where data have changed. RunError or TrainingError where it cannot be made again.
    """
    record, wanted = last_record(run), digests(run)
    again = RunDirectory(new_folder(root / FOLDER, run.name))
    _lay_out(run, again, root)
    is_complete = _do(again, record, code, follow)
    why = reasons(run, again)
    found = digests(again) if is_complete else {}
    scores = _scores(run, again) if is_complete else ()
    reproduction = Reproduction(run, again, wanted, found, scores, why)
    if reproduction.holds:
        remove(again.path)
    return reproduction


def _lay_out(run: RunDirectory, again: RunDirectory, root: Path) -> None:
    """The recipe as it was written, with its overrides; weights that it starts from are found from here."""
    write_text(again.recipe_file, run.recipe_file.read_text(encoding="utf-8"))
    resolved = attrs.asdict(run.resolved())
    if origin := (resolved["experiment"].get("init") or {}).get("from"):
        resolved["overrides"] = [*resolved["overrides"], f'init.from="{find_weights(origin, root).resolve()}"']
    if (resolved["execution"].get("log") or {}).get("listeners"):
        resolved["overrides"] = [*resolved["overrides"], "log.listeners=[]"]
    write_json(again.resolved_file, resolved)
    AttemptRequest().write(again)


def _do(
    again: RunDirectory,
    record: Mapping[str, Any],
    code: CodeToRun,
    follow: Callable[[RunDirectory, Callable[[], bool]], RunStatus],
) -> bool:
    """Have the job done in a process of its own; False where data have changed and it was ended."""
    environment = {**code.environment, **_machine_of(record), "PYTHONDONTWRITEBYTECODE": "1"}
    folder = Path(record.get("folder") or ".")
    with (again.path / LOG).open("w") as output:
        job = subprocess.Popen(
            [sys.executable, "-c", JOB, str(again.path.resolve()), code.hash],
            env=environment,
            cwd=folder if folder.is_dir() else None,  # relative paths of data start there
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        status = follow(again, lambda: job.poll() is not None or _has_other_data(again, record))
        if _has_other_data(again, record):
            return False
        code_of_exit = job.wait(GRACE_S)
    finally:
        _end(job)
    if code_of_exit != 0 or status.phase != "done":
        raise failure(again, "it cannot be made again")
    return True


def _end(job: subprocess.Popen[bytes]) -> None:
    if job.poll() is not None:
        return
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()


def _has_other_data(again: RunDirectory, record: Mapping[str, Any]) -> bool:
    """Whether the new attempt has written down other data, tokenizer or normaliser than the run was trained on."""
    if not again.provenance_file.exists():
        return False
    new = read_provenance(again)[-1]["hashes"]
    old = record["hashes"]
    return any(kind in old and kind in new and old[kind] != new[kind] for kind in NOTHING_TO_COMPARE)


def _machine_of(record: Mapping[str, Any]) -> dict[str, str]:
    """Variables that give a process the recorded number of threads and kind of device; RunError without a GPU."""
    import torch

    determinism = record.get("determinism") or {}
    device = determinism.get("device", "cpu")
    threads = str(determinism.get("threads") or record["host"].get("num_threads") or 1)
    variables = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    if device == "cpu":
        return {**variables, "CUDA_VISIBLE_DEVICES": ""}
    if not torch.cuda.is_available():
        gpu = determinism.get("gpu", "a GPU")
        raise RunError(f"the run was trained on {gpu}, and this machine has none; make it again on one that has")
    return variables


def _scores(run: RunDirectory, again: RunDirectory) -> tuple[tuple[str, float | None, float | None], ...]:
    old, new = _rates(run), _rates(again)
    return tuple((name, old.get(name), new.get(name)) for name in dict.fromkeys([*old, *new]))


def _rates(run: RunDirectory) -> dict[str, float]:
    results = json.loads(json.dumps((status_of(run).result or {}).get("results", [])))
    return {f"{one['name']}, {rate.upper()}": value["value"] for one in results for rate, value in one["rates"].items()}
