"""A small epoch's plan to the number, and the guards of its sizes."""

from __future__ import annotations

import numpy as np
import pytest

from asr_lab.audio.keyed_random import mix
from asr_lab.data.plan import BUCKET_RATIO, Plan, fill, plan_epoch

DURATIONS_S = np.array([1.0, 2.0, 1.5, 0.5, 3.0, 2.5, 1.0, 2.0, 4.0, 0.7, 9.0, 0.0])


def plan(epoch: int, batch_s: float = 6.0, max_rank_batch_s: float = 3.0) -> Plan:
    keys = mix(np.arange(len(DURATIONS_S), dtype=np.uint64), 17, epoch)
    return plan_epoch(DURATIONS_S, keys, batch_s=batch_s, max_rank_batch_s=max_rank_batch_s)


def steps(planned: Plan) -> list[list[list[int]]]:
    return [[microbatch.tolist() for microbatch in planned.step(k)] for k in range(planned.num_steps)]


def test_these_durations_and_keys_give_these_steps_for_ever() -> None:
    first, second = plan(0), plan(1)
    assert steps(first) == [[[8]], [[1], [7], [2]], [[10]], [[4], [5]], [[6, 0, 9], [3, 11]]]
    assert steps(second) == [[[8]], [[1], [7], [2]], [[4], [5]], [[0, 6, 9], [3, 11]], [[10]]]
    assert (first.num_steps, first.num_microbatches) == (5, 9)
    assert first.microbatch(7).tolist() == [6, 0, 9]


def test_a_wider_epoch_gives_these_steps_for_ever() -> None:
    rng = np.random.Generator(np.random.Philox(key=np.array([3, 0], dtype=np.uint64)))
    durations_s = rng.integers(5, 60, 24) / 4
    planned = plan_epoch(durations_s, mix(np.arange(24, dtype=np.uint64), 5), batch_s=40.0, max_rank_batch_s=20.0)
    assert planned.order.tolist() == [
        4, 18, 20, 5, 15, 7, 9, 19, 12, 0, 17, 23, 16, 2, 3, 13, 21, 8, 6, 11, 14, 1, 22, 10,
    ]  # fmt: skip
    assert planned.steps.tolist() == [0, 3, 6, 8, 10, 12, 13, 15]
    assert planned.microbatches.tolist() == [0, 2, 4, 5, 6, 7, 8, 9, 10, 13, 16, 18, 21, 22, 23, 24]


def test_a_batch_that_is_full_to_the_second_is_not_over_full() -> None:
    assert fill(np.array([2.0, 2.0, 2.0, 1.0, 3.0]), 6.0).tolist() == [0, 3]
    assert fill(np.array([2.0, 2.0, 2.0]), 5.999).tolist() == [0, 2]
    assert fill(np.array([9.0, 1.0, 9.0]), 6.0).tolist() == [0, 1, 2]
    assert fill(np.array([1.0, 1.0, 1.0, 1.0]), 3.0, np.array([0, 2])).tolist() == [0, 2]


def test_the_shortest_are_told_apart_down_to_a_millisecond() -> None:
    durations_s = np.array([0.01, 0.05] * 30)
    keys = mix(np.arange(60, dtype=np.uint64))
    planned = plan_epoch(durations_s, keys, batch_s=0.2, max_rank_batch_s=0.2)
    lengths = [set(durations_s[np.concatenate(planned.step(k))].tolist()) for k in range(planned.num_steps)]
    assert sum(len(of_a_step) > 1 for of_a_step in lengths) <= 1
    none = plan_epoch(np.zeros(3), keys[:3], batch_s=0.2, max_rank_batch_s=0.2)
    assert sorted(none.step(0)[0].tolist()) == [0, 1, 2]


@pytest.mark.parametrize(
    ("batch_s", "max_rank_batch_s"), [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0), (1.0, -0.5), (0.0, 0.0)]
)
def test_each_size_must_be_above_0(batch_s: float, max_rank_batch_s: float) -> None:
    message = f"batch_s and max_rank_batch_s must be above 0, got {batch_s} and {max_rank_batch_s}"
    with pytest.raises(ValueError, match=message):
        plan(0, batch_s, max_rank_batch_s)


def test_sizes_of_next_to_nothing_give_each_example_a_step_of_its_own() -> None:
    assert sorted(steps(plan(0, 1e-9, 1e-9))) == [[[i]] for i in range(12)]


def test_an_epoch_of_nothing_has_no_step() -> None:
    empty = plan_epoch(np.zeros(0), np.zeros(0, dtype=np.uint64), batch_s=1.0, max_rank_batch_s=1.0)
    assert (empty.num_steps, empty.num_microbatches, empty.order.tolist()) == (0, 0, [])
    assert BUCKET_RATIO == 1.2
