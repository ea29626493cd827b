"""Successive halving: all train a part of the way, the better ones go on.

Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", AISTATS 2016. A rung
is a share of each run's own training, reached at the first validation that is due there anyway: what goes on from it
ends as if it had never waited.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from asr_lab.errors import LabError, RecipeError
from asr_lab.runs.study.points import StudyPoint
from asr_lab.runs.study.tracked import TrackedPoint
from asr_lab.training.rank import Rank


def rungs(num_arms: int, eta: int) -> tuple[float, ...]:
    """The shares of the training at which all but one in `eta` arms are dropped, the last of them leaving few.

    LabError where there are too few arms for one rung.
    """
    if num_arms < eta:
        raise LabError(
            f"--halving {eta} keeps one in {eta}, and there are {num_arms} to choose from: sweep more values"
        )
    count = 0
    while num_arms >= eta ** (count + 1):
        count += 1
    return tuple(1 / eta**k for k in range(count, 0, -1))


def check_rungs(points: Sequence[StudyPoint]) -> None:
    """RecipeError where a point has no validation to be chosen by before its end."""
    for point in points:
        train, data = point.document.value.train, point.document.value.data
        if not data.valid:
            problem = point.document.problem("data", "has no valid sets: --halving chooses by validation")
        elif train.valid_every_steps is None and train.max_epochs == 1:
            problem = point.document.problem(
                "train.max_epochs",
                "is 1 and validation once an epoch, at the end: --halving needs train.valid_every_steps",
            )
        elif None not in (train.valid_every_steps, train.max_steps) and train.valid_every_steps >= train.max_steps:  # type: ignore[operator]
            problem = point.document.problem(
                "train.valid_every_steps", "leaves no validation before the end: --halving chooses by those"
            )
        else:
            continue
        raise RecipeError(point.document.file, [problem])


def drop(tracked: Sequence[TrackedPoint], share: float, eta: int) -> None:
    """Drop all but the best of the arms that have come to a rung, one in `eta` and at least one.

    An arm's worth is the mean over its seeds; of equals the earlier stays. One that did not come there has failed.
    """
    values: dict[str, list[Rank]] = {}
    candidates = [one for one in tracked if not one.dropped and one.state != "failed"]
    for one in candidates:
        if (rank := one.at(share)) is None:
            one.fail(one.reason or f"it did not come to {share:.0%} of the training")
        else:
            values.setdefault(one.point.arm, []).append(rank)
    means = {arm: _mean(ranks) for arm, ranks in values.items()}
    order = sorted(means, key=means.__getitem__)
    num_kept = max(1, len(order) // eta)
    for one in candidates:
        if one.state != "failed" and (place := order.index(one.point.arm) + 1) > num_kept:
            one.dropped = f"at {share:.0%} of the training, {place} of {len(order)}; {num_kept} went on"


def _mean(ranks: Sequence[Rank]) -> Rank:
    return Rank(*(math.fsum(figures) / len(ranks) for figures in zip(*ranks, strict=True)))
