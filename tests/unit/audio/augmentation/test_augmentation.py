"""Augmentations do what they say, and draw from keys alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from asr_lab.audio.augmentation import Augmentation, Augmentations
from asr_lab.audio.augmentation.noise import AdditiveNoise, coloured_noise
from asr_lab.audio.augmentation.spec_augment import SpecMasks
from asr_lab.audio.augmentation.speed import SpeedPerturbation
from asr_lab.audio.augmentation.volume import VolumePerturbation
from asr_lab.audio.keyed_random import fraction, generator, mix, mixed, uniform
from asr_lab.errors import DataError
from asr_lab.slots.augments import Augment

RATE = 16000
KEYS = mix(np.arange(2000, dtype=np.uint64), 7)


def tone() -> np.ndarray:
    return (0.1 * np.sin(np.arange(RATE) * 0.2)).astype(np.float32)


def everything() -> Augmentations:
    return Augmentations(
        [
            SpeedPerturbation([0.9, 1.0, 1.1]),
            VolumePerturbation((-6, 6)),
            AdditiveNoise((10, 20), 1.0),
            SpecMasks(2, 27, 10, 0.05),
        ]
    )


def test_a_key_draws_the_same_whatever_was_drawn_before() -> None:
    augmentation = everything()
    first = augmentation.waveform(tone(), RATE, 5)
    augmentation.waveform(tone(), RATE, 6)
    assert np.array_equal(first, everything().waveform(tone(), RATE, 5))
    assert not np.array_equal(first, everything().waveform(tone(), RATE, 6)[: len(first)])


def test_lengths_after_speed_are_those_the_plan_counts_with() -> None:
    augmentation = everything()
    factors = augmentation.duration_factors(KEYS[:50])
    assert len(np.unique(factors)) == 3
    for key, factor in zip(KEYS[:50].tolist(), factors, strict=True):
        assert abs(len(augmentation.waveform(tone(), RATE, key)) - RATE * factor) <= 1


def test_all_speeds_come_equally_often() -> None:
    factors = SpeedPerturbation([0.9, 1.0, 1.1]).duration_factors(KEYS)
    _, counts = np.unique(factors, return_counts=True)
    assert counts.min() > 600
    assert counts.max() < 740


def test_faster_speech_is_higher() -> None:
    faster = SpeedPerturbation([1.1]).waveform(tone(), RATE, 0)
    wanted = 0.1 * np.sin(np.arange(len(faster)) * 0.2 * 1.1)
    assert np.abs(faster - wanted)[200:-200].max() < 1e-3


def test_the_gain_lies_in_its_range() -> None:
    gains = [VolumePerturbation((-6, 3)).waveform(tone(), RATE, k).max() / tone().max() for k in range(100)]
    gains_db = 20 * np.log10(gains)
    assert gains_db.min() > -6.001
    assert gains_db.max() < 3.001
    assert np.ptp(gains_db) > 7


def test_noise_is_added_at_the_drawn_level_and_as_often_as_asked() -> None:
    noisy = 0
    for key in KEYS[:300].tolist():
        added = AdditiveNoise((5, 15), 0.5).waveform(tone(), RATE, key) - tone()
        if added.any():
            noisy += 1
            snr_db = 10 * np.log10(np.mean(tone() ** 2) / np.mean(added**2))
            assert 4.9 < snr_db < 15.1
    assert 120 < noisy < 180


@pytest.mark.parametrize("colour", [0.0, 1.0, 2.0])
def test_the_colour_is_the_slope_of_the_spectrum(colour: float) -> None:
    noise = coloured_noise(2**16, colour, generator(3))
    power = np.abs(np.fft.rfft(noise)) ** 2
    bands = [power[2**i : 2 ** (i + 1)].mean() for i in range(5, 15)]
    slope = np.polyfit(np.arange(len(bands)), np.log2(bands), 1)[0]
    assert abs(slope + colour) < 0.15


def test_recorded_noise_comes_from_the_folder(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    hum = (0.5 * np.sin(np.arange(8000) * 0.5)).astype(np.float32)
    soundfile.write(tmp_path / "deep" / "hum.wav", hum, RATE)
    added = AdditiveNoise((0, 0), 1.0, recordings=tmp_path).waveform(tone(), RATE, 1) - tone()
    assert abs(np.argmax(np.abs(np.fft.rfft(added))) - 0.5 / (2 * np.pi) * RATE) < 2
    with pytest.raises(DataError, match="no recordings"):
        AdditiveNoise((0, 0), 1.0, recordings=tmp_path / "none")


def test_silence_stays_silence_under_noise() -> None:
    silence = np.zeros(100, dtype=np.float32)
    assert not AdditiveNoise((0, 10), 1.0).waveform(silence, RATE, 1).any()


def masked(lengths: list[int], keys: list[int], frames: int = 400, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    x = torch.arange(frames * 80, dtype=dtype).reshape(1, frames, 80).repeat(len(lengths), 1, 1)
    return SpecMasks(2, 27, 10, 0.05).features(x, torch.tensor(lengths), keys)


def test_masks_cover_no_more_than_they_may() -> None:
    x = torch.arange(400 * 80, dtype=torch.float32).reshape(400, 80)
    covered_bins, covered_frames = [], []
    for key in range(200):
        changed = masked([400], [key])[0] != x
        bins, times = changed.all(dim=0), changed.all(dim=1)
        assert torch.equal(changed, bins[None, :] | times[:, None])
        covered_bins.append(int(bins.sum()))
        covered_frames.append(int(times.sum()))
    assert max(covered_bins) <= 54
    assert max(covered_frames) <= 200
    assert 20 < np.mean(covered_bins) < 27  # 2 x 13.5, less what overlaps
    assert 60 < np.mean(covered_frames) < 100  # 10 x 10, less what overlaps


def test_masks_depend_on_the_row_alone() -> None:
    both = masked([400, 300], [11, 12])
    assert torch.equal(both[1], masked([300], [12])[0])
    assert not torch.equal(both[0], both[1])


def test_spec_augment_neither_reads_nor_writes_padding() -> None:
    x = torch.randn(2, 100, 80)
    x[1, 60:] = torch.nan
    out = SpecMasks(2, 27, 10, 0.1).features(x, torch.tensor([100, 60]), [1, 2])
    assert out[1, 60:].isnan().all()
    assert out[1, :60].isfinite().all()
    again = SpecMasks(2, 27, 10, 0.1).features(x[1:, :60], torch.tensor([60]), [2])
    assert torch.allclose(out[1, :60], again[0], atol=1e-6)


def test_hidden_values_are_the_mean() -> None:
    x = torch.randn(1, 200, 80) + 5
    out = SpecMasks(2, 27, 10, 0.05).features(x, torch.tensor([200]), [4])
    hidden = out[out != x]
    assert len(hidden)
    assert torch.allclose(hidden, x.mean())


def test_two_of_a_kind_draw_differently() -> None:
    twice = Augmentations([VolumePerturbation((-6, 6)), VolumePerturbation((-6, 6))])
    gain = twice.waveform(tone(), RATE, 1).max() / tone().max()
    once = VolumePerturbation((-6, 6)).waveform(tone(), RATE, int(mix(1, 0)[0])).max() / tone().max()
    assert not np.isclose(gain, once**2)


@pytest.mark.parametrize("tag", Augment.tags())
def test_every_section_builds_with_its_defaults(tag: str) -> None:
    choice = Augment.choices()[tag]
    assert isinstance(choice, type)
    assert issubclass(choice, Augment)
    built = choice().build()
    assert isinstance(built, Augmentation)
    frames = torch.randn(1, 50, 80)
    assert built.features(frames, torch.tensor([50]), [1]).shape == frames.shape
    assert built.waveform(tone(), RATE, 1).dtype == np.float32


@pytest.mark.parametrize(
    ("tag", "settings", "hint"),
    [
        ("speed", {"factors": (0.1,)}, "between 0.5 and 2"),
        ("speed", {"factors": ()}, "factors"),
        ("volume", {"gain_db": (3.0, 1.0)}, "must rise within -60 and 60"),
        ("noise", {"probability": 1.5}, "probability"),
        ("tempo", {"factors": (2.5,)}, "between 0.5 and 2"),
        ("reverb", {"t60_s": (0.6, 0.1)}, "must rise within 0.05 and 2"),
        ("reverb", {"room_m": (1.0, 5.0)}, "must rise within 2 and 50"),
        ("codec", {"codecs": ()}, "codecs"),
        ("codec", {"compression": (0.5, 1.5)}, "must rise within 0 and 1"),
        ("bandwidth", {"sample_rates": (8000, 50)}, "rates of 1,000 to 48,000 Hz, got 50"),
        ("spec_augment", {"max_time_share": 2.0}, "max_time_share"),
    ],
)
def test_nonsense_is_refused(tag: str, settings: dict[str, object], hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        Augment.choices()[tag](**settings)


def test_draws_are_spread_evenly_and_do_not_repeat() -> None:
    keys = mix(np.arange(100_000, dtype=np.uint64), 1, 2)
    assert len(np.unique(keys)) == len(keys)
    shares = np.histogram(uniform(keys), bins=10, range=(0, 1))[0] / len(keys)
    assert np.abs(shares - 0.1).max() < 0.005
    assert not np.array_equal(mix(keys, 1, 2), mix(keys, 2, 1))


def test_single_keys_are_mixed_like_many() -> None:
    for salts in ((), (0,), (1, 2), (2**64 - 1,), (-3, 5)):
        assert [mixed(k, *salts) for k in KEYS[:50].tolist()] == mix(KEYS[:50], *salts).tolist()
    assert [fraction(k) for k in KEYS[:50].tolist()] == uniform(KEYS[:50]).tolist()
