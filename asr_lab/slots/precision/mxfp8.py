"""8-bit floats in blocks of 32 with a power of two each (OCP MX)."""

from __future__ import annotations

from asr_lab.config.section import section
from asr_lab.number_formats import Asked, Backend
from asr_lab.slots.precision import Precision


@section
class MXFP8(Precision):
    """MXFP8 (E4M3 in blocks of 32) in the products of linear layers, bfloat16 elsewhere."""

    backend: Backend = "torchao"
    """Whose kernels."""
    emulate: bool = False
    """Round alike on any machine, without a package and slowly, for the numerics."""

    @property
    def asked(self) -> Asked:
        return Asked("mxfp8", self.emulate, self.backend)
