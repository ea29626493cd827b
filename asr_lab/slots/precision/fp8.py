"""8-bit floats with a scale for each row or tensor."""

from __future__ import annotations

from asr_lab.config.section import section
from asr_lab.number_formats import Asked, Backend, Scaling
from asr_lab.slots.precision import Precision


@section
class FP8(Precision):
    """8-bit floats in the products of linear layers, bfloat16 elsewhere, weights in 32 bits."""

    backend: Backend = "torchao"
    """Whose kernels: torchao has rowwise and tensorwise scaling, TransformerEngine tensorwise and delayed."""
    scaling: Scaling = "rowwise"
    """Scales of rows, of whole tensors, or of whole tensors by what the steps before held."""
    emulate: bool = False
    """Round alike on any machine, without a package and slowly, for the numerics."""

    @property
    def asked(self) -> Asked:
        return Asked("fp8", self.emulate, self.backend, self.scaling)
