"""Words of known texts in recordings whose truth is known to the sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from asr_lab.errors import DataError, LabError
from asr_lab.nn.ctc import viterbi
from asr_lab.recognition.alignment import Aligner, ctm_lines
from asr_lab.recognition.timed_word import TimedWord
from asr_lab.text.characters import CharacterTokenizer
from asr_lab.text.normalizer import Normalizer

MakeAligner = Callable[..., Aligner]


@pytest.fixture
def aligner(made_up: Callable[..., Any]) -> Callable[..., Aligner]:
    """The aligner of a made-up recogniser with these decoders."""

    def make(*kinds: str) -> Aligner:
        parts = made_up(*kinds)
        normalizer = Normalizer(["lower", "strip_punctuation"])
        return Aligner(parts.model, parts.features, parts.vocabulary, normalizer, sample_rate=parts.sample_rate)

    return make


def spoken(text: str, frames_each: int = 3, gap_frames: int = 2) -> Tensor:
    """Samples of a text: each token for some encoder frames, then blanks."""
    tokens = [t for token in CharacterTokenizer().encode(text) for t in [token] * frames_each + [0] * gap_frames]
    return torch.tensor(tokens).repeat_interleave(20) / 32


def test_words_are_where_they_were_said(aligner: MakeAligner) -> None:
    found = aligner("ctc").audio(torch.cat([torch.zeros(10 * 20), spoken("ab c")]), "Ab, c!")
    assert found.text == "ab c"
    assert [w.text for w in found.words] == ["ab", "c"]
    assert [(w.start_s, w.end_s) for w in found.words] == [
        pytest.approx((0.2, 0.2 + 8 * 0.02)),
        pytest.approx((0.2 + 15 * 0.02, 0.2 + 18 * 0.02)),
    ]
    assert all(0.5 < w.confidence < 1 for w in found.words)


def test_no_word_ends_after_the_recording(aligner: MakeAligner) -> None:
    audio = spoken("ab", gap_frames=0)[:-10]  # half of the last frame
    assert len(audio) == 110
    assert [w.end_s for w in aligner("ctc").audio(audio, "ab", start_s=7.0).words] == [7.11]


def test_times_count_from_where_the_stretch_begins(aligner: MakeAligner) -> None:
    found = aligner("ctc").audio(spoken("ab"), "ab", start_s=7.0)
    assert found.words[0].start_s == pytest.approx(7.0)


def test_a_text_that_was_not_spoken_is_less_probable(aligner: MakeAligner) -> None:
    model, audio = aligner("ctc"), spoken("nine")
    assert model.audio(audio, "five").mean_log_prob < model.audio(audio, "nine").mean_log_prob - 1


def test_the_ctc_decoder_is_found_behind_another(aligner: MakeAligner) -> None:
    assert aligner("attention", "ctc").reading.place == 1
    with pytest.raises(LabError, match=r"needs a CTC decoder.*\(have: attention\)"):
        aligner("attention")


@pytest.mark.parametrize(
    ("text", "message"),
    [("?!", "no words left"), ("ça", "U\\+00E7"), ("abcdefghijk", "10 frames of 20 ms cannot spell 11 tokens")],
)
def test_what_cannot_be_aligned_is_said(text: str, message: str, aligner: MakeAligner) -> None:
    with pytest.raises(DataError, match=message):
        aligner("ctc").audio(spoken("ab"), text)


def test_an_alignment_that_would_take_the_memory_of_a_machine_is_refused(
    monkeypatch: pytest.MonkeyPatch, aligner: MakeAligner
) -> None:
    monkeypatch.setattr(viterbi, "SMALL_CELLS", 0)
    monkeypatch.setattr(viterbi, "MAX_BYTES", 8)
    with pytest.raises(DataError, match=r"10 frames and 2 tokens are too many to align at once: .*; cut the recording"):
        aligner("ctc").audio(spoken("ab"), "ab")


def test_ctm_has_start_duration_and_confidence() -> None:
    words = [TimedWord("one", 0.5, 0.75, 0.98765), TimedWord("two", 1.0, 1.04, 1.0)]
    assert list(ctm_lines("my file", words, channel=2)) == [
        "my_file 2 0.500 0.250 one 0.9877",
        "my_file 2 1.000 0.040 two 1.0000",
    ]
