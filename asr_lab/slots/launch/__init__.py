"""Slot `[launch]`: where a run's process lives."""

from __future__ import annotations

from asr_lab.config.section import Slot


class Launch(Slot):
    """The place that trains."""

    @property
    def cluster(self) -> str | None:
        """submitit's name of the place; None = this very process."""
        return None
