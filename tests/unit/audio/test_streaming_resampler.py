"""The streaming resampler is the offline one, whatever pieces the samples come in."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor

from asr_lab.audio.features.log_mel import MelSpectrogramExtractor
from asr_lab.audio.resampling import resample, resampled_length
from asr_lab.audio.streaming_resampler import Resampler
from asr_lab.streaming import WHOLE, Chain, Frames, run_whole, scan

PAIRS = [(48000, 16000), (44100, 16000), (8000, 16000), (22050, 16000), (16000, 8000), (9, 10), (11025, 48000)]


def pieces(x: Tensor, sizes: list[int]) -> Iterator[Frames]:
    """One row cut into these sizes, over and over, to its end."""
    start, number = 0, 0
    while start < x.shape[1]:
        piece = x[:, start : start + sizes[number % len(sizes)]]
        start, number = start + piece.shape[1], number + 1
        yield Frames(piece, torch.tensor([piece.shape[1]]), torch.tensor([start == x.shape[1]]))


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_it_is_the_offline_resampler_however_the_samples_are_cut(from_hz: int, to_hz: int) -> None:
    audio = np.random.default_rng(0).standard_normal(2500).astype(np.float32)
    expected = torch.from_numpy(resample(audio, from_hz, to_hz))
    layer, x = Resampler(from_hz, to_hz), torch.from_numpy(audio)[None]
    for sizes in ([2500], [160], [1, 700, 13], [441, 2]):
        out = scan(layer, pieces(x, sizes), WHOLE)
        assert out.lengths.tolist() == [resampled_length(2500, from_hz, to_hz)]
        torch.testing.assert_close(out.x[0], expected, rtol=0, atol=5e-6)


@pytest.mark.parametrize("samples", [0, 1, 2, 100])
def test_short_recordings_have_the_offline_length(samples: int) -> None:
    audio = np.linspace(-1, 1, samples).astype(np.float32)
    for from_hz, to_hz in PAIRS:
        out = run_whole(Resampler(from_hz, to_hz), Frames.whole(torch.from_numpy(audio)[None]), WHOLE)
        assert out.lengths.tolist() == [len(resample(audio, from_hz, to_hz))]
        torch.testing.assert_close(
            out.x[0, : out.lengths[0]], torch.from_numpy(resample(audio, from_hz, to_hz)), rtol=0, atol=5e-6
        )


def test_equal_rates_pass_every_sample_at_once() -> None:
    layer, x = Resampler(16000, 16000), torch.randn(2, 50)
    going_on = Frames(x, torch.tensor([50, 20]), torch.tensor([False, False]))
    _, out = layer(layer.initial_state(2, WHOLE), going_on, WHOLE)
    assert out.lengths.tolist() == [50, 20]
    assert torch.equal(out.x, going_on.valid())


def test_what_it_holds_back_is_the_right_half_of_the_filter() -> None:
    layer = Resampler(48000, 16000)
    assert layer.lookahead_frames == 70  # 24 zero crossings of 3 samples, less the 2 behind the last output
    _, out = layer(layer.initial_state(1, WHOLE), Frames(torch.randn(1, 100), *ending(100, False)), WHOLE)
    assert out.lengths.tolist() == [10]


def ending(samples: int, final: bool) -> tuple[Tensor, Tensor]:
    return torch.tensor([samples]), torch.tensor([final])


def test_in_front_of_features_it_gives_them_whole_hops() -> None:
    features = MelSpectrogramExtractor.nemo_style(level="none")
    for from_hz in (44100, 11025, 48000, 8000):
        chain = Chain([Resampler(from_hz, 16000), features])
        assert chain.ratio == Fraction(100, from_hz)
        hop = chain.hop_frames(WHOLE)
        assert hop is not None
        samples = chain.lookahead_frames + 3 * hop
        going_on = Frames(torch.randn(1, samples), *ending(samples, False))
        _, out = chain(chain.initial_state(1, WHOLE), going_on, WHOLE)
        assert out.lengths.tolist() == [3 * hop * chain.ratio]


def test_half_precision_comes_out_in_single_and_double_stays_double() -> None:
    layer = Resampler(8000, 16000)
    for dtype, expected in ((torch.float16, torch.float32), (torch.float64, torch.float64)):
        assert run_whole(layer, Frames.whole(torch.randn(1, 50).to(dtype)), WHOLE).x.dtype == expected


def test_rates_that_are_not_above_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Resampler(0, 16000)


@pytest.mark.parametrize("rate", [16001, 44056, 1_000_003, 2**31 - 1])
def test_a_ratio_of_large_terms_is_refused_before_its_filter_is_built(rate: int) -> None:
    with pytest.raises(ValueError, match=r"in lowest terms, which takes too large a filter"):
        Resampler(rate, 16000)
