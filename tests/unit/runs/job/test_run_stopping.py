"""Signals: the first asks, the second ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from asr_lab.runs.job.stopping import INTERRUPTED, Stopper

WAIT = """
import sys, time
from asr_lab.runs.job.stopping import Stopper
with Stopper() as stop:
    print("ready", flush=True)
    while stop.reason is None or sys.argv[1] == "goes on":
        time.sleep(0.01)
    print(stop.reason, flush=True)
"""


def test_a_signal_is_noted_and_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Stopper() as stop:
        assert stop.reason is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.reason == "SIGTERM"
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_first_signal_lets_the_step_end(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WAIT, "looks"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline().strip() == "Ctrl-C"
    assert process.returncode == 0


def test_the_second_signal_ends_at_once() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WAIT, "goes on"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline() == "\n"
        assert "once more" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
    assert process.returncode == INTERRUPTED
