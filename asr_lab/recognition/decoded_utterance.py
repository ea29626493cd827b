"""An utterance of a set with its reference and its hypothesis."""

from __future__ import annotations

from typing import Any

import attrs

IDENTIFIED = "identified"
"""The column of the language that a model identified."""


@attrs.frozen
class DecodedUtterance:
    """One utterance with what a manifest says of it and what a model decoded."""

    id: str
    reference: str
    """The transcript as the manifest writes it; scoring normalises it."""
    hypothesis: str
    """The text as decoded."""
    columns: dict[str, Any] = attrs.field(factory=dict)
    """The manifest's other columns: `speaker`, `language`, …"""
    duration_s: float = 0.0
    audio: str = ""
    """Path of the recording."""
    loss: float | None = None
    """The training loss of its transcript, where it was asked for and the model can give it."""
