"""Slot `[precision]`: the number formats of training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asr_lab.config.section import Slot
from asr_lab.number_formats import Asked, spoken

if TYPE_CHECKING:
    from asr_lab.training.precision import PrecisionManager


class Precision(Slot):
    """Which formats the matrix products and the weights use."""

    @property
    def asked(self) -> Asked:
        """What it needs of a machine is decided by."""
        return Asked(self.tag())

    @property
    def spoken(self) -> str:
        """The format with its scaling, as people say it."""
        return spoken(self.asked)

    def build(self) -> PrecisionManager:
        """What the loop asks for: an autocast region, converted layers and a gradient scaler.

        LabError for a combination that no package has; MissingPackageError for a package that is absent.
        """
        from asr_lab.training.precision import get_precision_manager

        asked = self.asked
        return get_precision_manager(asked.format, asked.emulate, asked.backend, asked.scaling)
