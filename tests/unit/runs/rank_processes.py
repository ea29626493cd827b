"""`asrlab run` in several real processes, as torchrun starts them; forked from a server that has torch loaded."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from asr_lab.runs.proofs.jobs import PRELOADED, free_port, rank_environment

LIMIT_S = 300.0
"""Longer is a hang."""


@attrs.frozen
class Rank:
    """One of the processes."""

    process: Any
    output: Path

    def wait(self) -> int:
        """Its exit code; it is killed when it hangs."""
        self.process.join(LIMIT_S)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
            raise AssertionError(f"a rank hung: {self.output.read_text()}")
        return int(self.process.exitcode)


def start_ranks(size: int, folder: Path, *words: str, threads: int = 1) -> list[Rank]:
    """`asrlab WORDS` in so many processes; what each prints goes to `folder/rank-N.log`."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*PRELOADED, "asr_lab.training.parallel.ddp", "asr_lab.training.parallel.fsdp"])
    port, ranks = free_port(), []
    for rank in range(size):
        environ = {**os.environ, **rank_environment(rank, size, port)}
        output = folder / f"rank-{rank}.log"
        output.write_text("")  # of the ranks before
        process = context.Process(target=_command, args=(environ, str(output), words, threads), daemon=True)
        process.start()
        ranks.append(Rank(process, output))
    return ranks


def run_ranks(size: int, folder: Path, *words: str) -> list[tuple[int, str]]:
    """Exit code and output of each of so many processes that run `asrlab WORDS`."""
    ranks = start_ranks(size, folder, *words)
    return [(rank.wait(), rank.output.read_text()) for rank in ranks]


def _command(environ: dict[str, str], output: str, words: Sequence[str], threads: int) -> None:
    file = os.open(output, os.O_WRONLY | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.environ.clear()
    os.environ.update(environ)
    faulthandler.dump_traceback_later(LIMIT_S / 3)  # where it stands, should it hang
    sys.argv = ["asrlab", *words]
    import torch

    from cli.main import main

    torch.set_num_threads(threads)
    main()
