"""What ranks other than 0 have in the place of a run's lock and files: rank 0 has them, and these write nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import attrs

from asr_lab.runs.events import Kind


class Lock(Protocol):
    """A hold on a run."""

    @property
    def attempt(self) -> int: ...
    def check(self) -> None: ...


class Events(Protocol):
    """Where an attempt says what happens."""

    def write(self, kind: Kind, data: Mapping[str, Any] | None = None) -> None: ...


class Metrics(Protocol):
    """Where an attempt's numbers go, step by step."""

    def write(self, record: Mapping[str, Any]) -> None: ...
    def tell(self, record: Mapping[str, Any]) -> None: ...
    def sync(self) -> None: ...


@attrs.frozen
class HeldElsewhere:
    """A run that rank 0 holds; it alone checks that it still does, before it writes."""

    attempt: int

    def check(self) -> None:
        """Nothing to check."""


class WrittenElsewhere:
    """Events and metrics that rank 0 writes for all."""

    def write(self, *what: Any) -> None:
        """Leave it to rank 0."""

    def tell(self, record: Mapping[str, Any]) -> None:
        """Leave it to rank 0."""

    def sync(self) -> None:
        """Nothing was written."""
