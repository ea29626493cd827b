"""Fixtures that every test may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def runs_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test comes near the runs of whoever starts it: some kill what they find running."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASRLAB_RUNS", str(tmp_path_factory.mktemp("runs")))
        yield


@pytest.fixture(scope="session")
def speech() -> Path:
    """The folder of real recordings with transcripts; the test is skipped where it is absent."""
    folder = Path(os.environ.get("ASRLAB_TEST_SPEECH", ROOT.parent / "shared" / "data"))
    if not (folder / "fsdd" / "manifest.tsv").is_file():
        pytest.skip(f"no recordings at {folder}; set ASRLAB_TEST_SPEECH")
    return folder.resolve()
