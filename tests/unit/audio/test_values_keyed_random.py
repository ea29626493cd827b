"""Draws to the bit: what a key gives today it gives for ever, or runs would not repeat across versions."""

from __future__ import annotations

import numpy as np
import pytest

from asr_lab.audio.keyed_random import fraction, generator, mix, mixed, text_key, uniform

ENDS = np.array([0, 1, 2**64 - 1], dtype=np.uint64)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", 0xB4B2797457A0A6E4),
        ("a", 0x2F42665B399EF840),
        ("Straße", 0x129AC8E86711EF3E),
        ("a/b\udcff.wav", 0xD487F0C1F5C90FF5),
    ],
)
def test_a_texts_key_is_that_of_its_bytes(text: str, key: int) -> None:
    assert text_key(text) == key


def test_without_salts_a_key_is_mixed_by_splitmix64() -> None:
    # The first numbers of the published generator for the seeds 0 and 1.
    assert mix(ENDS).tolist() == [0xE220A8397B1DCDAF, 0x910A2DEC89025CC1, 0xE4D971771B652C20]
    assert mix(5).tolist() == [mixed(5)] == [0x63033B0CA389C35A]


def test_salts_are_stirred_in_one_after_the_other() -> None:
    assert mix(ENDS, 3, 7).tolist() == [0x0EB9C778D9F228C9, 0x4EA109DC6C4AD078, 0x1DAAE14C23845972]
    assert mixed(5, 3, 7) == 0x6D25F5A3B18D866B
    assert mixed(2**64 - 1, 2**40) == int(mix(2**64 - 1, 2**40)[0]) == 0xEFA5EDC2F6415763


def test_fractions_are_the_upper_53_bits() -> None:
    assert uniform(ENDS).tolist() == [0.8833108082136426, 0.5665615751722809, 0.8939429202831845]
    assert fraction(1) == 0.5665615751722809 == (0x910A2DEC89025CC1 >> 11) / 2**53


def test_a_keys_generator_begins_with_the_same_numbers() -> None:
    assert generator(5).random(3).tolist() == [0.7337459554446363, 0.5905206445727093, 0.20780894066207112]
    assert generator(5, 1).random(2).tolist() == [0.7176855231898798, 0.4121352897814532]
    assert generator(2**64 - 1).integers(0, 1000, 4).tolist() == [554, 234, 679, 717]
    assert generator(5).standard_normal(2).tolist() == pytest.approx([1.4377730333055703, 0.8361076567861933])
