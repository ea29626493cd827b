"""How many processes were started for one run."""

from __future__ import annotations

import os

from asr_lab.errors import RunError


def refuse_several_processes() -> None:
    """RunError where a launcher started more processes than train a run, or says what is no number."""
    world = os.environ.get("WORLD_SIZE", "1")
    if not (world.isascii() and world.isdecimal()) or int(world) < 1:
        raise RunError(f"WORLD_SIZE is {world!r}, not a number of processes; unset it, or start with torchrun")
    if int(world) > 1:
        raise RunError(f"WORLD_SIZE is {world}: one process trains a run ([parallel] type = single); start one alone")
