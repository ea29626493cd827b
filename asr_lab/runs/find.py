"""Finding runs: the one of a recipe, and the one that a RUN argument means."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from asr_lab.config.difference import KeyChange, difference
from asr_lab.config.identity import Identity
from asr_lab.errors import LabError, RunError
from asr_lab.runs.directory import RunDirectory, identity_of
from asr_lab.runs.lock import Liveness

RUN_FILES = ("resolved.json", "events.jsonl", "lock", "checkpoints")
"""Any of them makes a folder a run."""


def all_runs(root: Path) -> list[RunDirectory]:
    """Every run under a folder, oldest first; those whose `resolved.json` is gone or unreadable are among them."""
    if not root.is_dir():
        return []
    found = [RunDirectory(p) for p in root.iterdir() if not p.name.startswith(".") and _holds_a_run(p)]
    return sorted(found, key=lambda run: (_created(run), run.name))


def _holds_a_run(folder: Path) -> bool:
    """Whether a folder has what only runs have, be it whole or not."""
    return any(os.path.lexists(folder / name) for name in RUN_FILES)


def run_of(identity: Identity, root: Path) -> RunDirectory | None:
    """The newest run of an experiment; None when there is none.

    Where no run has its hash, one whose stored recipe would have it today: a default has changed since, or a key has
    come or gone. `changed_defaults` then says which.
    """
    return runs_of([identity.hash], root).get(identity.hash)


def runs_of(hashes: Iterable[str], root: Path) -> dict[str, RunDirectory]:
    """The newest run of each of several experiments, by hash, as `run_of` finds them; those without one are left out.

    The runs are read once, however many experiments there are.
    """
    wanted, found, runs = set(hashes), {}, all_runs(root)
    for hash_of in (_stored_hash, _hash_today):
        for run in reversed(runs if wanted else []):
            if (one := hash_of(run)) in wanted:
                wanted.remove(one)
                found[one] = run
    return found


def changed_defaults(run: RunDirectory, identity: Identity) -> list[KeyChange]:
    """What the run was trained with that the same recipe would not mean today."""
    return difference(run.parts()[0], identity.experiment)


def find_run(argument: str, root: Path) -> RunDirectory:
    """The run that an argument names: a path, a name, a prefix of a hash; "" = the newest that is finished.

    Where none is finished, "" is the newest with a whole checkpoint. Raises RunError when none fits, or more than one
    does.
    """
    runs = all_runs(root)
    if not argument:
        usable = [run for run in runs if has_checkpoint(run)]
        if not usable:
            raise RunError(f"no run under {root} has a checkpoint; train one with: asrlab run RECIPE")
        newest_first = sorted(usable, key=lambda run: run.checkpoints.stat().st_mtime, reverse=True)
        return next(filter(_is_finished, newest_first), newest_first[0])
    if (Path(argument) / "resolved.json").exists():
        return RunDirectory(Path(argument))
    exact = [run for run in runs if run.name == argument]
    fitting = exact or [run for run in runs if _fits(run, argument)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise RunError(f"{argument!r} fits several runs: {', '.join(run.name for run in fitting)}")
    known = f"; there are: {', '.join(run.name for run in runs[-8:])}" if runs else ""
    raise RunError(f"no run {argument!r} under {root}{known}")


def find_weights(argument: str, root: Path) -> Path:
    """What `[init] from` names: the path of a checkpoint or run where there is one, else a run by name or hash prefix.

    RunError when none fits, or more than one does.
    """
    return Path(argument) if Path(argument).exists() else find_run(argument, root).path


def newest_running(root: Path) -> RunDirectory:
    """The newest run that a process trains now, else the newest whose job waits; RunError when there is none."""
    runs = all_runs(root)
    for lives in (_has_holder, _has_job):
        for run in reversed(runs):
            with contextlib.suppress(RunError):  # a damaged one; `asrlab runs` lists it
                if lives(run):
                    return run
    raise RunError(f"nothing runs under {root}; what there is: asrlab runs")


def _is_finished(run: RunDirectory) -> bool:
    from asr_lab.runs.status import status_of  # numpy comes with it

    try:
        return status_of(run).phase == "done"
    except RunError:
        return False


def _has_holder(run: RunDirectory) -> bool:
    return Liveness(run.lock).holder() is not None


def _has_job(run: RunDirectory) -> bool:
    from asr_lab.runs.status import state_of, status_of

    return state_of(run, status_of(run))[0] == "queued"


def _fits(run: RunDirectory, argument: str) -> bool:
    try:
        content = run.resolved()
    except RunError:
        return False
    return content.name == argument or (len(argument) >= 4 and content.hash.startswith(argument))


def _stored_hash(run: RunDirectory) -> str | None:
    try:
        return run.resolved().hash
    except RunError:
        return None


def _hash_today(run: RunDirectory) -> str | None:
    """The hash of the stored recipe under today's schema; None where that refuses it: it is another experiment."""
    try:
        return identity_of(run.document().value).hash
    except LabError:
        return None


def _created(run: RunDirectory) -> float:
    try:
        return run.resolved().created
    except RunError:
        return 0.0


def resume_step(run: RunDirectory) -> int:
    """The step of the newest whole checkpoint, which an attempt goes on from; 0 without one."""
    names = [p.parent.name.removeprefix("step-") for p in run.checkpoints.glob("step-*/checksums.json")]
    return max((int(name) for name in names if name.isdecimal()), default=0)


def has_checkpoint(run: RunDirectory) -> bool:
    """Whether a whole checkpoint is there."""
    return any(run.checkpoints.glob("step-*/checksums.json"))
