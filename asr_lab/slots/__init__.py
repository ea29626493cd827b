"""The slots of a recipe: a folder each, a module a choice, a section in each that loads without torch."""

from __future__ import annotations

from typing import NamedTuple


class NeedsWhole(NamedTuple):
    """Why a section's layer needs the whole utterance."""

    key: str
    """The key that decides it, below the section: `conv.causal`."""
    reason: str
    """A clause, with the way out."""
