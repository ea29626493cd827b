"""Words of known texts in recordings whose truth is known to the sample."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from asr_lab.errors import DataError, LabError
from asr_lab.evaluation import forced_alignment
from asr_lab.evaluation.forced_alignment import Aligner, HeardWord, ctm_lines
from asr_lab.models.model import SpeechModel
from asr_lab.nn.ctc import CTCHead
from asr_lab.nn.decoding import DecoderHead
from asr_lab.streaming import Chain, Context, Frames, Streamable
from asr_lab.text.steps import Normalizer
from asr_lab.tokenizers.chars import CharacterTokenizer

RATE, HOP = 1000, 10
"""Samples per second, and per feature frame; the encoder halves the frames, so one of its lasts 20 ms."""
VOCAB = 32


class Nothing(NamedTuple):
    pass


class FirstSampleIsToken(Streamable[Nothing]):
    """Features of every tenth sample that say which token it is."""

    ratio = Fraction(1, HOP)

    def initial_state(self, batch: int, context: Context) -> Nothing:
        return Nothing()

    def forward(self, state: Nothing, chunk: Frames, context: Context) -> tuple[Nothing, Frames]:
        tokens = (chunk.valid()[:, ::HOP] * VOCAB).round().long()
        return state, Frames(F.one_hot(tokens, VOCAB).float(), chunk.lengths // HOP, chunk.final)


class EverySecond(Streamable[Nothing]):
    ratio = Fraction(1, 2)

    def initial_state(self, batch: int, context: Context) -> Nothing:
        return Nothing()

    def forward(self, state: Nothing, chunk: Frames, context: Context) -> tuple[Nothing, Frames]:
        return state, Frames(chunk.x[:, ::2], (chunk.lengths + 1) // 2, chunk.final)


def aligner(*kinds: str) -> Aligner:
    ctc = CTCHead(VOCAB, VOCAB)
    with torch.no_grad():
        ctc.output.weight.copy_(torch.eye(VOCAB))
        ctc.output.bias.zero_()
    other = DecoderHead()
    other.kind = "attention"
    heads: list[DecoderHead] = [ctc if kind == "ctc" else other for kind in kinds]
    model = SpeechModel(Chain([EverySecond()]), heads, [1.0] * len(heads), [1] * len(heads), vocab_size=VOCAB)
    return Aligner(
        model, FirstSampleIsToken(), CharacterTokenizer(), Normalizer(["lower", "strip_punctuation"]), sample_rate=RATE
    )


def said(text: str, frames_each: int = 3, gap_frames: int = 2) -> Tensor:
    """Samples of a text: each token for some encoder frames, then blanks."""
    tokens = [t for token in CharacterTokenizer().encode(text) for t in [token] * frames_each + [0] * gap_frames]
    return torch.tensor(tokens).repeat_interleave(2 * HOP) / VOCAB


def test_words_are_where_they_were_said() -> None:
    found = aligner("ctc").audio(torch.cat([torch.zeros(10 * 20), said("ab c")]), "Ab, c!")
    assert found.text == "ab c"
    assert [w.word for w in found.words] == ["ab", "c"]
    assert [(w.start_s, w.end_s) for w in found.words] == [
        pytest.approx((0.2, 0.2 + 8 * 0.02)),
        pytest.approx((0.2 + 15 * 0.02, 0.2 + 18 * 0.02)),
    ]
    assert all(0.5 < w.confidence < 1 for w in found.words)


def test_times_count_from_where_the_stretch_begins() -> None:
    found = aligner("ctc").audio(said("ab"), "ab", start_s=7.0)
    assert found.words[0].start_s == pytest.approx(7.0)


def test_a_text_that_was_not_said_is_less_probable() -> None:
    hears, audio = aligner("ctc"), said("nine")
    assert hears.audio(audio, "five").mean_log_prob < hears.audio(audio, "nine").mean_log_prob - 1


def test_the_ctc_decoder_is_found_behind_another() -> None:
    assert aligner("attention", "ctc").reading.index == 1
    with pytest.raises(LabError, match=r"needs a CTC decoder.*\(have: attention\)"):
        aligner("attention")


@pytest.mark.parametrize(
    ("text", "message"),
    [("?!", "no words left"), ("ça", "U\\+00E7"), ("abcdefghijk", "10 frames of 20 ms cannot spell 11 tokens")],
)
def test_what_cannot_be_aligned_is_said(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        aligner("ctc").audio(said("ab"), text)


def test_an_alignment_that_would_take_the_memory_of_a_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forced_alignment, "MAX_CELLS", 49)
    with pytest.raises(DataError, match="too many to align"):
        aligner("ctc").audio(said("ab"), "ab")


def test_ctm_has_start_duration_and_confidence() -> None:
    words = [HeardWord("one", 0.5, 0.75, 0.98765), HeardWord("two", 1.0, 1.04, 1.0)]
    assert list(ctm_lines("my file", words, channel=2)) == [
        "my_file 2 0.500 0.250 one 0.9877",
        "my_file 2 1.000 0.040 two 1.0000",
    ]
