"""Log-mel features against the packages that define them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from asr_lab.audio.features.conventions import WHISPER_PEAK
from asr_lab.audio.features.log_mel import MelSpectrogramExtractor
from asr_lab.audio.features.normalisation import fresh_running_state, running_level
from asr_lab.streaming import WHOLE, Context, Frames, run_whole


def noise(samples: int, seed: int = 0) -> Tensor:
    """Noise whose loudness rises and falls, (S,)."""
    generator = torch.Generator().manual_seed(seed)
    envelope = 0.05 + torch.sin(torch.arange(samples) / 3000).abs()
    return 0.2 * envelope * torch.randn(samples, generator=generator)


def three_of(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix in (".flac", ".ogg", ".opus"))[:3]


def recordings(speech: Path) -> list[Tensor]:
    """Real speech at 16 kHz, from two corpora."""
    soundfile = pytest.importorskip("soundfile")
    files = [file for name in ("librispeech-test-other-excerpt", "fleurs-clips") for file in three_of(speech / name)]
    read = [soundfile.read(file, dtype="float32") for file in files]
    found = [torch.from_numpy(audio) for audio, rate in read if rate == 16000 and audio.ndim == 1]
    assert len(found) == 6
    return found


def assert_whisper(waveform: Tensor, num_mels: int = 80) -> None:
    whisper = pytest.importorskip("whisper.audio")
    expected = whisper.log_mel_spectrogram(waveform, n_mels=num_mels).T
    torch.testing.assert_close(
        MelSpectrogramExtractor.whisper_style(num_mels=num_mels)(waveform), expected, atol=1e-4, rtol=0
    )


def assert_kaldi(waveform: Tensor, sample_rate: int = 16000, num_mels: int = 80) -> None:
    kaldi = pytest.importorskip("torchaudio.compliance.kaldi")
    expected = kaldi.fbank(waveform[None], num_mel_bins=num_mels, sample_frequency=float(sample_rate), dither=0.0)
    actual = MelSpectrogramExtractor.kaldi_style(sample_rate, num_mels)(waveform)
    torch.testing.assert_close(actual, expected, atol=1e-3, rtol=0)


def test_whisper_style_is_openai_whispers_on_speech(speech: Path) -> None:
    for waveform in recordings(speech):
        assert_whisper(waveform)


@pytest.mark.parametrize("samples", [16000, 16001, 16159, 1000, 399, 201])
@pytest.mark.parametrize("num_mels", [80, 128])
def test_whisper_style_is_openai_whispers_at_any_length(samples: int, num_mels: int) -> None:
    assert_whisper(noise(samples), num_mels)


def test_whisper_style_is_openai_whispers_on_silence() -> None:
    assert_whisper(torch.zeros(4000))


def test_kaldi_style_is_torchaudios_on_speech(speech: Path) -> None:
    for waveform in recordings(speech):
        assert_kaldi(waveform)


@pytest.mark.parametrize("samples", [16000, 16079, 400, 559, 560])
def test_kaldi_style_is_torchaudios_at_any_length(samples: int) -> None:
    assert_kaldi(noise(samples))


def test_kaldi_style_is_torchaudios_at_8_khz() -> None:
    assert_kaldi(noise(8000), sample_rate=8000, num_mels=40)


def nemo_reference(waveform: Tensor, num_mels: int = 80) -> Tensor:
    """NeMo's FilterbankFeatures, written down from its published steps with torch.stft and torchaudio's filters."""
    functional = pytest.importorskip("torchaudio.functional")
    emphasised = torch.cat([waveform[:1], waveform[1:] - 0.97 * waveform[:-1]])
    window = torch.hann_window(400, periodic=False)
    spectrum = torch.stft(emphasised, 512, 160, 400, window, center=True, pad_mode="constant", return_complex=True)
    power = spectrum.abs().square()[:, : len(waveform) // 160]
    filters = functional.melscale_fbanks(257, 0.0, 8000.0, num_mels, 16000, norm="slaney", mel_scale="slaney")
    return torch.log(power.T @ filters + 2**-24)


@pytest.mark.parametrize("samples", [16000, 16159, 700])
def test_nemo_style_is_nemos_definition(samples: int) -> None:
    waveform = noise(samples)
    actual = MelSpectrogramExtractor.nemo_style(level="none")(waveform)
    torch.testing.assert_close(actual, nemo_reference(waveform), atol=1e-3, rtol=0)


def test_nemo_style_normalises_each_band_over_the_utterance() -> None:
    waveform = noise(16000)
    expected = nemo_reference(waveform)
    expected = (expected - expected.mean(0)) / (expected.std(0) + 1e-5)
    torch.testing.assert_close(MelSpectrogramExtractor.nemo_style()(waveform), expected, atol=2e-3, rtol=0)


def test_a_running_level_is_the_recursion_it_stands_for() -> None:
    x = 3 + 2 * torch.randn(2, 150, 5, dtype=torch.float64)
    frames = Frames.whole(x, torch.tensor([150, 70]))
    _, actual = running_level(
        fresh_running_state(x, 2, 5), frames, horizon_frames=40, prior_frames=7, prior_deviation=1.5
    )
    fade = torch.exp(torch.tensor(-1 / 40, dtype=torch.float64))
    for row, length in enumerate([150, 70]):
        weight, total, square = torch.zeros(3, 5, dtype=torch.float64)
        for t in range(length):
            weight, total, square = 1 + fade * weight, x[row, t] + fade * total, x[row, t] ** 2 + fade * square
            mean = total / weight
            variance = (square - weight * mean**2 + 7 * 1.5**2) / (weight + 7)
            torch.testing.assert_close(actual[row, t], (x[row, t] - mean) / variance.sqrt(), atol=1e-9, rtol=0)


def test_a_running_level_forgets_the_loudness_of_the_recording() -> None:
    running = MelSpectrogramExtractor.nemo_style(level="running")
    waveform = noise(48000)
    difference = running(0.1 * waveform) - running(waveform)
    assert float(difference.abs().mean()) < 0.02
    assert float(running(waveform).std()) == pytest.approx(1.0, abs=0.4)


def test_features_stay_in_single_precision_under_autocast() -> None:
    waveform = noise(16000)
    for extractor in (MelSpectrogramExtractor.whisper_style(), MelSpectrogramExtractor.kaldi_style()):
        expected = extractor(waveform)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            actual = extractor(waveform)
        assert actual.dtype == torch.float32
        assert torch.equal(actual, expected)


def test_half_precision_audio_is_computed_in_single_precision() -> None:
    assert MelSpectrogramExtractor.nemo_style()(noise(8000).half()).dtype == torch.float32


def test_a_waveform_may_be_one_or_a_batch() -> None:
    extractor = MelSpectrogramExtractor.whisper_style(floor="fixed")
    waveform = noise(8000)
    assert extractor(waveform).shape == (50, 80)
    assert extractor(torch.stack([waveform, waveform])).shape == (2, 50, 80)
    torch.testing.assert_close(extractor(torch.stack([waveform, noise(8000, 1)]))[0], extractor(waveform))


@pytest.mark.parametrize("style", ["whisper_style", "kaldi_style", "nemo_style"])
def test_recordings_shorter_than_a_window_give_what_there_is(style: str) -> None:
    extractor = getattr(MelSpectrogramExtractor, style)()
    for samples in (0, 1, 2, 159, 160, 199):
        features = extractor(noise(samples))
        assert features.shape == (0 if style == "kaldi_style" else samples // 160, 80)
        assert bool(features.isfinite().all())


def test_integer_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="floats"):
        MelSpectrogramExtractor.whisper_style()(torch.zeros(1000, dtype=torch.int16))


def test_cutting_what_needs_the_whole_utterance_is_refused_by_name() -> None:
    extractor = MelSpectrogramExtractor.whisper_style()
    assert extractor.hop_frames(Context(1600, 1600)) is None
    going_on = Frames(torch.zeros(1, 360), torch.tensor([360]), torch.tensor([False]))
    with pytest.raises(ValueError, match='floor = "utterance"'):
        extractor(extractor.initial_state(1, WHOLE), going_on, WHOLE)


@pytest.mark.parametrize("style", ["whisper_style", "kaldi_style", "nemo_style"])
def test_a_stream_gives_a_frame_as_soon_as_its_samples_are_there(style: str) -> None:
    extractor = getattr(MelSpectrogramExtractor, style)(floor="fixed", level="none")
    state, given = extractor.initial_state(1, WHOLE), []
    for piece in torch.split(noise(600)[None], 1, dim=1):
        chunk = Frames(piece, torch.tensor([1]), torch.tensor([False]))
        state, out = extractor(state, chunk, WHOLE)
        given.append(int(out.lengths))
    first = extractor.lookahead_frames + 160
    assert [i + 1 for i, count in enumerate(given) if count] == list(range(first, 601, 160))


def test_filters_that_no_frequency_falls_into_are_refused() -> None:
    with pytest.raises(ValueError, match="num_mels"):
        MelSpectrogramExtractor.kaldi_style(8000, 128)


def test_a_fixed_floor_is_whispers_own_at_the_loudness_it_assumes(speech: Path) -> None:
    fixed, own = MelSpectrogramExtractor.whisper_style(floor="fixed"), MelSpectrogramExtractor.whisper_style()
    for waveform in recordings(speech):
        peak = 4 * float(own(waveform).max()) - 4
        waveform = waveform * 10 ** ((WHISPER_PEAK - peak) / 2)
        torch.testing.assert_close(fixed(waveform), own(waveform), atol=1e-4, rtol=0)


def test_extremely_loud_and_silent_input_stays_finite() -> None:
    for style in ("whisper_style", "kaldi_style", "nemo_style"):
        for level in ("none", "utterance", "running"):
            extractor = getattr(MelSpectrogramExtractor, style)(level=level)
            for waveform in (torch.zeros(4000), 1e4 * noise(4000)):
                assert bool(extractor(waveform).isfinite().all())


def test_rows_of_one_batch_may_be_of_any_length() -> None:
    extractor = MelSpectrogramExtractor.nemo_style()
    rows = [noise(9000, 1), noise(4321, 2)]
    x = torch.stack([F.pad(row, (0, 9000 - len(row)), value=float("nan")) for row in rows])
    out = run_whole(extractor, Frames.whole(x, torch.tensor([9000, 4321])), WHOLE)
    for row, waveform in enumerate(rows):
        torch.testing.assert_close(out.x[row, : int(out.lengths[row])], extractor(waveform), atol=1e-4, rtol=0)
