"""Fixtures that every test may use."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from asr_lab.data.cache import cache_root

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def runs_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test comes near the runs of whoever starts it: some kill what they find running."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASRLAB_RUNS", str(tmp_path_factory.mktemp("runs")))
        yield


@pytest.fixture(scope="session", autouse=True)
def headers_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The index of headers of whoever starts them learns no files of tests; synthetic speech is kept between tests."""
    synthetic = cache_root() / "synthetic"
    synthetic.mkdir(parents=True, exist_ok=True)
    cache = tmp_path_factory.mktemp("cache")
    (cache / "synthetic").symlink_to(synthetic)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASRLAB_CACHE", str(cache))
        yield


@pytest.fixture(autouse=True)
def shipped_choices_alone() -> Iterator[None]:
    """What a test adds to the choices by `ASRLAB_PATH` is none of the next one's: a process keeps what it has found."""
    yield
    for slot in (ROOT / "asr_lab" / "slots").iterdir():
        package = sys.modules.get(f"asr_lab.slots.{slot.name}")
        added = [path for path in getattr(package, "__path__", ()) if path != str(slot)]
        for path in added:
            package.__path__.remove(path)  # type: ignore[union-attr]
            for name in [n for n, m in sys.modules.items() if str(getattr(m, "__file__", None)).startswith(path)]:
                del sys.modules[name]


@pytest.fixture(scope="session")
def speech() -> Path:
    """The folder of real recordings with transcripts; the test is skipped where it is absent."""
    folder = Path(os.environ.get("ASRLAB_TEST_SPEECH", ROOT.parent / "shared" / "data"))
    if not (folder / "fsdd" / "manifest.tsv").is_file():
        pytest.skip(f"no recordings at {folder}; set ASRLAB_TEST_SPEECH")
    return folder.resolve()
