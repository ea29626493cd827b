"""Makes `talking` importable here; a server with a recogniser whose words tell which samples it was given."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from talking import Digesting, Running, running


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    """One for all tests of a module that leave it as it was."""
    with running(Digesting()) as found:
        yield found
