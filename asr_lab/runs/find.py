"""Finding runs: the one of a recipe, and the one that a RUN argument means."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from asr_lab.config.difference import KeyChange, difference
from asr_lab.config.identity import Identity
from asr_lab.errors import LabError, RunError
from asr_lab.runs.directory import RunDirectory, identity_of
from asr_lab.runs.lock import Liveness


def all_runs(root: Path) -> list[RunDirectory]:
    """Every run under a folder, oldest first."""
    if not root.is_dir():
        return []
    found = [RunDirectory(p.parent) for p in root.glob("*/resolved.json") if not p.parent.name.startswith(".")]
    return sorted(found, key=lambda run: (_created(run), run.name))


def run_of(identity: Identity, root: Path) -> RunDirectory | None:
    """The newest run of an experiment; None when there is none.

    A run is compared by its hash, and where that differs by resolving its stored recipe under today's schema: a
    field that is new since, at its default, then makes no difference.
    """
    for run in reversed(all_runs(root)):
        try:
            if run.resolved()["hash"] == identity.hash or _hash_today(run, identity) == identity.hash:
                return run
        except LabError:
            continue  # a recipe that today's schema refuses is another experiment
    return None


def changed_defaults(run: RunDirectory, identity: Identity) -> list[KeyChange]:
    """What the run was trained with that the same recipe would not mean today: defaults that changed since."""
    stored = run.resolved()["experiment"]
    return [change for change in difference(stored, identity.experiment) if _has(stored, change.path)]


def find_run(argument: str, root: Path) -> RunDirectory:
    """The run that an argument names: a path, a name, a prefix of a hash; "" = the newest with a whole checkpoint.

    Raises RunError when none fits, or more than one does.
    """
    runs = all_runs(root)
    if not argument:
        usable = [run for run in runs if has_checkpoint(run)]
        if not usable:
            raise RunError(f"no run under {root} has a checkpoint; train one with: asrlab run RECIPE")
        return max(usable, key=lambda run: run.checkpoints.stat().st_mtime)
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


def newest_running(root: Path) -> RunDirectory:
    """The newest run that somebody trains now; RunError when nobody does."""
    for run in reversed(all_runs(root)):
        with contextlib.suppress(RunError):  # a damaged one; `asrlab runs` lists it
            if Liveness(run.lock).holder() is not None:
                return run
    raise RunError(f"nothing runs under {root}; what there is: asrlab runs")


def _fits(run: RunDirectory, argument: str) -> bool:
    try:
        content = run.resolved()
    except RunError:
        return False
    return bool(content["name"] == argument) or (len(argument) >= 4 and str(content["hash"]).startswith(argument))


def _hash_today(run: RunDirectory, identity: Identity) -> str | None:
    if not _may_be_equal(run.resolved()["experiment"], identity.experiment):
        return None
    return identity_of(run.document().value).hash


def _may_be_equal(stored: dict[str, Any], today: dict[str, Any]) -> bool:
    """Whether resolving again is worth its time: what any recipe must spell out cannot have become equal since."""
    return all(stored.get(key) == today.get(key) for key in ("seed",)) and set(stored) <= set(today)


def _created(run: RunDirectory) -> float:
    try:
        return float(run.resolved()["created"])
    except RunError:
        return 0.0


def _has(content: Any, path: str) -> bool:
    """Whether a dotted path with list indices leads somewhere."""
    for part in path.replace("[", ".[").split("."):
        if part.startswith("["):
            index = int(part[1:-1])
            if not (isinstance(content, list | tuple) and index < len(content)):
                return False
            content = content[index]
        elif isinstance(content, dict) and part in content:
            content = content[part]
        else:
            return False
    return True


def has_checkpoint(run: RunDirectory) -> bool:
    """Whether a whole checkpoint is there."""
    return any(run.checkpoints.glob("step-*/checksums.json"))
