"""What an epoch is drawn from: weights, joined utterances, perturbed lengths."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_lab.audio.augmentation.speed import SpeedPerturbation
from asr_lab.audio.keyed_random import mix
from asr_lab.data.cuts import Part
from asr_lab.data.examples import Examples, draw_examples, language_weights
from asr_lab.data.utterance import Joining
from asr_lab.slots.datasets import Join

NUM = 60


def draw(
    weight: float = 1.0,
    join: Joining | None = None,
    factors: tuple[float, ...] = (1.0,),
    tight: bool = False,
    **kind: int,
) -> tuple[Examples, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    durations_s, group = rng.uniform(0.5, 3, NUM), rng.integers(0, 4, NUM)
    drawn = draw_examples(
        durations_s,
        mix(np.arange(NUM, dtype=np.uint64)),
        np.zeros(NUM, dtype=np.int16),
        group,
        np.full(NUM, tight),
        [Part("a", weight, join)],
        seed=kind.get("seed", 1),
        epoch=kind.get("epoch", 0),
        duration_factors=SpeedPerturbation(factors).duration_factors,
    )
    return drawn, durations_s, group


def members(examples: Examples) -> list[list[int]]:
    return [examples.rows[e].tolist() for e in range(len(examples))]


def test_without_settings_every_utterance_comes_once_as_it_is() -> None:
    examples, durations_s, _ = draw()
    assert sorted(members(examples)) == [[i] for i in range(NUM)]
    assert np.allclose(examples.durations_s, durations_s[examples.rows.values])


@pytest.mark.parametrize(("weight", "total", "counts"), [(2.0, 120, {2}), (2.5, 150, {2, 3}), (0.5, 30, {0, 1})])
def test_a_weight_says_how_often_an_epoch_passes(weight: float, total: int, counts: set[int]) -> None:
    examples = draw(weight)[0]
    found = Counter(examples.rows.values.tolist())
    assert len(examples) == total
    assert {found.get(i, 0) for i in range(NUM)} == counts
    assert len(set(examples.keys.tolist())) == total  # each pass is augmented anew


def test_the_drawn_half_is_another_in_each_epoch() -> None:
    halves = {tuple(sorted(draw(0.5, epoch=e)[0].rows.values.tolist())) for e in range(3)}
    assert len(halves) == 3


@given(st.integers(1, 4), st.integers(4, 8), st.floats(2, 12), st.integers(0, 50))
def test_joined_utterances_obey_their_limits(low: int, high: int, max_s: float, epoch: int) -> None:
    join = Joining(min_utterances=low, max_utterances=high, max_s=max_s, gap_s=(0.1, 0.2))
    examples, durations_s, group = draw(join=join, epoch=epoch)
    assert sorted(examples.rows.values.tolist()) == list(range(NUM))
    place = 0
    for example, rows in enumerate(members(examples)):
        gaps_s = examples.gaps_s[place : place + len(rows)]
        place += len(rows)
        assert len(rows) <= high
        assert len(set(group[rows])) == 1
        assert gaps_s[0] == 0
        assert all(0.1 <= g <= 0.2 for g in gaps_s[1:])
        assert examples.durations_s[example] == pytest.approx(durations_s[rows].sum() + gaps_s.sum())
        assert len(rows) == 1 or examples.durations_s[example] <= max_s + 1e-9


def test_joined_groups_change_with_epoch_and_seed_only() -> None:
    join = Joining()
    first = members(draw(join=join)[0])
    assert first == members(draw(join=join)[0])
    assert first != members(draw(join=join, epoch=1)[0])
    assert first != members(draw(join=join, seed=2)[0])
    assert len({len(m) for m in first}) > 2


def test_lengths_are_those_after_speed_perturbation() -> None:
    examples, durations_s, _ = draw(factors=(0.9, 1.0, 1.1))
    ratios = examples.durations_s / durations_s[examples.rows.values]
    assert {round(r, 3) for r in ratios.tolist()} == {1.111, 1.0, 0.909}


def test_tight_utterances_are_never_shortened() -> None:
    examples, durations_s, _ = draw(factors=(0.9, 1.0, 1.1), tight=True)
    ratios = examples.durations_s / durations_s[examples.rows.values]
    assert {round(r, 3) for r in ratios.tolist()} == {1.111, 1.0}


@pytest.mark.parametrize(
    "settings", [{"min_utterances": 6, "max_utterances": 5}, {"gap_s": (0.3, 0.1)}, {"gap_s": (-1.0, 0.1)}]
)
def test_a_join_that_makes_no_sense_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"min_utterances|gap_s"):
        Join(**settings)


def drawn_by_language(temperature: float, epoch: int = 0) -> tuple[np.ndarray, np.ndarray, Examples]:
    """Seconds of audio there, and drawn in an epoch, of three languages in two parts, of which one passes twice."""
    rng = np.random.default_rng(2)
    number = 3000
    language = rng.choice(3, number, p=[0.8, 0.15, 0.05]).astype(np.int32)
    part = rng.integers(0, 2, number).astype(np.int16)
    durations_s = rng.uniform(1, 5, number)
    parts = [Part("a", 1.0, None), Part("b", 2.0, Joining(3, 1, 30.0, (0.0, 0.0), ""))]
    drawn = draw_examples(
        durations_s,
        mix(np.arange(number, dtype=np.uint64)),
        part,
        np.zeros(number, np.int64),
        np.zeros(number, np.bool_),
        parts,
        seed=1,
        epoch=epoch,
        duration_factors=lambda keys: np.ones(len(keys)),
        language=language,
        temperature=temperature,
    )
    there = np.bincount(language, durations_s * np.array([1.0, 2.0])[part])
    for rows in members(drawn):
        assert len({int(language[row]) for row in rows}) == 1 or temperature == 1
    return there, np.bincount(language[drawn.rows.values], durations_s[drawn.rows.values]), drawn


@pytest.mark.parametrize("temperature", [1.0, 1.4, 2.0, 5.0, 1000.0])
def test_languages_get_the_shares_that_the_formula_gives(temperature: float) -> None:
    there, drawn, _ = drawn_by_language(temperature)
    powers = [share ** (1 / temperature) for share in there / there.sum()]
    wanted = [power / sum(powers) for power in powers]
    assert drawn / drawn.sum() == pytest.approx(wanted, abs=0.01)
    assert drawn.sum() == pytest.approx(there.sum(), rel=0.02)  # an epoch is as long as it was
    assert language_weights(there, temperature) * there / there.sum() == pytest.approx(wanted)


def test_a_temperature_of_one_draws_what_is_drawn_without() -> None:
    one, without = drawn_by_language(1.0)[2], draw()[0]
    assert len(one.keys) > len(without.keys)
    assert np.array_equal(one.keys, drawn_by_language(1.0)[2].keys)
    assert not np.array_equal(one.keys, drawn_by_language(1.0, epoch=1)[2].keys)
