"""What an attempt runs on, written down before it trains; and what has changed since the one before."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from asr_lab.errors import RunError
from asr_lab.files import write_text
from asr_lab.runs.code_snapshot import running_code
from asr_lab.runs.directory import RunDirectory, identity_of
from asr_lab.runs.job.attempt import Attempted
from asr_lab.runs.jobs import job_of
from asr_lab.runs.provenance import (
    add_provenance,
    changes,
    host_changes,
    read_provenance,
    record_attempt,
    refusal,
    this_host,
)
from asr_lab.runs.request import AttemptRequest
from asr_lab.runs.world_size import one_for_several
from asr_lab.slots.parallel import Parallel
from asr_lab.training.parallel.world import World

if TYPE_CHECKING:
    from asr_lab.compiler.build import Experiment
    from asr_lab.config.load import Document
    from asr_lab.data.examples import LanguageShare
    from asr_lab.recipe import Recipe

MOST_LANGUAGES = 8
"""That are named in a line; the record has all."""


def tell_attempt(attempt: Attempted, document: Document[Recipe], experiment: Experiment, parts: dict[str, Any]) -> None:
    """Write down what this attempt runs on, what it leaves out, and what has no effect in it."""
    from asr_lab.compiler.effects import line, without_effect
    from asr_lab.training.precision.table import precision_table

    run, recipe = attempt.run, document.value
    is_changed = _record(attempt, experiment, recipe, parts)
    if parts["resumed_from"] is not None and not is_changed:
        experiment.left_out.take_up(run.left_out_file, experiment.valid_files)
    experiment.left_out.write(run.left_out_file)
    if table := precision_table(recipe.precision.tag(), experiment.layers):
        write_text(run.precision_file, f"{table}\n")
    attempt.warn_of_left_out(experiment.left_out)
    for problem in without_effect(document, experiment.extent):
        attempt.warn(line(problem))
    if experiment.languages:
        attempt.warn(_languages_line(recipe.data.temperature, experiment.languages))
    if alone := one_for_several(recipe.parallel, attempt.group.world):
        attempt.warn(alone)


def _record(attempt: Attempted, experiment: Experiment, recipe: Recipe, parts: dict[str, Any]) -> bool:
    """Compare with the attempt before, and write down what this one runs on: whether that has changed.

    RunError when a change isn't accepted.
    """
    run = attempt.run
    request, code, host = AttemptRequest.read(run), running_code(), this_host()
    found = changes(run, code, experiment.hashes)
    if found and not request.accept_changes:
        raise RunError(refusal(run, found, experiment.learner.done))
    other_host = host_changes(run, host) if parts["resumed_from"] is not None else []
    for change in found:
        attempt.warn(f"goes on under a change of {change}")
    for line in other_host:
        attempt.warn(f"another machine than before, equal bits are not promised: {line}")
    world = world_record(recipe.parallel, attempt.group.world)
    other_world = world_changes(run, world) if parts["resumed_from"] is not None else ""
    if other_world:
        attempt.warn(other_world)
    identity = identity_of(recipe)
    parts = parts | {
        "command": list(request.command),
        "folder": request.folder,
        "job": job_of(os.environ),
        "pid": os.getpid(),
        "accepted": [attrs.asdict(change) for change in found],
        "other_host": other_host,
        "precision": experiment.learner.precision.products(),
        "languages": {name: attrs.asdict(share) for name, share in experiment.languages.items()},
        "world": world,
        "other_world": other_world,
        "exact": not found and not other_host and not other_world,
        "execution": identity.execution,
        "evaluation": identity.evaluation,
    }
    from asr_lab.compiler.inputs import hash_of_sets

    hashes = experiment.hashes | ({"test": hash_of_sets(experiment.test)} if experiment.test else {})
    attempt.lock.check()
    add_provenance(run, record_attempt(attempt.lock.attempt, code, hashes, host, parts))
    return bool(found)


def _languages_line(temperature: float, languages: Mapping[str, LanguageShare]) -> str:
    shown = [f"{name or 'none'} {one.drawn:.1%} (of {one.there:.1%})" for name, one in languages.items()]
    rest = f", and {len(shown) - MOST_LANGUAGES} more" if len(shown) > MOST_LANGUAGES else ""
    told = ", ".join(shown[:MOST_LANGUAGES]) + rest
    return f"data.temperature = {temperature:g}: of an epoch's audio {told}"


def world_record(parallel: Parallel, world: World) -> dict[str, Any]:
    """What is written down of the processes that train."""
    return {"processes": world.size, "parallel": parallel.tag(), "launcher": world.launcher, "parts": parallel.parts}


def world_changes(run: RunDirectory, now: dict[str, Any]) -> str:
    """A line where other processes than now trained last; equal bits are promised for as many alone."""
    try:
        attempts = read_provenance(run)
    except RunError:
        return ""  # `changes` says so
    before = attempts[-1].get("world") if attempts else None
    old = before if isinstance(before, dict) else {"processes": 1, "parallel": "single", "parts": None}
    same = ("processes", "parallel", "parts")
    if not attempts or all(old.get(key) == now[key] for key in same):
        return ""
    was, new = (", ".join(f"{key} = {one.get(key)}" for key in same) for one in (old, now))
    return (
        f"goes on with {new} where {was} trained before: the same batches, the same draws; "
        "sums over a step may differ in their last bits"
    )
