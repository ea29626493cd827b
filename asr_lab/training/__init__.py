"""The loop, its state, checkpoints, and what it writes down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asr_lab.training.precision import PrecisionManager, get_precision_manager

__all__ = ["PrecisionManager", "get_precision_manager"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from asr_lab.training import precision

        return getattr(precision, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
