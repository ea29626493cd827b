"""The processes that a launcher started for one run: whether its recipe trains with so many, and their group."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from asr_lab.errors import RunError
from asr_lab.slots.parallel import Parallel
from asr_lab.training.parallel.world import World

if TYPE_CHECKING:
    from asr_lab.training.parallel.group import Group

DECODERS_PATIENCE_S = 600.0
"""How long processes that decode wait for one another, which `parallel.timeout_s` says where they train."""


def refuse_idle_processes(parallel: Parallel, world: World) -> None:
    """RunError where a launcher started several processes, of which the recipe trains with one."""
    if world.size > 1 and parallel.patience_s is None:
        raise RunError(
            f'{world.launcher} started {world.size} processes, of which [parallel] type = "{parallel.tag()}" trains '
            """with one; start one alone, or let them share the work: --set 'parallel={type="ddp"}'"""
        )


def refuse_launched_study(world: World) -> None:
    """RunError where a launcher started several processes of a study, which starts the processes of its runs itself."""
    if world.size > 1:
        raise RunError(
            f"{world.launcher} started {world.size} processes, and a study starts those of its runs itself: start one"
        )


def one_for_several(parallel: Parallel, world: World) -> str:
    """A line where one process trains what the recipe means for several; empty elsewhere."""
    if world.size > 1 or parallel.patience_s is None:
        return ""
    return (
        f'one process trains: [parallel] type = "{parallel.tag()}" shares the work among several; start them with '
        """--set 'launch={type="slurm", nodes=1, gpus_per_node=8}', or 'launch={type="local", tasks_per_node=2}'"""
    )


@contextlib.contextmanager
def open_world(parallel: Parallel, world: World) -> Iterator[Group]:
    """The processes that a launcher started, connected; RunError where the recipe trains with one. It loads torch."""
    refuse_idle_processes(parallel, world)
    from asr_lab.training.parallel.group import open_group
    from asr_lab.training.parallel.machine_share import device_of

    assert parallel.patience_s is not None, "it is refused"
    with open_group(world, device_of(world), parallel.patience_s) as group:
        yield group


@contextlib.contextmanager
def open_decoders(world: World) -> Iterator[Group]:
    """The processes that a launcher started to decode with one model; each has it whole. It loads torch."""
    from asr_lab.training.parallel.group import open_group
    from asr_lab.training.parallel.machine_share import device_of

    with open_group(world, device_of(world), DECODERS_PATIENCE_S) as group:
        yield group
