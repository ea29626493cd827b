"""Who gets which processor."""

from __future__ import annotations

import pytest

from asr_lab import devices as processors
from asr_lab.devices import num_workers, threads_beside, visible_gpus
from asr_lab.runs.study import pool


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


@pytest.mark.parametrize(
    ("listed", "found"), [("", ()), ("0", ("0",)), ("2, 3", ("2", "3")), ("-1", ()), ("MIG-1a", ("MIG-1a",))]
)
def test_the_environment_says_which_gpus(monkeypatch: pytest.MonkeyPatch, listed: str, found: tuple[str, ...]) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    assert visible_gpus() == found


def test_processes_of_a_pool_share_processors_and_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "num_processors", lambda: 8)
    environ = {"PATH": "/bin"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    assert processors.environment_beside(0, 1, environ) == environ  # alone it is as `asrlab run`
    shares = [processors.environment_beside(slot, 3, environ) for slot in range(3)]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in shares] == ["4", "5", "4"]
    assert {one[name] for one in shares for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")} == {"2"}
    assert "MKL_NUM_THREADS" not in processors.environment_beside(0, 3, {"OMP_NUM_THREADS": "1"})
    assert pool.default_workers() == 2


def _machine(monkeypatch: pytest.MonkeyPatch, cores: int) -> None:
    monkeypatch.setattr(processors, "num_processors", lambda: cores)
    for name in processors.THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
