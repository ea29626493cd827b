"""A few cases of every kind of `just fuzz`; that is the place for many."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from main import KINDS, OF_COMMANDS
from outcomes import MEMORY_MB, called, started
from small_run import SmallRun, small_run

CASES, SEED = 10, 2026


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallRun]:
    """The small run, and the environment that it needs, for as long as these tests last."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ASRLAB_DATA", "ASRLAB_RUNS", "ASRLAB_CACHE"):
            patch.setenv(name, "")
        yield small_run(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_input_is_answered_in_words(small: SmallRun, kind: str) -> None:
    found = list(KINDS[kind](small, CASES, SEED))
    assert len(found) >= CASES
    assert not [case for case in found if case.fault]


@pytest.mark.parametrize("kind", OF_COMMANDS)
def test_cases_begin_anywhere(small: SmallRun, kind: str) -> None:
    whole, part = list(KINDS[kind](small, 2, SEED)), list(KINDS[kind](small, 1, SEED, first=1))
    assert [case.name for case in part] == [whole[1].name]


def test_a_process_is_measured(small: SmallRun) -> None:
    case = started("runs", ("runs",))
    assert case.fault == ""
    assert 1 < case.peak_mb < MEMORY_MB
    assert "did not end" in started("runs", ("runs",), limit_s=0.01).fault


def test_tracebacks_are_found(small: SmallRun, monkeypatch: pytest.MonkeyPatch) -> None:
    from asr_lab.runs import find

    monkeypatch.setattr(find, "all_runs", lambda root: None)
    assert "TypeError" in called("runs", ("runs",)).fault
