"""Whatever happens to a run, one `asrlab run` finishes it, with the bits of one that nothing happened to."""

from __future__ import annotations

import os
import platform
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from accidents import ACCIDENTS, undergo
from machines import Place

from asr_lab.runs.proofs.digests import digests

Write = Callable[..., Path]
IN_THE_GATE = ("reboot", "stopped", "race", "without_locks")
NUM_CASES = 200


def undisturbed(path: Path, root: Path) -> dict[str, str]:
    place = Place(path, root)
    assert place.command().ended() == 0
    return digests(place.run)


def test_accidents_change_no_bit(recipe: Write, tmp_path: Path) -> None:
    path = recipe()
    wanted = undisturbed(path, tmp_path / "whole")
    for name in IN_THE_GATE:
        place = Place(path, tmp_path / name)
        undergo(name, place, random.Random(name))
        assert digests(place.run) == wanted, name


@pytest.mark.prove
def test_two_hundred_accidents_change_no_bit(recipe: Write, tmp_path: Path) -> None:
    path = recipe()
    wanted = undisturbed(path, tmp_path / "whole")
    began, tally = time.monotonic(), Counter[str]()
    for index in range(NUM_CASES):
        name = list(ACCIDENTS)[index % len(ACCIDENTS)]
        place = Place(path, tmp_path / f"{index:03d}-{name}")
        since = time.monotonic()
        seen = undergo(name, place, random.Random(f"accident {index}"))
        assert digests(place.run) == wanted, place.root
        tally[name] += 1
        print(
            f"{index:3} {name:17} {seen}, {place.num_commands} commands, {time.monotonic() - since:.1f} s", flush=True
        )
    print(f"{dict(tally)}; {time.monotonic() - began:.0f} s")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the filter is written for the system calls of x86_64")
def test_a_machine_without_file_locks_refuses_them(tmp_path: Path) -> None:
    """Of the instrument: what `without_locks` runs under is what it claims."""
    script = """
import fcntl, errno, sys
from machines import refuse_locks
refuse_locks()
file = open(sys.argv[1], "w")
for lock in (fcntl.flock, fcntl.lockf):
    try:
        lock(file, fcntl.LOCK_EX)
    except OSError as error:
        assert error.errno == errno.ENOLCK
    else:
        sys.exit(1)
fcntl.fcntl(file, fcntl.F_GETFD)
"""
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    command = [sys.executable, "-c", script, str(tmp_path / "file")]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
