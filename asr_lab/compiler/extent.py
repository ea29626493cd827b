"""How long a run will be, as far as that is known before it starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs
import numpy as np

from asr_lab.audio.augmentation import Augmentations
from asr_lab.data.cuts import Cuts, read_cuts
from asr_lab.data.examples import Examples, draw_examples
from asr_lab.data.plan import plan_epoch
from asr_lab.data.utterance import DataSource, Source, Utterance
from asr_lab.errors import LabError
from asr_lab.recipe import Recipe, Train
from asr_lab.training.limits import Limits

MAX_UTTERANCES = 5000
"""More are not looked at before a run: their headers would keep a person waiting."""


@attrs.frozen
class Extent:
    """The length of a run; None for what its data would tell, where they were not looked at."""

    num_steps: int | None
    """At most so many steps; None also where the clock alone ends the run."""
    epoch_steps: int | None = None
    """Steps of a pass over the training data."""
    epoch_s: float | None = None
    """Seconds of audio in a pass."""

    def num_validations(self, train: Train) -> int | None:
        """At most so many validations, that at the end included."""
        every = train.valid_every_steps or self.epoch_steps
        found = [] if every is None or self.num_steps is None else [-(-self.num_steps // every)]
        if train.valid_every_steps is None and train.max_epochs is not None:
            found.append(train.max_epochs)
        return min(found, default=None)


def limits_of(train: Train) -> Limits:
    """Where a recipe's run ends."""
    return Limits(
        max_epochs=train.max_epochs,
        max_steps=train.max_steps,
        max_audio_h=train.max_audio_h,
        max_wall_min=train.max_wall_min,
    )


def extent(train: Train, epoch_steps: int, epoch_s: float) -> Extent:
    """The length of a run whose passes are such."""
    return Extent(limits_of(train).num_steps(epoch_steps, epoch_s), epoch_steps, epoch_s)


def extent_of(recipe: Recipe, root: Path) -> Extent:
    """The length of a recipe's run from what its data's tables and headers say; nothing is decoded or made.

    Utterances that cannot be trained on are counted in: a run knows its own length better by a few steps. Where the
    data are absent, wrong, many or made by the recipe, only `train.max_steps` bounds it.
    """
    unknown = Extent(recipe.train.max_steps)
    if any(dataset.is_made for dataset in recipe.data.train):
        return unknown
    try:
        sources = [_bounded(dataset.build(root)) for dataset in recipe.data.train]
        cuts = read_cuts(sources, root, channel=recipe.data.channel, by_language=recipe.data.temperature != 1)
        examples = _examples(recipe, cuts, root)
    except (LabError, OSError, _TooManyError):
        return unknown
    if not len(examples):
        return unknown
    batch_s = recipe.train.batch_s
    plan = plan_epoch(examples.durations_s, examples.keys, batch_s=batch_s, max_rank_batch_s=batch_s)
    return extent(recipe.train, plan.num_steps, float(examples.durations_s.sum()))


def _examples(recipe: Recipe, cuts: Cuts, root: Path) -> Examples:
    """Those of the first epoch."""
    augmentations = Augmentations([augment.build(root) for augment in recipe.augment])
    return draw_examples(
        cuts.duration_s,
        cuts.keys,
        cuts.part,
        cuts.group,
        np.zeros(len(cuts), np.bool_),
        cuts.parts,
        seed=recipe.seed,
        epoch=0,
        duration_factors=augmentations.duration_factors,
        language=cuts.language,
        temperature=recipe.data.temperature,
    )


class _TooManyError(Exception):
    """More utterances than are looked at."""


def _bounded(given: DataSource) -> DataSource:
    def read() -> Source:
        source = given.read()
        return Source(_first(source), source.bad)

    return attrs.evolve(given, read=read)


def _first(source: Source) -> Iterator[Utterance]:
    for number, utterance in enumerate(source.utterances):
        if number >= MAX_UTTERANCES:
            raise _TooManyError
        yield utterance
