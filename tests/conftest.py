"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def speech() -> Path:
    """The folder of real recordings with transcripts; the test is skipped where it is absent."""
    folder = Path(os.environ.get("ASRLAB_TEST_SPEECH", ROOT.parent / "shared" / "data"))
    if not (folder / "fsdd" / "manifest.tsv").is_file():
        pytest.skip(f"no recordings at {folder}; set ASRLAB_TEST_SPEECH")
    return folder.resolve()
