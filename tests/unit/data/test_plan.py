"""The batch plan holds every example once, fills its batches, and depends on keys alone."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_lab.audio.keyed_random import mix
from asr_lab.data.plan import plan_epoch

durations = st.lists(st.floats(0.05, 40), min_size=0, max_size=200)
sizes = st.tuples(st.floats(1, 300), st.floats(1, 300))


def plan(durations_s: list[float], batch_s: float, rank_s: float, epoch: int = 0):
    keys = mix(np.arange(len(durations_s), dtype=np.uint64), 17, epoch)
    return plan_epoch(np.array(durations_s), keys, batch_s=batch_s, max_rank_batch_s=rank_s)


@given(durations, sizes)
def test_every_example_comes_exactly_once(durations_s: list[float], size: tuple[float, float]) -> None:
    planned = plan(durations_s, *size)
    examples = [e for s in range(planned.num_steps) for m in planned.step(s) for e in m.tolist()]
    assert sorted(examples) == list(range(len(durations_s)))
    assert all(len(m) for s in range(planned.num_steps) for m in planned.step(s))


@given(durations, sizes)
def test_no_batch_is_larger_than_asked_unless_it_is_one_example(
    durations_s: list[float], size: tuple[float, float]
) -> None:
    planned = plan(durations_s, *size)
    lengths = np.array(durations_s)
    for step in range(planned.num_steps):
        microbatches = planned.step(step)
        whole = np.concatenate(microbatches)
        assert len(whole) == 1 or len(whole) * lengths[whole].max() <= size[0] * (1 + 1e-12)
        for microbatch in microbatches:
            padded_s = len(microbatch) * lengths[microbatch].max()
            assert len(microbatch) == 1 or padded_s <= size[1] * (1 + 1e-12)


@given(durations, sizes, st.floats(1, 300))
def test_what_a_step_holds_does_not_depend_on_the_microbatches(
    durations_s: list[float], size: tuple[float, float], other: float
) -> None:
    a, b = plan(durations_s, *size), plan(durations_s, size[0], other)
    assert a.num_steps == b.num_steps
    for step in range(a.num_steps):
        assert np.concatenate(a.step(step)).tolist() == np.concatenate(b.step(step)).tolist()


@settings(max_examples=30)
@given(st.lists(st.floats(0.05, 40), min_size=2, max_size=100), sizes, st.randoms())
def test_the_order_that_examples_are_listed_in_means_nothing(
    durations_s: list[float], size: tuple[float, float], random: object
) -> None:
    keys = mix(np.arange(len(durations_s), dtype=np.uint64), 3)
    shuffled = np.array(random.sample(range(len(keys)), len(keys)))  # type: ignore[attr-defined]
    lengths = np.array(durations_s)
    a = plan_epoch(lengths, keys, batch_s=size[0], max_rank_batch_s=size[1])
    b = plan_epoch(lengths[shuffled], keys[shuffled], batch_s=size[0], max_rank_batch_s=size[1])
    assert a.order.tolist() == shuffled[b.order].tolist()
    assert a.steps.tolist() == b.steps.tolist()


def test_epochs_differ_and_repeat_themselves() -> None:
    lengths = np.random.default_rng(0).uniform(1, 20, 500).tolist()
    first, again, second = plan(lengths, 100, 50), plan(lengths, 100, 50), plan(lengths, 100, 50, epoch=1)
    assert first.order.tolist() == again.order.tolist()
    assert first.order.tolist() != second.order.tolist()
    companions = [{tuple(sorted(m.tolist())) for m in p.step(s)} for p in (first, second) for s in range(p.num_steps)]
    assert len(set.union(*companions)) > 1.8 * len(companions) / 2  # not the same batches in another order


def test_little_is_padding_and_batches_are_full() -> None:
    lengths = np.random.default_rng(0).gamma(4, 3, 20_000).clip(1, 35)
    planned = plan(lengths.tolist(), 400, 400)
    padded_s = [len(m) * lengths[m].max() for s in range(planned.num_steps) for m in planned.step(s)]
    assert lengths.sum() / sum(padded_s) > 0.9
    assert np.mean(padded_s) > 0.9 * 400


def test_long_and_short_steps_are_mixed() -> None:
    lengths = np.random.default_rng(0).uniform(1, 20, 5000)
    planned = plan(lengths.tolist(), 100, 100)
    means = [lengths[np.concatenate(planned.step(s))].mean() for s in range(planned.num_steps)]
    assert abs(np.corrcoef(np.arange(len(means)), means)[0, 1]) < 0.15


def test_sizes_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        plan([1.0], 0, 1)


@pytest.mark.prove
def test_a_million_cuts_are_planned_in_about_a_second_and_200_mb() -> None:
    rng = np.random.default_rng(0)
    lengths, keys = rng.uniform(1, 20, 1_000_000), rng.integers(0, 2**63, 1_000_000).astype(np.uint64)
    start = time.process_time()
    plan_epoch(lengths, keys, batch_s=4800, max_rank_batch_s=600)
    assert time.process_time() - start < 2.0
    tracemalloc.start()
    plan_epoch(lengths, keys, batch_s=4800, max_rank_batch_s=600)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6
