"""4-bit floats in blocks of 32 with a power of two each (OCP MX)."""

from __future__ import annotations

from asr_lab.config.section import section
from asr_lab.number_formats import Asked
from asr_lab.slots.precision import Precision


@section
class MXFP4(Precision):
    """MXFP4 (E2M1 in blocks of 32) in the products of linear layers, bfloat16 elsewhere; emulated alone."""

    emulate: bool = False
    """Round alike on any machine, without a package and slowly, for the numerics."""

    @property
    def asked(self) -> Asked:
        return Asked("mxfp4", self.emulate)
