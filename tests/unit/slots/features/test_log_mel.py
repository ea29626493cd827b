"""The log-mel section."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from asr_lab.slots.features.log_mel import LogMel
from asr_lab.streaming import WHOLE, Frames, run_whole


def test_defaults_stream() -> None:
    assert LogMel().whole_because is None
    assert LogMel().dim == 80
    assert LogMel().frame_ms == 10


@pytest.mark.parametrize("convention", ["whisper", "kaldi", "nemo"])
def test_every_convention_streams_at_a_fixed_floor(convention: str) -> None:
    for level in ("none", "running"):
        section = LogMel(convention=convention, level=level)  # type: ignore[arg-type]
        assert section.whole_because is None
        assert section.build().ratio == Fraction(1, 160)


@pytest.mark.parametrize("key", ["floor", "level"])
def test_what_needs_the_whole_utterance_says_so_as_its_layer_does(key: str) -> None:
    section = LogMel(**{key: "utterance"})  # type: ignore[arg-type]
    assert section.whole_because is not None
    assert section.whole_because.key == key
    assert section.build().whole_because == section.whole_because.reason


def test_other_rates_and_hops_are_possible() -> None:
    section = LogMel(sample_rate=8000, num_mels=40, hop_ms=12.5)
    assert section.frame_ms == Fraction(25, 2)
    assert section.build().hop_samples == 100


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"sample_rate": 8000, "num_mels": 128, "convention": "kaldi"}, "num_mels"),
        ({"sample_rate": 11025}, "not a whole number"),
        ({"high_hz": 9000.0}, "do not fit"),
        ({"low_hz": 5000.0, "high_hz": 4000.0}, "do not fit"),
        ({"window_ms": 5.0}, "shorter than the hop"),
        ({"num_mels": 2}, "num_mels"),
    ],
)
def test_what_cannot_be_made_is_refused_when_the_recipe_is_read(keys: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LogMel(**keys)  # type: ignore[arg-type]


@pytest.mark.parametrize(("rate", "window_ms", "hop_ms"), [(16000, 25, 10), (8000, 32, 12.5), (16000, 20, 20)])
@pytest.mark.parametrize("convention", ["whisper", "kaldi", "nemo"])
def test_frames_are_counted_as_the_layer_gives_them(
    convention: str, rate: int, window_ms: float, hop_ms: float
) -> None:
    section = LogMel(convention=convention, sample_rate=rate, window_ms=window_ms, hop_ms=hop_ms, num_mels=20)  # type: ignore[arg-type]
    layer = section.build()
    around = sorted({n for k in (0, 1, 2, 3, 5) for n in (rate * k // 100 + d for d in (-1, 0, 1, 77)) if n > 0})
    samples = torch.tensor(around)
    frames = run_whole(layer, Frames.whole(torch.zeros(len(around), max(around)), samples), WHOLE)
    assert frames.lengths.tolist() == [section.num_frames(n) for n in around]
