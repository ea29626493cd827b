"""How steps are cut for several processes, against trying every way; and who takes what."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from asr_lab.audio.keyed_random import mix
from asr_lab.data.plan import plan_epoch
from asr_lab.data.sharing import cut_evenly, deal


def padded(durations_s: np.ndarray, cuts: list[int]) -> list[float]:
    return [(b - a) * float(durations_s[a]) if b > a else 0.0 for a, b in itertools.pairwise(cuts)]


def best_of_all_ways(durations_s: np.ndarray, number: int) -> float:
    """The least size that the largest of `number` microbatches can have."""
    inner = range(1, len(durations_s))
    return min(
        max(padded(durations_s, [0, *chosen, len(durations_s)]))
        for count in range(min(number, len(durations_s)))
        for chosen in itertools.combinations(inner, count)
    )


@pytest.mark.parametrize("parts", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(6))
def test_the_largest_microbatch_is_as_small_as_any_way_makes_it(parts: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps = [np.sort(rng.uniform(1, 6, int(rng.integers(1, 9))))[::-1] for _ in range(5)]
    starts = np.concatenate([[0], np.cumsum([len(step) for step in steps])])
    cuts, firsts = cut_evenly(np.concatenate(steps), starts, 9.0, parts)
    for k, step in enumerate(steps):
        own = [int(c) - int(starts[k]) for c in cuts[firsts[k] : firsts[k + 1] + 1]]
        number = len(own) - 1
        assert number % parts == 0
        assert own[0] == 0
        assert own[-1] == len(step)
        assert own == sorted(own)
        assert max(padded(step, own)) == pytest.approx(best_of_all_ways(step, number), rel=1e-9)
        assert max(padded(step, own)) <= 9.0
        # As few as `size_s` allows: a multiple less would not do.
        if number > parts:
            assert best_of_all_ways(step, number - parts) > 9.0


def test_a_step_of_one_long_utterance_leaves_the_others_empty() -> None:
    cuts, firsts = cut_evenly(np.array([30.0, 2.0, 2.0]), np.array([0, 1, 3]), 9.0, 2)
    assert cuts.tolist() == [0, 1, 1, 2, 3]
    assert firsts.tolist() == [0, 2, 4]


def test_what_a_step_holds_does_not_depend_on_the_ranks() -> None:
    rng = np.random.default_rng(0)
    durations_s, keys = rng.uniform(1, 16, 900), mix(np.arange(900, dtype=np.uint64), 5)
    alone = plan_epoch(durations_s, keys, batch_s=60, max_rank_batch_s=30)
    for parts in (2, 3, 4):
        shared = plan_epoch(durations_s, keys, batch_s=60, max_rank_batch_s=30, parts=parts)
        assert shared.num_steps == alone.num_steps
        for step in range(alone.num_steps):
            assert np.concatenate(shared.step(step)).tolist() == np.concatenate(alone.step(step)).tolist()
            assert len(shared.step(step)) % parts == 0


def test_two_parts_are_cut_alike_for_one_process_and_for_two() -> None:
    rng = np.random.default_rng(1)
    durations_s, keys = rng.uniform(1, 16, 300), mix(np.arange(300, dtype=np.uint64), 5)
    planned = plan_epoch(durations_s, keys, batch_s=60, max_rank_batch_s=60, parts=2)
    assert {len(planned.step(k)) for k in range(planned.num_steps)} == {2}


def test_ranks_finish_together() -> None:
    rng = np.random.default_rng(2)
    durations_s = np.minimum(rng.gamma(4, 3, 20_000), 35.0)
    keys = mix(np.arange(len(durations_s), dtype=np.uint64), 9)
    for ranks in (2, 4, 8):
        planned = plan_epoch(durations_s, keys, batch_s=60 * ranks, max_rank_batch_s=40, parts=ranks)
        waits = []
        for step in range(planned.num_steps - 1):
            sizes = [len(part) * durations_s[part].max(initial=0.0) for part in planned.step(step)]
            loads = [sum(sizes[place] for place in share) for share in deal(sizes, ranks)]
            waits.append(max(loads) / (sum(loads) / ranks))
        assert np.mean(waits) < 1.12, f"{ranks} ranks: the last to finish works {np.mean(waits):.3f} of the mean"


def test_one_for_each_goes_in_order_and_several_longest_first() -> None:
    assert deal([3.0, 9.0], 2) == [[0], [1]]
    assert deal([3.0, 9.0, 1.0, 5.0], 2) == [[1, 2], [3, 0]]
    assert deal([3.0, 9.0, 1.0], 1) == [[0, 1, 2]]
    everything = sorted(itertools.chain(*deal([4.0, 4.0, 4.0, 0.0, 2.0, 9.0], 3)))
    assert everything == list(range(6))
