"""A small epoch's examples to the number: which pass, with which keys, joined how, with how much silence."""

from __future__ import annotations

import numpy as np
import pytest

from asr_lab.audio.augmentation.speed import SpeedPerturbation
from asr_lab.audio.keyed_random import fraction, mix, mixed
from asr_lab.data.cuts import Part
from asr_lab.data.examples import Examples, draw_examples
from asr_lab.data.utterance import Joining

DURATIONS_S = np.array([1.0, 2.0, 1.5, 0.5, 3.0, 2.5, 1.0, 2.0, 4.0, 0.7])
PART = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 1], dtype=np.int16)
GROUP = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
TIGHT = np.array([0, 1, 1, 0, 0, 0, 1, 0, 0, 0], dtype=bool)
PARTS = [
    Part("twice, half of it", 1.5, None),
    Part("joined", 1.0, Joining(max_utterances=3, max_s=7.0, gap_s=(0.1, 0.5))),
]


def drawn(epoch: int, seed: int = 17) -> Examples:
    keys = mix(np.arange(10, dtype=np.uint64))
    perturbed = SpeedPerturbation((0.9, 1.0, 1.1)).duration_factors
    return draw_examples(
        DURATIONS_S, keys, PART, GROUP, TIGHT, PARTS, seed=seed, epoch=epoch, duration_factors=perturbed
    )


def test_these_utterances_give_these_examples_for_ever() -> None:
    first, second = drawn(0), drawn(1)
    rows = [[e.rows[i].tolist() for i in range(len(e))] for e in (first, second)]
    assert rows[0] == [[0], [1], [2], [3], [1], [3], [4, 6], [5], [8, 7], [9]]
    assert rows[1] == [[0], [1], [2], [3], [2], [3], [5, 4, 6], [9], [7, 8]]
    assert first.gaps_s.tolist() == pytest.approx([0] * 7 + [0.360920648, 0, 0, 0.415557996, 0])
    assert second.gaps_s.tolist() == pytest.approx([0] * 7 + [0.206916566, 0.269464242, 0, 0, 0.265134761])
    assert second.durations_s.tolist() == pytest.approx(
        [1 / 1.1, 2 / 0.9, 1.5 / 0.9, 0.5 / 1.1, 1.5 / 0.9, 0.5, 6.976380808 / 0.9, 0.7 / 1.1, 6.265134761]
    )


def test_their_keys_are_what_their_augmentation_is_drawn_from() -> None:
    assert [hex(key) for key in drawn(0).keys.tolist()] == [
        "0x5a2ade9bff6c1a2c",
        "0x6ef65b7ba6430966",
        "0x206f94acbd4264ec",
        "0x33007f6d7c402d99",
        "0xf2050e1960f06b6f",
        "0x6816e342b4cf49d8",
        "0x29f02e8a34905a2b",
        "0x170435628b2afd21",
        "0xb6e03b5b6abceddf",
        "0xcc05e890fd4b9caf",
    ]
    own = [mixed(mixed(0), 17, 0, 0), mixed(mixed(3), 17, 0, 0), mixed(mixed(3), 17, 0, 1)]
    assert drawn(0).keys[[0, 3, 5]].tolist() == own  # utterance, seed, epoch, pass


@pytest.mark.parametrize(("speeds", "most"), [((0.9, 1.0, 1.1), 32), ((1.1,), 32)], ids=["some", "all shorten"])
def test_a_tight_utterances_key_is_drawn_again_until_it_is_not_shortened_32_times_at_most(
    speeds: tuple[float, ...], most: int
) -> None:
    examples = draw_examples(
        np.ones(40),
        np.arange(40, dtype=np.uint64),
        np.zeros(40, dtype=np.int16),
        np.zeros(40, dtype=np.int64),
        np.arange(40) % 2 == 0,
        [Part("a", 1.0, None)],
        seed=1,
        epoch=2,
        duration_factors=SpeedPerturbation(speeds).duration_factors,
    )
    expected, redrawn = [], 0
    for utterance in range(40):
        key, redraws = mixed(utterance, 1, 2, 0), 0
        while utterance % 2 == 0 and speeds[int(fraction(key) * len(speeds))] > 1 and redraws < most:
            key, redraws = mixed(key, 2), redraws + 1
        expected.append(key)
        redrawn += redraws > 1
    assert examples.keys.tolist() == expected
    assert redrawn > 0
    assert examples.durations_s.tolist() == [1 / speeds[int(fraction(key) * len(speeds))] for key in expected]
