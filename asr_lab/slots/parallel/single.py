"""One process, one device."""

from __future__ import annotations

from asr_lab.config.section import section
from asr_lab.slots.parallel import Parallel


@section
class Single(Parallel):
    """One process trains the model."""
