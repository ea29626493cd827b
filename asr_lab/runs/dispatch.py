"""From a recipe to a job: which run it means, whether it may go on, and where it is started."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import attrs

from asr_lab.config.load import Document
from asr_lab.config.words import toml
from asr_lab.errors import RunError
from asr_lab.recipe import Recipe
from asr_lab.runs.code_snapshot import PACKAGE, Code, running_code, snapshot_environment, take_snapshot
from asr_lab.runs.directory import RunDirectory, create_run, free_path, identity_of
from asr_lab.runs.find import changed_defaults, find_weights, run_of
from asr_lab.runs.jobs import JobWatch, SubmittedJob, submitted_job, watch_of
from asr_lab.runs.lock import Liveness, last_attempt
from asr_lab.runs.provenance import RecordChange, changes, refusal
from asr_lab.runs.request import AttemptRequest
from asr_lab.runs.scheduler import job_states
from asr_lab.runs.status import RunStatus, state_of, status_of
from asr_lab.runs.view import follow, open_view
from asr_lab.runs.world_size import open_world
from asr_lab.slots.launch import Launch
from asr_lab.slots.launch.local import Local
from asr_lab.slots.launch.slurm import Slurm
from asr_lab.training.parallel.world import World

Standing = Literal["new", "resume", "running", "finished", "score"]


@attrs.frozen
class Prepared:
    """A run that is ready to be started, or need not be."""

    run: RunDirectory
    standing: Standing
    """`new`; `resume` = trained in part; `score` = trained, but decoded or scored otherwise than asked for now;
    `finished`; `running` = another process is at it, or a job of it waits."""
    status: RunStatus
    code: Code


def prepare(document: Document[Recipe], root: Path, again: bool = False, accept_changes: bool = False) -> Prepared:
    """Find or make the recipe's run, and see whether it may go on.

    Raises RunError with a diff when code, environment or defaults changed since the last attempt and that is not
    accepted; data, tokenizer and normaliser are compared where they are read, in the job.
    """
    identity, code = identity_of(document.value), running_code()
    run = None if again else run_of(identity, root)
    if run is None:
        check_start(document, root)
        try:
            return Prepared(create_run(document, root, again), "new", RunStatus(), code)
        except RunError:
            run = None if again else run_of(identity_of(document.value), root)  # made by another command meanwhile
            if run is None:
                raise
    return prepare_found(document, run, code, accept_changes)


def check_start(document: Document[Recipe], root: Path) -> None:
    """Where a new run's first weights are to come from, before torch is loaded; RunError where it names nothing."""
    if document.value.init is not None:
        find_weights(document.value.init.from_, root)


def prepare_found(document: Document[Recipe], run: RunDirectory, code: Code, accept_changes: bool = False) -> Prepared:
    """See whether a recipe's run may go on under this code; RunError as from `prepare`."""
    identity, status = identity_of(document.value), status_of(run)
    state, _ = state_of(run, status)
    if state in ("running", "queued"):
        return Prepared(run, "running", status, code)
    found = [] if accept_changes else changes(run, code, None)
    if drift := changed_defaults(run, identity):
        lines = tuple(f"{c.path}: {_as_toml(c.old)} -> {_as_toml(c.new)}" for c in drift)
        found += [] if accept_changes else [RecordChange("defaults", lines)]
    if found:
        raise RunError(refusal(run, found, state == "finished"))
    if state == "finished":
        same = run.parts()[2] == _as_json(identity.evaluation)
        return Prepared(run, "finished" if same else "score", status, code)
    return Prepared(run, "new" if state == "new" else "resume", status, code)


def check_data(prepared: Prepared, document: Document[Recipe]) -> None:
    """Read a finished run's data again; RunError with the diff when it was trained or scored on other data."""
    from asr_lab.compiler.inputs import hash_of_sets, read_inputs, read_test

    hashes = read_inputs(document.value, prepared.run.path).hashes
    if document.value.data.test:
        hashes["test"] = hash_of_sets(read_test(document.value).values())
    found = changes(prepared.run, prepared.code, hashes)
    if found:
        raise RunError(refusal(prepared.run, found, True))


def write_request(
    prepared: Prepared, document: Document[Recipe], accept_changes: bool, pause_share: float | None = None
) -> Path:
    """Put everything that the job needs into the run's directory; give the snapshot of the code."""
    prepared.run.write_recipe(document)
    after = prepared.status.attempt
    AttemptRequest(tuple(sys.argv), str(Path.cwd()), accept_changes, after, pause_share).write(prepared.run)
    return take_snapshot(prepared.code, prepared.run.code)


def run_inline(run: RunDirectory) -> int:
    """Do the job in this process, with the live view beside it; the job's exit code, and its errors.

    RunInUse at once where another process has the run.
    """
    from asr_lab.runs.job.entry import main

    with _shown(run):
        return main(str(run.path), wait_s=0.0)


def run_among(
    world: World,
    document: Document[Recipe],
    root: Path,
    again: bool,
    accept_changes: bool,
    say: Callable[[Prepared], None],
) -> tuple[RunDirectory, int]:
    """Train a recipe with the processes that a launcher started, of which this is one; the run and the exit code.

    The first finds or makes the run, tells `say` of it, shows it, and writes its files. Where another process trains
    it already, this is a RunError.
    """
    from asr_lab.runs.job.entry import main

    with open_world(document.value.parallel, world) as group:
        path, is_finished = group.first(
            lambda: _prepared_among(document, root, again, accept_changes, say), "finding the run"
        )
        run = RunDirectory(Path(path))
        if is_finished:
            return run, 0
        with _shown(run) if world.is_first else contextlib.nullcontext():
            return run, main(path, 0.0, group)


