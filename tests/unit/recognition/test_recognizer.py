"""Recordings of any length to text and word times."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from made_up import EverySecond, SampleIsToken

from asr_lab.audio.reading import AudioError
from asr_lab.models.model import SpeechModel
from asr_lab.nn.ctc.head import CTCHead
from asr_lab.nn.decoder import DecoderHead
from asr_lab.recognition.recognizer import Recognizer, quietest_cut, read_pieces
from asr_lab.slots.tokenizers.chars import Chars
from asr_lab.streaming import Chain

RATE = 100
"""The made-up recordings' samples per second: a feature frame each, 10 ms."""


class Mute(DecoderHead):
    """Says nothing."""

    kind = "mute"


def recognizer(window_s: float = 30.0, with_ctc: bool = True) -> Recognizer:
    vocabulary = Chars(alphabet=" abcdefghijklmnopqrstuvwxyz").build(None)
    head = CTCHead(32, 32)
    with torch.no_grad():
        head.output.weight.copy_(torch.eye(32))
        head.output.bias.zero_()
    heads = [head] if with_ctc else [Mute()]
    model = SpeechModel(Chain([EverySecond()]), heads, [1.0], [1], vocab_size=32)
    return Recognizer(model, SampleIsToken(32), vocabulary, sample_rate=RATE, frame_ms=Fraction(10), window_s=window_s)


def write(path: Path, tokens: list[int]) -> Path:
    soundfile.write(path, np.array(tokens, dtype=np.float32) / 32, RATE, subtype="FLOAT")
    return path


def spoken(model: Recognizer, text: str, each: int = 4, gap: int = 2) -> list[int]:
    """Samples of a text: every token `each` samples long, then `gap` blanks."""
    return [s for token in model.vocabulary.encode(text) for s in [token] * each + [0] * gap]


def test_words_have_the_times_they_were_spoken_at(tmp_path: Path) -> None:
    model = recognizer()
    path = write(tmp_path / "a.wav", [0] * 10 + spoken(model, "ab c"))
    (segment,) = model.file(path, with_words=True).segments
    assert segment.text == "ab c"
    assert segment.words is not None
    ab, c = segment.words
    assert (ab.text, c.text) == ("ab", "c")
    assert (ab.start_s, ab.end_s) == pytest.approx((0.10, 0.20))
    assert (c.start_s, c.end_s) == pytest.approx((0.28, 0.32))
    assert 0.5 < ab.confidence <= 1


def test_long_recordings_are_decoded_whole_and_in_place(tmp_path: Path) -> None:
    model = recognizer(window_s=2.0)
    words = ["one", "four", "nine", "three", "zero"] * 3
    (space,) = model.vocabulary.encode("a b")[1:2]
    samples = [s for word in words for s in [*spoken(model, word), *[0] * 20, *[space] * 2, *[0] * 20]]
    path = write(tmp_path / "long.wav", samples)
    segments = model.file(path, with_words=True).segments
    assert len(segments) > 3
    assert " ".join(s.text for s in segments if s.text) == " ".join(words)
    assert [a.end_s for a in segments[:-1]] == pytest.approx([b.start_s for b in segments[1:]])
    assert segments[-1].end_s == pytest.approx(len(samples) / RATE)
    found = [w for s in segments for w in s.words or ()]
    starts = np.cumsum([0, *(len(w) * 6 + 42 for w in words)])[:-1] / RATE
    assert [w.start_s for w in found] == pytest.approx(starts, abs=0.011)


def test_pieces_together_are_the_recording(tmp_path: Path) -> None:
    audio = np.random.default_rng(0).normal(size=44100 * 7).astype(np.float32) / 10
    path = tmp_path / "a.wav"
    soundfile.write(path, audio, 44100, subtype="FLOAT")
    pieces = list(read_pieces(path, 44100, 2.0))
    assert all(len(p.audio) <= 2 * 44100 for p in pieces)
    assert np.array_equal(np.concatenate([p.audio for p in pieces]), audio)
    resampled = list(read_pieces(path, 16000, 2.0))
    assert sum(len(p.audio) for p in resampled) == pytest.approx(16000 * 7, abs=len(resampled))


def test_a_cut_is_made_where_it_is_quiet() -> None:
    audio = np.ones(1000, dtype=np.float32)
    audio[200:260] = 0
    audio[700:760] = 0.01
    assert 700 <= quietest_cut(audio, 100) <= 760


def test_silence_and_scraps_are_decoded_as_nothing(tmp_path: Path) -> None:
    model = recognizer()
    for length in (1, 2, 5000):
        segments = model.file(write(tmp_path / "x.wav", [0] * length), with_words=True).segments
        assert {s.text for s in segments} == {""}
        assert {s.words for s in segments} == {()}


def test_a_file_that_is_not_audio_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_text("no")
    with pytest.raises(AudioError, match=r"x\.wav"):
        recognizer().file(path)


def test_a_model_without_ctc_says_why_it_has_no_times() -> None:
    assert recognizer().no_times_because == ""
    model = recognizer(with_ctc=False)
    assert "no CTC" in model.no_times_because
