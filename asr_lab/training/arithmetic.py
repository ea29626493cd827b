"""How a step computes: as fast as it may, or so that its bits depend on less."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from typing import Any

import attrs
import torch

from asr_lab.devices import best_device
from asr_lab.errors import LabError

LEVELS = ("off", "seeded", "bitwise", "cross_hardware")


@attrs.frozen
class Arithmetic:
    """What a level of determinism asks of the steps."""

    level: str = "seeded"
    products: Any = None
    """Who multiplies at `cross_hardware`: RepDL's products or their twin's."""

    def __attrs_post_init__(self) -> None:
        if self.level not in LEVELS:
            raise LabError(f"determinism.level: no level {self.level!r} (have: {', '.join(LEVELS)})")

    @property
    def has_ordered_norm(self) -> bool:
        """Whether the gradient's norm is one sum in one order."""
        return self.level in ("bitwise", "cross_hardware")

    @property
    def one_by_one(self) -> bool:
        """Whether each utterance is computed alone, so that the cut into microbatches does not show."""
        return self.level == "cross_hardware"

    def device(self, own: torch.device | None = None) -> torch.device:
        """Where it computes: on the process's own, by default the first GPU; products that never ran on one do not."""
        return torch.device("cpu") if self.level == "cross_hardware" else own or best_device()

    def use(self) -> AbstractContextManager[Any]:
        """A `with` block in which torch computes so."""
        if self.level != "cross_hardware":
            return contextlib.nullcontext()
        from asr_lab.training.cross_hardware.mode import CrossHardwareMode

        return CrossHardwareMode(self.products)


FAST = Arithmetic()


def arithmetic_of(level: str, products: str = "repdl") -> Arithmetic:
    """The arithmetic of a level; `products` = `twin` takes RepDL's twin at `cross_hardware`.

    MissingPackageError, which says how to install it, where that level needs RepDL and it is not here.
    """
    if level != "cross_hardware":
        return Arithmetic(level)
    if products == "twin":
        from asr_lab.training.cross_hardware.fused_twin import TwinProducts

        return Arithmetic(level, TwinProducts())
    from asr_lab.training.cross_hardware.products import repdl_products

    return Arithmetic(level, repdl_products())
