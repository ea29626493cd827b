"""Settings that cannot take effect in a run: what is noted before it starts.

The rules of `rules.py` know the recipe alone; these know how long its run will be. One that a longer run or other data
would give an effect makes no recipe wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from asr_lab.compiler.extent import Extent
from asr_lab.config.load import Document, in_order
from asr_lab.errors import Problem
from asr_lab.recipe import Recipe

Found = Iterator[tuple[str, str]]
Rule = Callable[[Document[Recipe], Extent], Found]


def without_effect(document: Document[Recipe], extent: Extent) -> list[Problem]:
    """The settings that a run of this length does not come to, in the order of the file."""
    return in_order([document.problem(*one) for rule in RULES for one in rule(document, extent)])


def line(problem: Problem) -> str:
    """A finding in one line, its place first."""
    return f"{problem.where}  {problem.path}: {problem.message}"


def rates_change(document: Document[Recipe], extent: Extent) -> Found:
    """The warm-up ends within the run, before a decay begins, and both have a step."""
    schedule, steps = document.value.schedule, extent.num_steps
    if steps is None:
        return
    count = schedule.num_warmup_steps(steps)
    key = "schedule.warmup" if schedule.warmup_steps is None else "schedule.warmup_steps"
    decay_share = getattr(schedule, "decay_share", None)
    if count >= steps:
        yield key, f"{count:,} steps of warm-up in a run of {steps:,}; the peak is never reached"
    elif decay_share is not None and count > (1 - decay_share) * steps:
        yield key, f"{count:,} steps of warm-up reach into the decay, the last {decay_share:.0%} of {steps:,} steps"
    elif schedule.warmup and not count and document.has("schedule.warmup"):
        yield key, f"{schedule.warmup:g} of {steps:,} steps is less than one: there is no warm-up"
    if decay_share is not None and decay_share * steps < 1:
        yield "schedule.decay_share", f"{decay_share:g} of {steps:,} steps is less than one: there is no decay"


def limits_are_met(document: Document[Recipe], extent: Extent) -> Found:
    """Each limit could be the one that ends the run."""
    train = document.value.train
    if extent.num_steps is None or extent.epoch_steps is None or extent.epoch_s is None:
        return
    alone = {
        "max_epochs": (train.max_epochs or 0) * extent.epoch_steps,
        "max_steps": train.max_steps or 0,
        "max_audio_h": 3600 * (train.max_audio_h or 0) / extent.epoch_s * extent.epoch_steps,
    }
    ends = min((key for key in alone if getattr(train, key) is not None), key=alone.__getitem__)
    for key, steps in alone.items():
        # Passes differ in length by a few steps.
        if getattr(train, key) is not None and steps > 1.1 * extent.num_steps:
            yield f"train.{key}", f"is never reached: train.{ends} ends the run at step {extent.num_steps:,}"


def validations_come(document: Document[Recipe], extent: Extent) -> Found:
    """There are validations enough for what counts them."""
    train = document.value.train
    count = extent.num_validations(train)
    if not document.value.data.valid or count is None:
        return
    have = "one validation" if count == 1 else f"{count:,} validations"
    if train.patience is not None and train.patience > count - 2:
        yield (
            "train.patience",
            f"{train.patience:,} ends no run of {have}: the first is the best so far, the last its end",
        )
    if count == 1 and document.has("train.metric"):
        yield "train.metric", "picks nothing: the run has one validation, at its end"


def steps_come(document: Document[Recipe], extent: Extent) -> Found:
    """What is done every so many steps is done before the end."""
    recipe, steps = document.value, extent.num_steps
    if steps is None:
        return
    every = {
        "train.valid_every_steps": (recipe.train.valid_every_steps, "validates at its end alone"),
        "train.save_every_steps": (recipe.train.save_every_steps, "saves at its end and after validations alone"),
        "log.every_steps": (recipe.log.every_steps, "logs no step"),
    }
    for key, (count, what) in every.items():
        if count is not None and count > steps:
            yield key, f"{count:,} is more than the run's {steps:,} steps: it {what}"
    if document.has("train.max_nonfinite") and recipe.train.max_nonfinite >= steps:
        yield "train.max_nonfinite", f"{recipe.train.max_nonfinite:,} never ends a run of {steps:,} steps"


def checkpoints_are_dropped(document: Document[Recipe], extent: Extent) -> Found:
    """There are more checkpoints than are kept."""
    recipe, steps = document.value, extent.num_steps
    if steps is None:
        return
    train = recipe.train
    ranked = extent.num_validations(train) if recipe.data.valid else 0
    if document.has("train.keep_best") and ranked is not None and train.keep_best > max(1, ranked):
        yield "train.keep_best", f"{train.keep_best:,} are never there: the run validates {ranked:,} times at most"
    saves = extent.num_validations(train) or 1
    if train.save_every_steps is not None:
        saves += steps // train.save_every_steps
    if document.has("train.keep_last") and train.keep_last > saves:
        yield "train.keep_last", f"{train.keep_last:,} are never there: the run saves {saves:,} at most"


def batches_are_full(document: Document[Recipe], extent: Extent) -> Found:
    """A batch is less than the corpus."""
    batch_s, corpus_s = document.value.train.batch_s, extent.epoch_s
    if corpus_s is not None and batch_s > corpus_s:
        yield "train.batch_s", f"{batch_s:g} s is more than a pass over the data, {corpus_s:,.0f} s: each is one step"


def averages_are_taken(document: Document[Recipe], extent: Extent) -> Found:
    """The average comes to its decay, which rises to it over the first steps, and is one."""
    decay, steps = document.value.train.average_decay, extent.num_steps
    if decay == 0:
        yield "train.average_decay", "0 averages nothing: the average is the newest weights"
    elif decay is not None and steps is not None:
        reached = steps / (steps + 9)  # asr_lab.training.average
        if reached < decay:
            needs = math.ceil(9 * decay / (1 - decay))
            yield (
                "train.average_decay",
                f"{decay:g} is reached after {needs:,} steps, the run has {steps:,}; it comes to {reached:.3g}",
            )


def augmentations_change_something(document: Document[Recipe], extent: Extent) -> Found:
    """Each augmentation changes some utterances."""
    for i, augment in enumerate(document.value.augment):
        for key, why in augment.idle.items():
            path = f"augment[{i}].{key}" if key else f"augment[{i}]"
            yield path, f"has no effect: {why}"


RULES: tuple[Rule, ...] = (
    rates_change,
    limits_are_met,
    validations_come,
    steps_come,
    checkpoints_are_dropped,
    batches_are_full,
    averages_are_taken,
    augmentations_change_something,
)
"""Each gives (path, message) pairs."""
