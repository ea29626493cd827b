"""Log-mel features; `MelSpectrogramExtractor` is the face that the Python API promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asr_lab.audio.features.log_mel import MelSpectrogramExtractor

__all__ = ["MelSpectrogramExtractor"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from asr_lab.audio.features import log_mel

        return getattr(log_mel, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
