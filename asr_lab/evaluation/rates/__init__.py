"""The error rates that a score holds: a module each, found by being there.

A rate is errors over units of the reference. Counting, tables, JSON, pages, comparison and selection iterate over what
`rates` finds; its name is its module's, as a recipe and the JSON write it.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Hashable, Sequence
from typing import ClassVar, NamedTuple

MAIN = "wer"
"""The rate that curves and lists of the worst show where there is room for one."""
_FIRST = ("wer", "cer", "ser")


class UnitErrors(NamedTuple):
    """Errors of one utterance, in units of its reference (words, characters, sentences)."""

    substitutions: int
    deletions: int
    insertions: int
    reference: int
    """Units in the reference."""

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions together."""
        return self.substitutions + self.deletions + self.insertions


class ErrorRate:
    """One way to count errors; a module of this package holds one subclass."""

    label: ClassVar[str]
    """What tables call it: `WER`."""
    unit: ClassVar[str]
    """What is counted, in the plural: `words`."""

    def count(self, reference: str, hypothesis: str) -> UnitErrors:
        """The errors of an utterance; both texts are normalised."""
        raise NotImplementedError

    def count_merged(self, reference: str, hypothesis: str) -> UnitErrors:
        """The same where words may be written together or apart, in rates that words decide."""
        return self.count(reference, hypothesis)


@functools.cache
def names() -> tuple[str, ...]:
    """The names of all rates, the usual ones first; no module is loaded."""
    found = {module.name for module in pkgutil.iter_modules(__path__)}
    return (*(name for name in _FIRST if name in found), *sorted(found - set(_FIRST)))


@functools.cache
def rates() -> dict[str, ErrorRate]:
    """All rates by name."""
    return {name: _rate(name) for name in names()}


def _rate(name: str) -> ErrorRate:
    module = importlib.import_module(f"{__name__}.{name}")
    (own,) = (
        c for c in vars(module).values() if isinstance(c, type) and issubclass(c, ErrorRate) and c is not ErrorRate
    )
    return own()


def edit_errors(reference: Sequence[Hashable], hypothesis: Sequence[Hashable]) -> UnitErrors:
    """Errors of a Levenshtein alignment of units; among alignments of equal distance rapidfuzz's, as in jiwer."""
    from rapidfuzz.distance import Levenshtein

    if reference == hypothesis:
        return UnitErrors(0, 0, 0, len(reference))
    kinds = [edit.tag for edit in Levenshtein.editops(reference, hypothesis)]
    return UnitErrors(kinds.count("replace"), kinds.count("delete"), kinds.count("insert"), len(reference))
