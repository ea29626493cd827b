"""Processes that read ahead: they end with the process that asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from asr_lab.data.workers import read_ahead
from asr_lab.errors import TrainingError

ABANDONED = """
from asr_lab.data.workers import read_ahead
kept = read_ahead(lambda item: item, range(1000), 2)
print(next(kept), flush=True)
"""


def test_an_abandoned_reader_does_not_keep_its_process_from_ending() -> None:
    done = subprocess.run([sys.executable, "-c", ABANDONED], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "0"


def read_or_die(item: int) -> int:
    if item == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def test_a_reader_that_is_killed_ends_the_run_with_its_cause() -> None:
    with pytest.raises(TrainingError, match="a process that reads audio was killed, perhaps for memory: "):
        list(read_ahead(read_or_die, range(8), 2))
