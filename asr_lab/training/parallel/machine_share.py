"""What each process of a run has of its machine: a device, and a share of the processors."""

from __future__ import annotations

import os
import socket

import torch

from asr_lab.devices import best_device, num_processors
from asr_lab.errors import RunError
from asr_lab.training.parallel.group import Group
from asr_lab.training.parallel.world import World


def device_of(world: World) -> torch.device:
    """The device of a process: a GPU of its own where there are any, else the CPU.

    RunError where a machine has fewer GPUs than processes. A process that sees one GPU was given it.
    """
    device = best_device()
    if device.type != "cuda" or world.size == 1:
        return device
    count = torch.cuda.device_count()
    if 1 < count < world.local_size:
        raise RunError(
            f"{socket.gethostname()} has {count} GPUs for {world.local_size} processes: start as many as there are GPUs"
        )
    device = torch.device("cuda", world.local_rank % count)
    torch.cuda.set_device(device)
    return device


def own_processors(group: Group) -> int:
    """How many processors this process has to itself: of those it may use, its share where others may use them too."""
    usable = sorted(os.sched_getaffinity(0))
    places = group.gather([socket.gethostname(), usable], "the processors")
    sharing: int = sum(host == socket.gethostname() and not set(cpus).isdisjoint(usable) for host, cpus in places)
    return max(1, num_processors() // sharing)
