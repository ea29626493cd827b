"""Processes that read ahead: they end with the process that asked."""

from __future__ import annotations

import subprocess
import sys

ABANDONED = """
from asr_lab.data.workers import read_ahead
kept = read_ahead(lambda item: item, range(1000), 2)
print(next(kept), flush=True)
"""


def test_an_abandoned_reader_does_not_keep_its_process_from_ending() -> None:
    done = subprocess.run([sys.executable, "-c", ABANDONED], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "0"
