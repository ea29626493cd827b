"""What Python calls samples becomes one waveform, or an error that says what would be right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from asr_lab.audio.waveform import as_rate, as_waveform
from asr_lab.errors import DataError

INTS = np.array([0, 1, -32768, 32767, 1234], dtype=np.int16)
FLOATS = (INTS / 32768).astype(np.float32)


@pytest.mark.parametrize(
    "samples",
    [
        INTS,
        INTS.astype(">i2"),
        INTS[:, None],
        np.stack([INTS, INTS], 1),
        FLOATS,
        FLOATS.astype(np.float64),
        FLOATS.tolist(),
        tuple(FLOATS.tolist()),
        torch.from_numpy(INTS),
        torch.from_numpy(FLOATS).double(),
        torch.from_numpy(FLOATS).requires_grad_(),
        np.repeat(FLOATS, 2)[::2],
        FLOATS[::-1][::-1],
    ],
)
def test_every_kind_of_samples_is_the_same_waveform(samples: Any) -> None:
    found = as_waveform(samples)
    assert found.dtype == np.float32
    assert np.array_equal(found, FLOATS)
    torch.from_numpy(found)  # owns its memory, forwards


def test_channels_are_mixed() -> None:
    left, right = np.random.default_rng(0).normal(size=(2, 100)).astype(np.float32)
    assert np.array_equal(as_waveform(np.stack([left, right], 1)), np.stack([left, right], 1).mean(1))
    assert len(as_waveform(np.zeros((1, 2), np.float32))) == 1


def test_the_callers_array_is_neither_written_to_nor_needed_writable() -> None:
    samples = np.frombuffer(FLOATS.tobytes(), np.float32)
    found = as_waveform(samples)
    found[:] = 7
    assert np.array_equal(samples, FLOATS)


def test_nothing_is_a_waveform_too() -> None:
    for nothing in ([], np.zeros(0, np.int16), torch.zeros(0), np.zeros((0, 2))):
        assert as_waveform(nothing).shape == (0,)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((2, 16000)), r"\(S, channels\), got the shape \(2, 16000\); transpose it"),
        (torch.zeros(1, 16000), r"got the shape \(1, 16000\); transpose it"),
        (np.zeros((2, 2, 2)), r"got an array of shape \(2, 2, 2\)"),
        (0.5, r"got an array of shape \(\)"),
        (np.zeros((5, 0)), r"got an array of shape \(5, 0\)"),
        ([1, 2, 3], "full scale is 1, or int16; got int64"),
        (INTS.astype(np.int32), "got int32"),
        (INTS.astype(np.uint16), "got uint16"),
        (FLOATS > 0, "got bool"),
        (FLOATS.astype(complex), "got complex128"),
        (b"RIFF", r"got \|S4"),
        (None, "got object"),
        ([[0.1], [0.1, 0.2]], "make no array of numbers"),
        (np.array([0.1, np.nan, np.inf]), "not finite numbers, first at sample 1"),
        (np.array([1e300]), "not finite numbers, first at sample 0"),
        (INTS.astype(np.float32), "samples reach 32,768, and full scale is 1: give int16, or divide by 32768"),
    ],
)
def test_what_is_no_waveform_is_refused(samples: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        as_waveform(samples)


def test_a_rate_is_a_whole_number_above_0() -> None:
    for rate in (16000, 16000.0, np.int64(16000), np.float32(16000)):
        assert as_rate(rate) == 16000
        assert type(as_rate(rate)) is int
    for wrong in (0, -16000, 16000.5, float("nan"), float("inf"), True, "16000", [16000]):
        with pytest.raises(DataError, match="a whole number of Hz above 0, got"):
            as_rate(wrong)
    with pytest.raises(DataError, match="need their sample rate in Hz beside them"):
        as_rate(None)