def _prepared_among(
    document: Document[Recipe], root: Path, again: bool, accept_changes: bool, say: Callable[[Prepared], None]
) -> tuple[str, bool]:
    prepared = prepare(document, root, again, accept_changes)
    if prepared.standing == "running":
        raise RunError(
            f"{prepared.run.path} is run by other processes, or its job waits: asrlab watch {prepared.run.name}"
        )
    say(prepared)
    if prepared.standing != "finished":
        write_request(prepared, document, accept_changes)
    elif not accept_changes:
        check_data(prepared, document)
    return str(prepared.run.path.resolve()), prepared.standing == "finished"


@contextlib.contextmanager
def _shown(run: RunDirectory) -> Iterator[None]:
    newest = last_attempt(run.lock)
    over = threading.Event()
    view = open_view(run)

    def show() -> None:
        follow(run, view, newest.number if newest else 0, is_over=over.is_set)

    thread = threading.Thread(target=show, name="view", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        view.close()


def start_job(run: RunDirectory, snapshot: Path, launch: Launch) -> JobWatch:
    """Submit the run's job, from a process and session of its own and from the snapshot of the code.

    RunError with what SLURM says where it refuses, and where this machine has no SLURM.
    """
    (job,) = start_jobs([run], snapshot, launch)
    return JobWatch(job)


def start_jobs(runs: Sequence[RunDirectory], snapshot: Path, launch: Launch) -> list[SubmittedJob]:
    """Submit the jobs of runs that are launched alike, as `start_job` does one: on SLURM, several are an array."""
    if launch.cluster == "slurm" and shutil.which("sbatch") is None:
        raise RunError(
            'launch.type = "slurm" needs sbatch, which this machine does not have; start it on a login node of the '
            "cluster, look at its script with --dry-run, or train here: --set 'launch={type=\"inline\"}'"
        )
    runs[0].submitit.mkdir(exist_ok=True)
    log = runs[0].submitit / "submit.log"
    with log.open("w") as output:
        done = subprocess.run(
            [sys.executable, "-m", "asr_lab.runs.submit", *(str(run.path.resolve()) for run in runs)],
            env=snapshot_environment(snapshot, os.environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    if done.returncode != 0:
        lines = log.read_text(errors="replace").strip().splitlines()
        last = next((line for line in reversed(lines) if line.startswith("sbatch: error")), " ".join(lines[-1:]))
        raise RunError(f"the job could not be started: {last} (all of it: {log})")
    jobs = [submitted_job(run) for run in runs]
    return [job for job in jobs if job is not None]


def dry_run(document: Document[Recipe], root: Path, again: bool = False) -> str:
    """What `asrlab run` would start, without a trace: for SLURM the batch script, else the command in a comment."""
    recipe, code = document.value, running_code()
    identity = identity_of(recipe)
    found = None if again else run_of(identity, root)
    path = (found.path if found else free_path(document, root, again)).resolve()
    snapshot = RunDirectory(path).code / code.hash[:16]
    environ = snapshot_environment(snapshot, os.environ, sorted(code.folders.keys() - {PACKAGE}))
    match recipe.launch:
        case Slurm():
            from asr_lab.runs.submit import batch_script

            return batch_script(path, snapshot, recipe, recipe.launch, environ)
        case Local():
            command = f"{shlex.quote(sys.executable)} -u -m submitit.core._submit {shlex.quote(str(path / 'submitit'))}"
            num, minutes = recipe.launch.num_processes, recipe.launch.timeout_min
            what = f"{num} process{'es' if num > 1 else ''} on this machine, ended after {minutes} min:\n{command}"
        case _:
            what = "this very process"
    return f"# trains in {path}, in {what}"


def cancel(run: RunDirectory, now: bool = False) -> None:
    """Have a run's processes save and end, or end at once; a job that waits leaves the queue.

    RunError when it is on another machine and no job's, or no process runs it and none may come.
    """
    watch, holder = watch_of(run), Liveness(run.lock).holder()
    if watch is not None and watch.job.cluster == "slurm" and watch.look().is_alive:
        _scancel(watch.job.ids, is_gentle=holder is not None and not now)
        return
    controller = int(watch.job.ids[0]) if watch is not None and watch.look().is_alive else None
    if holder is None and controller is None:
        raise RunError(f"{run.path} is not running")
    if holder is not None and not holder.owner.is_here:
        raise RunError(f"{run.path} is run by {holder.owner}; stop it there: kill {holder.owner.pid}")
    if controller is not None and (now or holder is None):
        os.killpg(os.getpgid(controller), signal.SIGKILL)  # it and its processes, which have nothing to save yet
    elif holder is not None:
        os.kill(holder.owner.pid, signal.SIGKILL if now else signal.SIGTERM)


def _scancel(jobs: Sequence[str], is_gentle: bool) -> None:
    """Take jobs out of the queue, and end the one that runs; gentle: by the signal at which it saves."""
    states = job_states(jobs)
    for job in sorted(jobs, key=lambda one: not states[one].is_waiting):  # else those that wait take over
        if not states[job].is_alive:
            continue
        words = ["--signal=TERM"] if is_gentle and not states[job].is_waiting else []
        done = subprocess.run(["scancel", *words, job], capture_output=True, text=True)
        if done.returncode != 0:
            raise RunError(f"job {job} could not be cancelled: {' '.join(done.stderr.split())}")


def _as_toml(value: object) -> str:
    return "absent" if value is None else toml(value)


def _as_json(content: object) -> object:
    return json.loads(json.dumps(content))
