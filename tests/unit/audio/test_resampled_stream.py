"""A stream at another rate is the whole at that rate, whatever sizes its blocks have."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from asr_lab.audio.resampled_stream import ResampledStream
from asr_lab.audio.resampling import refused_rates, resample
from asr_lab.errors import DataError

PAIRS = [(48000, 16000), (44100, 16000), (8000, 16000), (16000, 8000), (22050, 8000), (47952, 16000), (16000, 16000)]


def joined(stream: ResampledStream, audio: np.ndarray, cuts: list[int]) -> np.ndarray:
    blocks = [stream.push(block) for block in torch.from_numpy(audio).tensor_split(cuts)]
    return torch.cat([*blocks, stream.finish()]).numpy()


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_any_sizes_of_blocks_give_the_samples_of_the_whole(from_hz: int, to_hz: int) -> None:
    rng = np.random.default_rng(from_hz + to_hz)
    audio = rng.normal(size=6000).astype(np.float32)
    whole = resample(audio, from_hz, to_hz)
    for count in (0, 1, 7, 60):
        cuts = sorted(rng.integers(0, len(audio) + 1, count).tolist())  # empty blocks too
        found = joined(ResampledStream(from_hz, to_hz), audio, cuts)
        np.testing.assert_allclose(found, whole, atol=1e-5)


def test_streams_of_one_filter_do_not_notice_each_other() -> None:
    rng = np.random.default_rng(0)
    one, other = (rng.normal(size=900).astype(np.float32) for _ in range(2))
    streams = ResampledStream(44100, 16000), ResampledStream(44100, 16000)
    found: tuple[list[torch.Tensor], ...] = [], []
    for start in range(0, 900, 300):
        for place, audio in enumerate((one, other)):
            found[place].append(streams[place].push(torch.from_numpy(audio[start : start + 300])))
    for audio, stream, blocks in zip((one, other), streams, found, strict=True):
        whole = torch.cat([*blocks, stream.finish()]).numpy()
        np.testing.assert_allclose(whole, resample(audio, 44100, 16000), atol=1e-5)


@pytest.mark.parametrize("samples", [0, 1, 2])
def test_next_to_nothing_gives_that(samples: int) -> None:
    assert len(joined(ResampledStream(8000, 16000), np.ones(samples, np.float32), [])) == 2 * samples


@pytest.mark.parametrize("rate", [0, -1, 999, 768_001, 2**31 - 1])
def test_a_rate_that_no_recording_has_is_refused(rate: int) -> None:
    with pytest.raises(DataError, match="1,000 to 768,000 Hz can be resampled"):
        ResampledStream(rate, 16000)
    assert ResampledStream(500, 500).push(torch.ones(3)).tolist() == [1, 1, 1]


def test_a_ratio_of_large_terms_is_refused_with_the_way_out() -> None:
    with pytest.raises(DataError, match=r"44,056 Hz to 16,000 Hz is 5,507 : 2,000 in lowest terms.* give a usual rate"):
        ResampledStream(44056, 16000)
    assert refused_rates(44056, 16000) == ""  # a whole recording takes a filter as long as one term
    assert "767,999 : 16,000" in refused_rates(767_999, 16000)
