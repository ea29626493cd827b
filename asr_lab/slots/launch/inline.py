"""Train in this very process."""

from __future__ import annotations

from asr_lab.config.section import section
from asr_lab.slots.launch import Launch


@section
class Inline(Launch):
    """The command's own process trains; Ctrl-C saves and ends it."""
