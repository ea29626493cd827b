"""Recordings in blocks against the same read at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from asr_lab.audio.reading import AudioError, Channel, read_audio
from asr_lab.recognition import audio_blocks as module
from asr_lab.recognition.audio_blocks import audio_blocks, cut_blocks


@pytest.fixture
def stereo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six seconds of two channels, which count as long."""
    monkeypatch.setattr(module, "LONG_S", 1.0)
    monkeypatch.setattr(module, "BLOCK_S", 0.7)
    audio = np.random.default_rng(0).normal(0, 0.1, (6 * 11025 + 7, 2))
    soundfile.write(tmp_path / "stereo.wav", audio, 11025, subtype="FLOAT")
    return tmp_path / "stereo.wav"


@pytest.mark.parametrize("rate", [11025, 16000])
@pytest.mark.parametrize("channel", [None, 1])
@pytest.mark.parametrize(
    ("start_s", "duration_s"), [(0.0, None), (0.0, 6.0), (1.2345, 3.7), (2.0, None), (5.9, 0.1), (3.0, 3.05)]
)
def test_the_blocks_are_what_is_read_at_once(
    stereo: Path, rate: int, channel: Channel, start_s: float, duration_s: float | None
) -> None:
    blocks = list(audio_blocks(stereo, rate, start_s, duration_s, channel))
    at_once = torch.from_numpy(read_audio(stereo, rate, start_s, duration_s, channel))
    torch.testing.assert_close(torch.cat(blocks), at_once, atol=1e-5, rtol=0)
    assert max(map(len, blocks)) <= 1.0 * rate + 1


@pytest.mark.parametrize(("start_s", "duration_s", "channel"), [(0.0, 60.0, None), (7.0, None, None), (0.0, None, 2)])
def test_what_is_not_there_is_refused_as_when_it_is_read_at_once(
    stereo: Path, start_s: float, duration_s: float | None, channel: Channel
) -> None:
    with pytest.raises(AudioError) as at_once:
        read_audio(stereo, 16000, start_s, duration_s, channel)
    with pytest.raises(AudioError) as in_blocks:
        list(audio_blocks(stereo, 16000, start_s, duration_s, channel))
    assert str(in_blocks.value) == str(at_once.value)


def test_samples_are_cut_without_loss() -> None:
    samples = torch.arange(35.0)
    assert torch.equal(torch.cat(list(cut_blocks(samples, 1))), samples)
