"""Slot `[launch]`: where a run's processes live."""

from __future__ import annotations

from asr_lab.config.section import Slot


class Launch(Slot):
    """The place that trains."""

    @property
    def cluster(self) -> str | None:
        """submitit's name of the place; None = this very process."""
        return None

    @property
    def num_processes(self) -> int:
        """Processes that train one model together."""
        return 1

    @property
    def counted_by(self) -> str:
        """The key that makes them several; "" where there is none."""
        return ""
