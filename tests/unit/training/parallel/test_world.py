"""What each launcher's environment says of a process's place."""

from __future__ import annotations

import pytest

from asr_lab.errors import RunError
from asr_lab.training.parallel.world import FIRST_PORT, NUM_PORTS, World, first_host, world_of

TORCHRUN = {
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "n1",
    "MASTER_PORT": "29400",
}
SRUN = {
    "SLURM_JOB_ID": "17",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
    "SLURM_STEP_NODELIST": "n[1-2]",
    "SLURM_PROCID": "2",
    "SLURM_LOCALID": "0",
}
SUBMITIT = {
    "SUBMITIT_LOCAL_JOB_ID": "4711",
    "SUBMITIT_LOCAL_NTASKS": "2",
    "SUBMITIT_LOCAL_GLOBALID": "1",
    "SUBMITIT_LOCAL_LOCALID": "1",
}


def test_torchrun_says_all() -> None:
    assert world_of(TORCHRUN) == World(3, 4, 1, 2, "n1", 29400, "torchrun")
    assert world_of(TORCHRUN | SRUN).launcher == "torchrun"


def test_a_step_of_slurm_has_its_place_and_all_its_ranks_meet_at_one_port() -> None:
    worlds = [world_of(SRUN | {"SLURM_PROCID": str(rank)}) for rank in range(4)]
    assert worlds[2] == World(2, 4, 0, 2, "n1", worlds[0].port, "srun")
    assert {world.port for world in worlds} == {worlds[0].port}
    assert FIRST_PORT <= worlds[0].port < FIRST_PORT + NUM_PORTS
    other = world_of(SRUN | {"SLURM_JOB_ID": "18"})
    assert other.port != worlds[0].port


def test_a_batch_script_and_an_allocations_shell_are_one_process() -> None:
    batch = {"SLURM_JOB_ID": "17", "SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
    assert world_of(batch) == World()
    assert world_of(SRUN | {"SLURM_STEP_NUM_TASKS": "1"}) == World()
    assert world_of({}) == World()


def test_a_local_job_of_submitit_has_as_many_ranks_as_tasks() -> None:
    found = world_of(SUBMITIT)
    assert (found.rank, found.size, found.local_rank, found.host) == (1, 2, 1, "localhost")
    assert world_of(SUBMITIT | {"MASTER_PORT": "31000"}).port == 31000
    assert world_of({"SUBMITIT_LOCAL_JOB_ID": "4711", "SUBMITIT_LOCAL_GLOBALID": "0"}).size == 1


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"WORLD_SIZE": "x"}, "WORLD_SIZE is 'x'"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE is '0'"),
        ({"WORLD_SIZE": "-2"}, "WORLD_SIZE is '-2'"),
        ({"WORLD_SIZE": "2"}, "RANK is ''"),
        ({"WORLD_SIZE": "2", "RANK": "2"}, "RANK is '2', not a number from 0 to 1"),
        ({"RANK": "0"}, "WORLD_SIZE is ''"),
        (TORCHRUN | {"MASTER_PORT": "²"}, "MASTER_PORT"),
        (SRUN | {"SLURM_PROCID": "9"}, "SLURM_PROCID is '9'"),
        (SRUN | {"SLURM_STEP_NODELIST": ""}, "names no host"),
        (SUBMITIT | {"SUBMITIT_LOCAL_GLOBALID": "2"}, "SUBMITIT_LOCAL_GLOBALID"),
    ],
)
def test_nonsense_is_named(environ: dict[str, str], name: str) -> None:
    with pytest.raises(RunError) as error:
        world_of(environ)
    assert name in str(error.value)


@pytest.mark.parametrize(
    ("nodes", "host"),
    [("n1", "n1"), ("n[1-2]", "n1"), ("n[01-03,7],m5", "n01"), ("gpu-[3,5]-ib", "gpu-3-ib"), ("a.b,c", "a.b")],
)
def test_the_first_host_of_a_list_is_found(nodes: str, host: str) -> None:
    assert first_host(nodes) == host
