"""Train in a process of its own on this machine, through submitit."""

from __future__ import annotations

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.slots.launch import Launch


@section
class Local(Launch):
    """A job on this machine that outlives the command; the command watches it."""

    timeout_min: int = attrs.field(default=7 * 24 * 60, validator=v.between(1, 10_000_000))
    """Minutes after which the job is ended."""

    @property
    def cluster(self) -> str | None:
        return "local"
