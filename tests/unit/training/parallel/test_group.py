"""Processes in step: sums, words, waiting, and what is said when one of them fails."""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import Any

import pytest
import torch
from ranks import run_ranks

from asr_lab.errors import DataError, RunError
from asr_lab.training.parallel.group import Group, open_group
from asr_lab.training.parallel.world import World


def sums_and_words(group: Group) -> Any:
    rank = group.world.rank
    total = group.sum(torch.tensor([float(rank), 1.0]), "a sum").tolist()
    words = group.gather({"rank": rank, "text": "ö" * rank}, "words")
    found = group.first(lambda: {"by": rank}, "a look")
    return total, words, found


def test_sums_and_words_are_the_same_everywhere() -> None:
    words = [{"rank": 0, "text": ""}, {"rank": 1, "text": "ö"}, {"rank": 2, "text": "öö"}]
    assert run_ranks(3, sums_and_words) == [([3.0, 3.0], words, {"by": 0})] * 3


def test_a_process_alone_agrees_with_itself() -> None:
    with open_group(World(), torch.device("cpu"), 1.0) as group:
        assert sums_and_words(group) == ([0.0, 1.0], [{"rank": 0, "text": ""}], {"by": 0})


def fail_at_first(group: Group) -> Any:
    def do() -> None:
        raise DataError("no such corpus")

    group.first(do, "reading the data")


def test_an_error_of_rank_0_is_everybodys() -> None:
    first, other = run_ranks(2, fail_at_first)
    assert first == "DataError: no such corpus"
    assert other == "FirstRankError: rank 0, reading the data: no such corpus"


def wait_long(group: Group) -> Any:
    return group.first(lambda: time.sleep(3) or "done", "a long look")


def test_what_rank_0_does_may_take_longer_than_a_collective() -> None:
    assert run_ranks(2, wait_long, timeout_s=1.0) == ["done", "done"]


def one_ends(group: Group) -> Any:
    if group.world.rank == 1:
        raise DataError("a file of mine is gone")
    group.sum(torch.ones(1), "step 7: gradients")


def test_the_rank_that_ended_is_named_with_its_error() -> None:
    first, other, third = run_ranks(3, one_ends)
    assert other == "DataError: a file of mine is gone"
    for found in (first, third):
        assert found.startswith("TrainingError: step 7: gradients: rank 1 ended: a file of mine is gone"), found


def one_is_killed(group: Group) -> Any:
    if group.world.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    group.sum(torch.ones(1), "step 7: gradients")


def test_a_killed_rank_is_named() -> None:
    first, killed = run_ranks(2, one_is_killed)
    assert killed == "killed"
    assert first.startswith("TrainingError: step 7: gradients: no word from rank 1"), first


def one_hangs(group: Group) -> Any:
    if group.world.rank == 2:
        time.sleep(12)
        return "awake"
    group.sum(torch.ones(1), "step 9: losses")


def test_a_collective_that_hangs_ends_with_the_rank_and_its_name() -> None:
    began = time.monotonic()
    first, second, _ = run_ranks(3, one_hangs, timeout_s=2.0)
    for found in (first, second):  # one that comes late tells what the other ended on
        assert found.startswith("TrainingError: step 9: losses: "), found
        assert "no word from rank 2 (rank " in found, found
        assert "waited, parallel.timeout_s = 2)" in found, found
    assert time.monotonic() - began < 60


def test_processes_that_do_not_come_are_told() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = int(sock.getsockname()[1])
    with (
        pytest.raises(RunError, match=r"the 2 processes did not all come .* within 1 s \(parallel.timeout_s\)"),
        open_group(World(0, 2, host="127.0.0.1", port=port), torch.device("cpu"), 1.0),
    ):
        pass


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as sock:
        sock.bind(("0.0.0.0", 0))
        sock.listen()
        port = int(sock.getsockname()[1])
        with (
            pytest.raises(RunError, match=f"port {port} of 127.0.0.1, where the processes are to meet, is taken"),
            open_group(World(0, 2, host="127.0.0.1", port=port), torch.device("cpu"), 1.0),
        ):
            pass
