"""4-bit floats in blocks of 16 with an 8-bit scale each."""

from __future__ import annotations

from asr_lab.config.section import section
from asr_lab.number_formats import Asked, Backend
from asr_lab.slots.precision import Precision


@section
class NVFP4(Precision):
    """NVFP4 (E2M1 in blocks of 16) in the products of linear layers, bfloat16 elsewhere."""

    backend: Backend = "torchao"
    """Whose kernels."""
    emulate: bool = False
    """Round alike on any machine, without a package and slowly, for the numerics."""

    @property
    def asked(self) -> Asked:
        return Asked("nvfp4", self.emulate, self.backend)
