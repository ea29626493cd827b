"""How sure a decoder is of several tokens together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence


def mean_confidence(confidences: Iterable[float], weights: Sequence[float] | None = None) -> float:
    """The geometric mean of probabilities, 0 to 1; 0 where one of them is 0.

    At least one is given. `weights` are above 0, one for each, all alike by default.
    """
    logs = [math.log(p) if p > 0 else -math.inf for p in confidences]
    weights = [1.0] * len(logs) if weights is None else weights
    return math.exp(sum(w * x for w, x in zip(weights, logs, strict=True)) / sum(weights))
