"""How good weights are, for choosing among them: the metric, then the character error rate, then the loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from asr_lab.files import number_of


class Rank(NamedTuple):
    """A validation's figures, lower is better; among equals of one the next decides, and of all the later wins."""

    value: float
    """The metric's error rate, as a fraction."""
    cer: float = math.inf
    """Character error rate; infinite where it was not taken."""
    loss: float = math.inf
    """Training loss per utterance; infinite where there is none."""

    def ties(self) -> list[float | None]:
        """Character error rate and loss as JSON has them, None for infinite ones."""
        return [one if math.isfinite(one) else None for one in self[1:]]

    @classmethod
    def of(cls, value: float, ties: Any = ()) -> Rank:
        """The rank that was written so; anything that is no number counts as infinite."""
        listed = ties if isinstance(ties, Sequence) and not isinstance(ties, str) else ()
        return cls(value, *(_number(one) for one in listed[:2]))


def _number(value: object) -> float:
    found = number_of(value)
    return math.inf if found is None or math.isnan(found) else found
