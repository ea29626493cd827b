"""A study: runs that differ in what is studied, each from one seed or several; and which of them is the best.

Runs are told apart on validation, by which their weights were chosen too. Test scores stand beside that, and decide
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import attrs

from asr_lab.errors import DataError
from asr_lab.evaluation.bootstrap import LEVEL
from asr_lab.evaluation.comparison import Difference, compare_over
from asr_lab.evaluation.spread import Spread, spread


@attrs.frozen
class SeedScore:
    """What one run came to, by the weights that its own validation chose."""

    seed: str
    """What it shares with a run of another arm: they are compared in pairs of one seed."""
    valid: float
    """The error rate on validation, as a fraction."""
    test: float | None
    """That of the test sets together under the same metric; None where they were not read."""
    normaliser: str
    hypotheses: Path
    """Of validation."""


@attrs.frozen
class Arm:
    """One way of training: all that a study knows of it."""

    label: str
    runs: tuple[SeedScore, ...]

    @property
    def valid(self) -> Spread:
        """The error rate on validation over seeds."""
        return spread([run.valid for run in self.runs])

    @property
    def test(self) -> Spread | None:
        """The error rate of the test sets over seeds; None unless all were read."""
        read = [run.test for run in self.runs if run.test is not None]
        return spread(read) if len(read) == len(self.runs) else None


@attrs.frozen
class Against:
    """The arm that validates best, compared with another one."""

    label: str
    """The other one."""
    utterances: Difference | None
    """Paired by utterance; None where they cannot be compared."""
    seeds: Spread | None
    """Other minus best, paired by seed; None for one seed."""
    reason: str = ""
    """Why they cannot be compared."""

    @property
    def holds(self) -> bool:
        """Whether the best one is better: over the utterances, and over the seeds where there are several."""
        if self.utterances is None or self.utterances.low <= 0 or self.utterances.p >= 1 - LEVEL:
            return False
        return self.seeds is None or (self.seeds.low is not None and self.seeds.low > 0)


@attrs.frozen
class Ranking:
    """The arms, the best on validation first, and what each is worth against the first."""

    arms: tuple[Arm, ...]
    against: tuple[Against, ...]
    """One for each arm but the first, in their order."""

    @property
    def best(self) -> Arm | None:
        """The first, where it is better than each of the others; None where one cannot be told from it."""
        return self.arms[0] if len(self.arms) > 1 and all(one.holds for one in self.against) else None

    @property
    def not_told_apart(self) -> tuple[str, ...]:
        """Those that may be as good as the first."""
        return tuple(one.label for one in self.against if not one.holds)


def rank(arms: Sequence[Arm], metric: str, resamples: int = 2000) -> Ranking:
    """The arms in order of their mean error rate on validation; equals as given, and one that is no number last.

    The first is compared with every other one, paired: by utterance (or speaker), the errors of each summed over the
    seeds that both have (`comparison.compare_over`), and by seed (Student's t). That all comparisons must hold makes
    up for their number: were all arms equal, a first one would be called the best in fewer than 5 % of studies.
    """
    ordered = sorted(arms, key=lambda arm: math.inf if math.isnan(arm.valid.mean) else arm.valid.mean)
    return Ranking(tuple(ordered), tuple(_against(ordered[0], other, metric, resamples) for other in ordered[1:]))


def _against(best: Arm, other: Arm, metric: str, resamples: int) -> Against:
    theirs = {run.seed: run for run in other.runs}
    pairs = [(run, theirs[run.seed]) for run in best.runs if run.seed in theirs]
    if not pairs:
        return Against(other.label, None, None, "they have no seed in common")
    seeds = spread([b.valid - a.valid for a, b in pairs]) if len(pairs) > 1 else None
    evaluations = [tuple({"normaliser": r.normaliser, "hypotheses": str(r.hypotheses)} for r in pair) for pair in pairs]
    try:
        found = compare_over([(a, b) for a, b in evaluations], metric, resamples)
    except DataError as error:
        return Against(other.label, None, seeds, str(error))
    return Against(other.label, found, seeds)
