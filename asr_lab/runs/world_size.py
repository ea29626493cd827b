"""How many processes were started for one run."""

from __future__ import annotations

import os

from asr_lab.errors import RunError
from asr_lab.training.parallel.world import world_of


def refuse_several_processes() -> None:
    """RunError where a launcher started more processes than train a run, or tells a place that makes no sense."""
    world = world_of(os.environ)
    if world.size > 1:
        raise RunError(
            f"{world.launcher} started {world.size} processes: one trains a run ([parallel] type = single); "
            "start one alone"
        )
