"""Real processes that form a world: a function is run in each, connected over gloo."""

from __future__ import annotations

import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from asr_lab.runs.proofs.jobs import free_port, rank_environment

LIMIT_S = 300.0
"""Longer is a hang: the processes are killed and the test fails."""


class Ranks:
    """Processes that run `do(group, *args)`: `answers()` waits for what they give, `kill()` ends all at once."""

    def __init__(self, size: int, do: Callable[..., Any], args: tuple[Any, ...], timeout_s: float = 60.0) -> None:
        context = multiprocessing.get_context("forkserver")
        # An optimizer loads torch._dynamo: three seconds in every process.
        context.set_forkserver_preload(["asr_lab.training.parallel.fsdp", "torch._dynamo", "asr_lab.compiler.build"])
        port = free_port()
        self._pipes, self._processes = [], []
        for rank in range(size):
            reader, writer = context.Pipe(duplex=False)
            process = context.Process(target=_rank, args=(writer, sys.path, rank, size, port, timeout_s, do, args))
            process.start()
            writer.close()
            self._pipes.append(reader)
            self._processes.append(process)

    def answers(self) -> list[Any]:
        """By rank; an exception is given as `Name: message`, a process that was killed as `killed`."""
        try:
            return [_answer(pipe) for pipe in self._pipes]
        finally:
            for process in self._processes:
                process.join(5)
            self.kill()

    def kill(self) -> None:
        """End them, wherever they are."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.join()


def run_ranks(size: int, do: Callable[..., Any], *args: Any, timeout_s: float = 60.0) -> list[Any]:
    """What `do(group, *args)` gave in each of `size` processes, by rank; an exception is given as `Name: message`."""
    return Ranks(size, do, args, timeout_s).answers()


def _answer(pipe: Any) -> Any:
    if not pipe.poll(LIMIT_S):
        pytest.fail(f"a rank gave no answer within {LIMIT_S:g} s")
    try:
        return pipe.recv()
    except EOFError:
        return "killed"


def _rank(
    pipe: Any, path: list[str], rank: int, size: int, port: int, timeout_s: float, do: Callable[..., Any], args: Any
) -> None:
    sys.path[:] = path
    os.environ.update(rank_environment(rank, size, port))
    import torch

    from asr_lab.training.parallel.group import open_group
    from asr_lab.training.parallel.world import world_of

    torch.set_num_threads(1)
    try:
        with open_group(world_of(os.environ), torch.device("cpu"), timeout_s) as group:
            found = do(group, *args)
    except BaseException as error:
        traceback.print_exc()
        found = f"{type(error).__name__}: {error}"
    pipe.send(found)
    pipe.close()
