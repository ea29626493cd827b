"""What an attempt runs on, written down before it trains; and what has changed since the one before."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

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
    world = world_record(recipe, attempt.group.world)
    other = world_change(_last_world(run), world) if parts["resumed_from"] is not None else SAME_WORLD
    if other.line:
        attempt.warn(other.line)
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
        "other_world": other.line,
        "exact": not found and not other_host and other.is_exact,
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


class WorldChange(NamedTuple):
    """That other processes go on than trained before."""

    line: str
    """What the run's record and events say; empty where they are as before."""
    is_exact: bool
    """Whether equal bits are promised all the same."""


SAME_WORLD = WorldChange("", True)


def world_record(recipe: Recipe, world: World) -> dict[str, Any]:
    """What is written down of the processes that train.

    `order` is how many microbatches' gradients they add up one after another; None where no such order is promised.
    """
    parallel, batch_s = recipe.parallel, recipe.train.batch_s
    parts, max_rank_batch_s = parallel.parts or world.size, parallel.max_rank_batch_s or batch_s
    is_ordered = (
        recipe.determinism.level == "bitwise"
        and parallel.adds_in_order(world.size)
        and max_rank_batch_s >= batch_s  # or a step may be cut into more
        and world.size in (1, parts)
    )
    return {
        "processes": world.size,
        "parallel": parallel.tag(),
        "launcher": world.launcher,
        "parts": parallel.parts,
        "max_rank_batch_s": parallel.max_rank_batch_s,
        "order": parts if is_ordered else None,
    }


def world_change(old: Mapping[str, Any], now: Mapping[str, Any]) -> WorldChange:
    """What it means that others go on than trained last, or that they cut a step otherwise: two records of a world."""
    same = [key for key in ("processes", "parallel", "parts", "max_rank_batch_s") if key in old]
    if all(old[key] == now[key] for key in same):
        return SAME_WORLD
    was, new = (", ".join(f"{key} = {one[key]}" for key in same) for one in (old, now))
    is_exact = now["order"] is not None and now["order"] == old.get("order")
    promised = "the same bits" if is_exact else "sums over a step may differ in their last bits"
    return WorldChange(
        f"goes on with {new} where {was} trained before: the same batches, the same draws; {promised}", is_exact
    )


def _last_world(run: RunDirectory) -> Mapping[str, Any]:
    try:
        attempts = read_provenance(run)
    except RunError:
        return {}  # `changes` says so
    found = attempts[-1].get("world") if attempts else {}
    return found if isinstance(found, dict) else {"processes": 1, "parallel": "single", "parts": None}
