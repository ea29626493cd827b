"""The processes that train one model, as the launcher's environment tells each of its place among them."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping

import attrs

from asr_lab.errors import RunError

FIRST_PORT, NUM_PORTS = 20_000, 10_000
"""Ports that jobs without a MASTER_PORT meet at, by their id; below those that systems give out by themselves."""


@attrs.frozen
class World:
    """This process's place among those that train one model."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    """Its place among those of its machine."""
    local_size: int = 1
    host: str = "localhost"
    """Where rank 0 runs."""
    port: int = FIRST_PORT
    """Where rank 0 waits for the others."""
    launcher: str = ""
    """Who started the processes: `torchrun`, `srun` or `submitit`; empty for a process alone."""

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, which makes the run's directory, writes its files and prints."""
        return self.rank == 0


def world_of(environ: Mapping[str, str]) -> World:
    """The place that an environment gives: torchrun's, submitit's, or that of a job step of SLURM, in this order.

    A batch script or an allocation's shell is one process, however many tasks were asked for: only `srun` starts them.
    RunError where a number is missing or makes no sense.
    """
    if "RANK" in environ or "WORLD_SIZE" in environ:
        return _of_torchrun(environ)
    if "SUBMITIT_LOCAL_JOB_ID" in environ:
        return _of_submitit(environ)
    if _number_or(environ, "SLURM_STEP_NUM_TASKS", 1) > 1:
        return _of_srun(environ)
    return World()


def first_host(nodes: str) -> str:
    """The first host of a list as SLURM writes it: `n[01-03,7],m5` is n01."""
    found = re.match(r"([^,\[\]]*)(?:\[([0-9]+)[^\]]*\])?([^,\[\]]*)", nodes)
    host = "".join(part or "" for part in found.groups()) if found else ""
    if not host:
        raise RunError(f"SLURM_STEP_NODELIST is {nodes!r}, which names no host")
    return host


def _of_torchrun(environ: Mapping[str, str]) -> World:
    size = _number(environ, "WORLD_SIZE", least=1)
    if size == 1:
        return World(launcher="torchrun")
    rank = _number(environ, "RANK", below=size)
    local_size = _number_or(environ, "LOCAL_WORLD_SIZE", size)
    return World(
        rank,
        size,
        _number_or(environ, "LOCAL_RANK", rank % max(1, local_size)),
        local_size,
        environ.get("MASTER_ADDR", "localhost"),
        _number_or(environ, "MASTER_PORT", FIRST_PORT),
        "torchrun",
    )


def _of_submitit(environ: Mapping[str, str]) -> World:
    size = _number_or(environ, "SUBMITIT_LOCAL_NTASKS", 1)
    rank = _number(environ, "SUBMITIT_LOCAL_GLOBALID", below=size)
    port = _number_or(environ, "MASTER_PORT", _port(environ["SUBMITIT_LOCAL_JOB_ID"]))
    return World(rank, size, _number_or(environ, "SUBMITIT_LOCAL_LOCALID", rank), size, "localhost", port, "submitit")


def _of_srun(environ: Mapping[str, str]) -> World:
    size = _number(environ, "SLURM_STEP_NUM_TASKS", least=1)
    tasks = environ.get("SLURM_STEP_TASKS_PER_NODE", "")
    per_node = re.match(r"[0-9]+", tasks)
    host = environ.get("MASTER_ADDR") or first_host(environ.get("SLURM_STEP_NODELIST", ""))
    job = f"{environ.get('SLURM_JOB_ID', '')}.{environ.get('SLURM_STEP_ID', '')}"
    return World(
        _number(environ, "SLURM_PROCID", below=size),
        size,
        _number(environ, "SLURM_LOCALID", below=size),
        int(per_node[0]) if per_node else size,
        host,
        _number_or(environ, "MASTER_PORT", _port(job)),
        "srun",
    )


def _port(job: str) -> int:
    return FIRST_PORT + zlib.crc32(job.encode()) % NUM_PORTS


def _number_or(environ: Mapping[str, str], name: str, default: int) -> int:
    return _number(environ, name) if environ.get(name) else default


def _number(environ: Mapping[str, str], name: str, least: int = 0, below: int | None = None) -> int:
    text = environ.get(name, "")
    if not (text.isascii() and text.isdecimal()) or int(text) < least or (below is not None and int(text) >= below):
        wanted = f"a number from {least}" + ("" if below is None else f" to {below - 1}")
        way = "unset it, or start with torchrun, srun or asrlab run"
        raise RunError(f"{name} is {text!r}, not {wanted}: {way}")
    return int(text)
