"""The decoders' sections: what they build, and a hybrid of both decoding jointly."""

from __future__ import annotations

import math

import pytest
import torch

from asr_lab.models.decode_options import DecodeOptions
from asr_lab.models.model import SpeechModel
from asr_lab.nn.attention_decoder.head import AttentionDecoderHead
from asr_lab.nn.decoder import DecoderHead, Hypothesis, SearchOptions, Targets
from asr_lab.slots.decoders import Decoder
from asr_lab.slots.decoders.attention import AttentionDecoder
from asr_lab.slots.decoders.ctc import CTC
from asr_lab.streaming import Chain, Context, Frames, Streamable

DIM, VOCAB = 16, 6
SMALL = {"ctc": CTC(), "attention": AttentionDecoder(num_layers=1, num_heads=2, max_tokens=8)}


class Identity(Streamable[tuple[()]]):
    """Frames as they are."""

    def initial_state(self, batch: int, context: Context) -> tuple[()]:
        return ()

    def forward(self, state: tuple[()], chunk: Frames, context: Context) -> tuple[tuple[()], Frames]:
        return state, chunk


@pytest.mark.parametrize("tag", Decoder.tags())
def test_the_kind_is_the_tag(tag: str) -> None:
    assert SMALL[tag].build(DIM, VOCAB, 0.1).kind == tag


@pytest.mark.parametrize("tag", Decoder.tags())
def test_logits_run_without_memory(tag: str) -> None:
    with torch.device("meta"):
        head = SMALL[tag].build(DIM, VOCAB, 0.1)
        targets = Targets(torch.zeros(2, 3, dtype=torch.int64), torch.full((2,), 3))
        logits = head.logits(Frames.whole(torch.zeros(2, 5, DIM)), targets)
    assert logits.shape == ((2, 5, VOCAB) if tag == "ctc" else (2, 4, VOCAB))


@pytest.mark.parametrize("tag", Decoder.tags())
def test_biases_and_norms_are_called_so(tag: str) -> None:
    for name, parameter in SMALL[tag].build(DIM, VOCAB, 0.1).named_parameters():
        assert (parameter.ndim == 1) == (name.endswith(".bias") or "norm" in name)


def test_dimensions_that_do_not_fit_are_told() -> None:
    assert AttentionDecoder(num_heads=3).dim_problems(16) == [("num_heads", "must divide encoder.dim = 16, got 3")]
    assert AttentionDecoder().dim_problems(16) == []
    odd = AttentionDecoder(num_heads=1, positions="sinusoidal").dim_problems(15)
    assert odd == [("positions", "needs an even encoder.dim, got 15")]
    assert AttentionDecoder(num_heads=1).dim_problems(15) == []


def test_what_a_decoder_cannot_learn_does_not_fit() -> None:
    assert CTC().fits(3, [2, 2])
    assert not CTC().fits(2, [2, 2])
    assert not CTC().fits(0, [])
    assert AttentionDecoder(max_tokens=3).fits(1, [2, 2, 2])
    assert not AttentionDecoder(max_tokens=3).fits(9, [2, 2, 2, 2])
    assert not AttentionDecoder().fits(0, [2])


def hybrid() -> tuple[SpeechModel, DecoderHead, DecoderHead]:
    torch.manual_seed(0)
    ctc, attention = (SMALL[k].build(DIM, VOCAB, 0.0) for k in ("ctc", "attention"))
    for p in [*ctc.parameters(), *attention.parameters()]:
        torch.nn.init.normal_(p, std=0.5)
    model = SpeechModel(Chain([Identity()]), [ctc, attention], [0.3, 0.7], [1, 1], vocab_size=VOCAB).eval()
    return model, ctc, attention


