"""The cost model: its collectives are what a message at a time adds up to, and it says what is known of scale."""

from __future__ import annotations

import subprocess
import sys

import attrs
import pytest

from asr_lab.training.parallel.cost import (
    LAUNCH_S,
    NODES,
    Cluster,
    Link,
    NodeKind,
    Storage,
    Work,
    all_reduce_s,
    pass_s,
    save_s,
    step_cost,
)

WORK = Work(num_params=150_000_000, num_layers=20, compute_s=0.5)
H100 = NODES["h100"]


def one_by_one(num_gpus: int, num_bytes: float, link: Link) -> float:
    """An all-gather on a ring within a node, message after message."""
    held = [{rank} for rank in range(num_gpus)]
    seconds, part = LAUNCH_S, num_bytes / num_gpus
    while any(len(parts) < num_gpus for parts in held):
        held = [held[rank] | held[rank - 1] for rank in range(num_gpus)]
        seconds += link.latency_s + part / link.bytes_per_s
    return seconds


@pytest.mark.parametrize("num_gpus", [2, 3, 8])
def test_a_pass_is_a_ring_of_messages(num_gpus: int) -> None:
    node = NodeKind("", num_gpus, Link(2e-6, 1e9), Link(9e-6, 1e8))
    assert pass_s(Cluster(node), 1e6) == pytest.approx(one_by_one(num_gpus, 1e6, node.inner))
    assert all_reduce_s(Cluster(node), 1e6) == pytest.approx(2 * one_by_one(num_gpus, 1e6, node.inner) - LAUNCH_S)


def test_a_gpu_alone_sends_nothing() -> None:
    alone = Cluster(attrs.evolve(H100, num_gpus=1))
    for sharing in ("ddp", "fsdp", "hybrid"):
        cost = step_cost(alone, sharing, WORK)
        assert (cost.communication_s, cost.efficiency) == (0.0, 1.0)


def test_between_nodes_all_cards_carry_a_ring_and_the_slower_way_counts() -> None:
    assert NODES["a100"].ring.bytes_per_s == 8 * NODES["a100"].outer.bytes_per_s < NODES["a100"].inner.bytes_per_s
    two = Cluster(H100, 2)
    large = 1e12
    assert pass_s(two, large) == pytest.approx(15 / 16 * large / (8 * H100.outer.bytes_per_s), rel=1e-3)
    fast = attrs.evolve(H100, outer=Link(14e-6, 1e12))
    assert fast.ring.bytes_per_s == H100.inner.bytes_per_s


def test_small_sums_take_a_tree_and_large_ones_cost_their_bytes() -> None:
    many = Cluster(H100, 128)
    assert all_reduce_s(many, 1e3) < 0.1 * 2 * pass_s(many, 1e3)
    assert all_reduce_s(many, 1e11) == pytest.approx(2 * 1e11 / H100.ring.bytes_per_s, rel=0.01)


@pytest.mark.parametrize("name", list(NODES))
@pytest.mark.parametrize("sharing", ["ddp", "fsdp", "hybrid"])
def test_efficiency_falls_with_the_number_of_gpus_and_stays_a_share(name: str, sharing: str) -> None:
    found = [step_cost(Cluster(NODES[name], n), sharing, WORK).efficiency for n in (1, 2, 4, 8, 16, 32, 64, 128)]  # type: ignore[arg-type]
    assert found == sorted(found, reverse=True)
    assert 0 < found[-1] <= found[0] < 1


def test_shards_within_nodes_pay_where_all_shards_wait_for_latency() -> None:
    many = Cluster(H100, 128)
    small = attrs.evolve(WORK, compute_s=0.05)
    assert step_cost(many, "hybrid", small).efficiency > step_cost(many, "fsdp", small).efficiency


def test_no_more_is_exposed_than_is_sent_and_no_less_than_exceeds_computing() -> None:
    for compute_s in (1e-4, 1e-2, 1.0):
        for sharing in ("ddp", "fsdp", "hybrid"):
            for microbatches in (1, 4):
                work = attrs.evolve(WORK, compute_s=compute_s, microbatches=microbatches)
                cost = step_cost(Cluster(H100, 16), sharing, work)  # type: ignore[arg-type]
                assert cost.communication_s - compute_s <= cost.exposed_s + 1e-12
                assert cost.exposed_s <= cost.communication_s + 1e-12


def test_accumulation_gathers_for_each_microbatch_and_adds_up_once() -> None:
    one, four = (step_cost(Cluster(H100), "fsdp", attrs.evolve(WORK, microbatches=n)).communication_s for n in (1, 4))
    whole = WORK.num_layers * pass_s(Cluster(H100), 4 * WORK.num_params / WORK.num_layers)
    assert one == pytest.approx(3 * whole)
    assert four == pytest.approx(9 * whole)


def test_audio_is_waited_for_only_where_disks_are_slower_than_training() -> None:
    work = attrs.evolve(WORK, audio_bytes=10e6)
    assert step_cost(Cluster(H100), "ddp", work).data_s == 0
    slow = step_cost(Cluster(H100), "ddp", work, Storage(read_bytes_per_s=8e6))
    assert slow.step_s == pytest.approx(10.0)
    shared = step_cost(Cluster(H100, 128), "ddp", work, Storage(limit_bytes_per_s=1e9))
    assert shared.step_s == pytest.approx(10.24)


def test_shards_are_saved_by_all_nodes_until_the_disk_is_the_limit() -> None:
    storage = Storage(write_bytes_per_s=1e9, limit_bytes_per_s=4e9)
    seconds = [save_s(Cluster(H100, n), "fsdp", WORK, storage) for n in (1, 2, 4, 8)]
    assert seconds == pytest.approx([2.4, 1.2, 0.6, 0.6])
    assert save_s(Cluster(H100, 8), "ddp", WORK, storage) == pytest.approx(2.4)
    cost = step_cost(Cluster(H100), "ddp", attrs.evolve(WORK, save_every_steps=100), storage)
    assert cost.checkpoint_s == pytest.approx(0.024)


def test_it_loads_no_torch() -> None:
    script = "import asr_lab.training.parallel.cost, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
