"""Who gets which processor."""

from __future__ import annotations

import pytest

from asr_lab import devices as processors
from asr_lab.devices import num_workers, threads_beside


@pytest.mark.parametrize(("cores", "workers", "threads"), [(1, 1, 1), (2, 1, 1), (4, 2, 2), (8, 4, 4), (64, 4, 60)])
def test_readers_and_threads_share_the_processors(
    monkeypatch: pytest.MonkeyPatch, cores: int, workers: int, threads: int
) -> None:
    _machine(monkeypatch, cores)
    assert num_workers(None) == workers
    assert threads_beside(workers) == threads
    assert threads_beside(0) == cores
    assert threads_beside(100) == max(1, cores - cores // 2)
    assert num_workers(0) == 0


def test_the_environment_says_how_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    _machine(monkeypatch, 8)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads_beside(2) is None


def _machine(monkeypatch: pytest.MonkeyPatch, cores: int) -> None:
    monkeypatch.setattr(processors, "num_processors", lambda: cores)
    for name in processors.THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
