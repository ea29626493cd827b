"""Real clips that published corpora are built from, and the modules that build them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from published_trees import Clip, real_clips


@pytest.fixture(scope="session")
def clips(speech: Path) -> tuple[Clip, ...]:
    """Six short clips by two speakers of LibriSpeech's excerpt; skipped where there are no recordings."""
    return real_clips(speech)
