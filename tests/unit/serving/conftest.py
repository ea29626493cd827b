"""Makes `talking` importable here; a server with a recogniser whose words tell which samples it was given."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from talking import Digesting, Running, running


@pytest.fixture
def recognizer() -> Digesting:
    return Digesting()


@pytest.fixture
def server(recognizer: Digesting) -> Iterator[Running]:
    with running(recognizer) as found:
        yield found
