"""The resume proof: a run that is killed again and again ends with the bits of one that never was.

Kills are SIGKILL to whole process groups, found from outside by watching the run's directory. A kill counts for what
the directory shows after it, whatever it aimed at.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import numpy as np

from asr_lab.compiler.load import load_recipe
from asr_lab.errors import RunError
from asr_lab.runs.directory import RunDirectory, create_run
from asr_lab.runs.find import find_weights
from asr_lab.runs.proofs.digests import PartDifference, differences, digests
from asr_lab.runs.proofs.folders import new_folder, remove
from asr_lab.runs.proofs.jobs import LAUNCHERS_GRACE_S, RankedJob, start_job
from asr_lab.runs.proofs.moments import KINDS, POLL_S, Aim, Instants, Kind, RunPace, draw_aims, pace_of
from asr_lab.runs.request import AttemptRequest
from asr_lab.runs.status import status_of

if TYPE_CHECKING:
    from asr_lab.config.load import Document
    from asr_lab.recipe import Recipe

FOLDER = "verify-resume"
"""Under the runs: where the proof's own runs are."""
MAX_EMPTY_COPIES = 3
"""Copies in a row that end before a kill reaches them."""


@attrs.frozen
class Kill:
    """One SIGKILL: what it was to hit, what it hit, and when."""

    aim: Kind
    hit: Kind
    copy: int
    """Which of the killed runs, from 1."""
    attempt: int
    seconds: float
    """After the attempt began."""
    step: int
    """The last step that was written down."""
    rank: int = 0
    """Whose process was killed first."""

    def __str__(self) -> str:
        where = (
            f"run {self.copy}, attempt {self.attempt:2}, rank {self.rank}, {self.seconds:7.3f} s, step {self.step:5}"
        )
        return f"{where}: {self.hit}" + ("" if self.hit == self.aim else f" (aimed at {self.aim})")


@attrs.frozen
class ResumeProof:
    """What came of all kills."""

    kills: tuple[Kill, ...]
    digests: dict[str, str]
    """Of the undisturbed run, by part."""
    differences: tuple[tuple[PartDifference, ...], ...]
    """Of each run that was killed and went on."""
    num_steps: int
    folder: Path
    """Where the runs are; gone where all are equal."""

    @property
    def holds(self) -> bool:
        """Whether no run differs from the undisturbed one."""
        return not any(self.differences)

    @property
    def counts(self) -> dict[Kind, int]:
        """Kills by what they hit."""
        counted = Counter(kill.hit for kill in self.kills)
        return {kind: counted[kind] for kind in KINDS}


def recipe_of_proof(recipe: Path, overrides: Sequence[str], num_steps: int | None, root: Path) -> Document[Recipe]:
    """The recipe as the proof runs it: `num_steps` long where given, each step logged, no listeners.

    RunError where it promises no equal bits.
    """
    short = [] if num_steps is None else _short(num_steps)
    document = load_recipe(recipe, ["log.every_steps=1", "log.listeners=[]", *short, *overrides])
    value = document.value
    if value.train.max_wall_min is not None:
        raise RunError("train.max_wall_min: a run that the clock ends has other steps each time; use max_steps")
    if value.determinism.level == "off":
        raise RunError('determinism.level = "off" promises nothing; try --set determinism.level=bitwise')
    if value.init is None:
        return document
    weights = find_weights(value.init.from_, root).resolve()
    return load_recipe(recipe, [*document.overrides, f'init.from="{weights}"'])


def verify_resume(
    document: Document[Recipe], root: Path, num_kills: int, seed: int = 0, num_ranks: int = 1
) -> Generator[Kill | RunDirectory, None, ResumeProof]:
    """Run a recipe undisturbed, then again with kills until there are enough; compare each killed run with the first.

    Gives the undisturbed run when it is finished, then each kill; returns the proof. TrainingError where an attempt
    fails by itself, RunError where the run is over before it can be killed.
    """
    folder = new_folder(root / FOLDER, document.value.name)
    whole = _new_run(document, folder)
    _run_to_end(whole, num_ranks)
    yield whole
    wanted, pace, num_steps = digests(whole), pace_of(whole), status_of(whole).step
    rng = np.random.default_rng(seed)
    kinds = [kind for kind in KINDS if _has(kind, document.value)]
    aims = draw_aims(num_kills, kinds, num_steps, rng)
    kills: list[Kill] = []
    found: list[tuple[PartDifference, ...]] = []
    num_empty = 0
    while aims:
        run = _new_run(document, folder)
        before, missed = len(kills), list[Aim]()
        for number, aim in enumerate(aims):
            kill = _kill_once(run, aim, pace, rng, len(found) + 1, num_ranks)
            if kill is None:  # it has finished: what is left comes over the next copy
                missed = aims[number:]
                break
            kills.append(kill)
            yield kill
        _run_to_end(run, num_ranks)
        found.append(differences(wanted, digests(run)))
        aims = missed
        num_empty = num_empty + 1 if len(kills) == before else 0
        if num_empty == MAX_EMPTY_COPIES:
            raise RunError(f"{run.path} is over before it can be killed ({aims[0].kind}); take more steps: --steps")
    proof = ResumeProof(tuple(kills), wanted, tuple(found), num_steps, folder)
    if proof.holds:
        remove(folder)
    return proof


def _short(num_steps: int) -> list[str]:
    """Overrides that end a recipe after so many steps, with a few validations and three checkpoints to each."""
    valid = max(1, num_steps // 5)
    return [
        f"train.max_steps={num_steps}",
        f"train.valid_every_steps={valid}",
        f"train.save_every_steps={max(1, valid // 3)}",
    ]


def _has(kind: Kind, recipe: Recipe) -> bool:
    if kind == "validation":
        return bool(recipe.data.valid)
    return kind != "evaluation" or bool(recipe.data.test)


def _new_run(document: Document[Recipe], folder: Path) -> RunDirectory:
    run = create_run(document, folder, again=True)
    AttemptRequest().write(run)
    return run


def _run_to_end(run: RunDirectory, num_ranks: int) -> None:
    job = start_job(run, num_ranks)
    try:
        job.wait()
    finally:
        job.kill()


def _kill_once(
    run: RunDirectory, aim: Aim, pace: RunPace, rng: np.random.Generator, copy: int, num_ranks: int
) -> Kill | None:
    """Start the job and kill it at the instant; None where it finished before."""
    instants = Instants(run, num_ranks)
    first, grace_s = int(rng.integers(num_ranks)), float(rng.uniform(0, LAUNCHERS_GRACE_S))
    job = start_job(run, num_ranks)
    began = time.monotonic()
    try:
        for has_come in instants.until(aim, pace, rng):
            if has_come:
                break
            if _is_finished(job):
                return None
            time.sleep(POLL_S)
    finally:
        job.kill(first, grace_s)
    if all(process.exitcode == 0 for process in job.processes):
        return None
    return Kill(aim.kind, instants.kind, copy, instants.attempt, time.monotonic() - began, instants.step, first)


def _is_finished(job: RankedJob) -> bool:
    job.must_be_well()
    return job.is_over
