"""From a recipe to a job: which run it means, whether it may go on, and where it is started."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import attrs

from asr_lab.config.load import Document
from asr_lab.config.words import toml
from asr_lab.errors import RunError
from asr_lab.recipe import Recipe
from asr_lab.runs.code_snapshot import Code, running_code, snapshot_environment, take_snapshot
from asr_lab.runs.directory import RunDirectory, create_run, identity_of
from asr_lab.runs.find import changed_defaults, find_weights, run_of
from asr_lab.runs.lock import Liveness, last_attempt, process_started
from asr_lab.runs.provenance import RecordChange, changes, refusal
from asr_lab.runs.request import AttemptRequest
from asr_lab.runs.status import RunStatus, state_of, status_of
from asr_lab.runs.view import follow, open_view
from asr_lab.runs.world_size import refuse_several_processes
from asr_lab.slots.launch import Launch
from asr_lab.slots.launch.local import Local

Standing = Literal["new", "resume", "running", "finished", "score"]


@attrs.frozen
class Prepared:
    """A run that is ready to be started, or need not be."""

    run: RunDirectory
    standing: Standing
    """`new`; `resume` = trained in part; `score` = trained, but decoded or scored otherwise than asked for now;
    `finished`; `running` = another process is at it."""
    status: RunStatus
    code: Code


def prepare(document: Document[Recipe], root: Path, again: bool = False, accept_changes: bool = False) -> Prepared:
    """Find or make the recipe's run, and see whether it may go on.

    Raises RunError with a diff when code, environment or defaults changed since the last attempt and that is not
    accepted; data, tokenizer and normaliser are compared where they are read, in the job.
    """
    refuse_several_processes()
    identity, code = identity_of(document.value), running_code()
    run = None if again else run_of(identity, root)
    if run is None:
        if document.value.init is not None:
            find_weights(document.value.init.from_, root)  # where it names nothing, torch need not be loaded
        try:
            return Prepared(create_run(document, root, again), "new", RunStatus(), code)
        except RunError:
            run = None if again else run_of(identity, root)  # made by another command meanwhile
            if run is None:
                raise
    status = status_of(run)
    state, _ = state_of(run, status)
    if state == "running":
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


def write_request(prepared: Prepared, document: Document[Recipe], accept_changes: bool) -> Path:
    """Put everything that the job needs into the run's directory; give the snapshot of the code."""
    prepared.run.write_recipe(document)
    request = AttemptRequest(tuple(sys.argv), str(Path.cwd()), accept_changes, prepared.status.attempt)
    request.write(prepared.run)
    return take_snapshot(prepared.code, prepared.run.code)


def run_inline(run: RunDirectory) -> int:
    """Do the job in this process, with the live view beside it; the job's exit code, and its errors.

    RunInUse at once where another process has the run.
    """
    from asr_lab.runs.job.entry import main

    with _shown(run):
        return main(str(run.path), wait_s=0.0)


@contextlib.contextmanager
def _shown(run: RunDirectory) -> Iterator[None]:
    newest = last_attempt(run.lock)
    over = threading.Event()
    view = open_view(run)

    def show() -> None:
        follow(run, view, newest.number if newest else 0, lambda: True, over.is_set)

    thread = threading.Thread(target=show, name="view", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        view.close()


@attrs.frozen
class LocalJob:
    """A job in a process of its own on this machine."""

    id: str
    since: int
    """The newest attempt when it was submitted."""

    @property
    def is_alive(self) -> bool:
        """Whether its controller runs, so that its first record may still come."""
        return process_started(int(self.id)) is not None


def start_local(run: RunDirectory, snapshot: Path, launch: Launch) -> LocalJob:
    """Start the run's job in a session of its own, from the snapshot of the code, through submitit."""
    run.submitit.mkdir(exist_ok=True)
    newest = last_attempt(run.lock)
    timeout_min = (launch if isinstance(launch, Local) else Local()).timeout_min
    log = run.submitit / "submit.log"
    command = [sys.executable, "-m", "asr_lab.runs.submit", str(run.path.resolve()), str(timeout_min)]
    with log.open("w") as output:
        done = subprocess.run(
            command,
            env=snapshot_environment(snapshot, os.environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    if done.returncode != 0:
        last = log.read_text(errors="replace").strip().splitlines()[-1:]
        raise RunError(f"the job could not be started: {' '.join(last)} (all of it: {log})")
    return LocalJob((run.submitit / "job").read_text(), newest.number if newest else 0)


def ask_to_stop(run: RunDirectory) -> None:
    """Have the run's process save and end; RunError when it is on another machine, or no process runs it."""
    holder = Liveness(run.lock).holder()
    if holder is None:
        raise RunError(f"{run.path} is not running")
    if not holder.owner.is_here:
        raise RunError(f"{run.path} is run by {holder.owner}; stop it there: kill {holder.owner.pid}")
    os.kill(holder.owner.pid, signal.SIGTERM)


def _as_toml(value: object) -> str:
    return "absent" if value is None else toml(value)


def _as_json(content: object) -> object:
    return json.loads(json.dumps(content))