@torch.no_grad()
def test_joint_decoding_rescores_attention_with_ctc() -> None:
    model, ctc, attention = hybrid()
    frames = Frames.whole(torch.randn(3, 30, DIM), torch.tensor([30, 20, 0]))
    options = SearchOptions(beam=4)
    found = model.search(frames, DecodeOptions(decoder="joint", beam=4, ctc_weight=0.4))
    for row, hypotheses in enumerate(found):
        lone = Frames.whole(frames.x[row : row + 1, : frames.lengths[row]])
        expected: dict[tuple[int, ...], float] = {}
        for h in attention.search(lone, options)[0]:
            targets = Targets(torch.tensor([h.tokens], dtype=torch.int64), torch.tensor([len(h.tokens)]))
            # Both are divided by the same length, or the weights would mean another thing for each length.
            length = (len(h.tokens) + 1) ** options.length_penalty
            expected[h.tokens] = 0.6 * h.score + 0.4 * ctc.score(lone, targets).item() / length
        assert {h.tokens: pytest.approx(h.score, abs=1e-4) for h in hypotheses} == expected
        assert hypotheses[0].score > -math.inf
        assert [h.score for h in hypotheses] == sorted((h.score for h in hypotheses), reverse=True)


@torch.no_grad()
def test_rescoring_scores_ctc_hypotheses_with_attention() -> None:
    model, ctc, attention = hybrid()
    frames = Frames.whole(torch.randn(3, 7, DIM), torch.tensor([7, 5, 0]))
    options = SearchOptions(beam=4)
    found = model.search(frames, DecodeOptions(decoder="rescoring", beam=4, ctc_weight=0.4))
    for row, hypotheses in enumerate(found):
        lone = Frames.whole(frames.x[row : row + 1, : frames.lengths[row]])
        expected: dict[tuple[int, ...], float] = {}
        for h in ctc.search(lone, options)[0]:
            targets = Targets(torch.tensor([h.tokens], dtype=torch.int64), torch.tensor([len(h.tokens)]))
            length = (len(h.tokens) + 1) ** options.length_penalty
            expected[h.tokens] = (0.6 * attention.score(lone, targets).item() + 0.4 * h.score) / length
        assert {h.tokens: pytest.approx(h.score, abs=1e-4) for h in hypotheses} == expected
        assert [h.score for h in hypotheses] == sorted((h.score for h in hypotheses), reverse=True)


@torch.no_grad()
def test_rescoring_puts_what_attention_cannot_give_behind_the_rest_in_the_order_of_ctc() -> None:
    model, ctc, attention = hybrid()
    assert isinstance(attention, AttentionDecoderHead)
    frames = Frames.whole(torch.randn(1, 7, DIM))
    found = [h.tokens for h in ctc.search(frames, SearchOptions(beam=6))[0]]
    attention.max_tokens = sorted(len(tokens) for tokens in found)[1]
    too_long = [tokens for tokens in found if len(tokens) > attention.max_tokens]
    [rescored] = model.search(frames, DecodeOptions(decoder="rescoring", beam=6))
    assert too_long
    assert [h.tokens for h in rescored][-len(too_long) :] == too_long
    assert rescored[0].tokens not in too_long


@torch.no_grad()
def test_joint_decoding_without_ctc_is_attention_even_for_what_ctc_cannot_align() -> None:
    model, _, attention = hybrid()
    frames = Frames.whole(torch.randn(2, 3, DIM), torch.tensor([3, 1]))
    found = model.search(frames, DecodeOptions(decoder="joint", beam=4, ctc_weight=0.0))
    assert found == attention.search(frames, SearchOptions(beam=4))


@torch.no_grad()
def test_the_best_joint_hypothesis_is_what_is_transcribed() -> None:
    model, _, _ = hybrid()
    features = torch.randn(2, 12, DIM)
    decode = DecodeOptions(decoder="joint", beam=3)
    [first, second] = model.search(Frames.whole(features), decode)
    assert model.transcribe(features, decode=decode) == [list(first[0].tokens), list(second[0].tokens)]
    assert isinstance(first[0], Hypothesis)
