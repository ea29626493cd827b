"""What every decoder owes, whichever file it stands in: padding, batch-mates and idle rows change nothing."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from asr_lab.nn.decoder import DecoderHead, SearchOptions, Targets
from asr_lab.slots.decoders import Decoder
from asr_lab.streaming import Frames

DIM, VOCAB = 32, 9
LENGTHS = torch.tensor([14, 0, 9, 20])
TEXTS = ((2, 3, 3), (), (4, 5, 6, 7), (8,))


def head_of(tag: str) -> DecoderHead:
    torch.manual_seed(0)
    head: DecoderHead = Decoder.choices()[tag]().build(DIM, VOCAB, 0.1).double().eval()
    return head


def batch(padding: float) -> tuple[Frames, Targets]:
    x = torch.randn(4, 20, DIM, generator=torch.Generator().manual_seed(1)).double()
    frames = Frames.whole(x, LENGTHS)
    tokens = torch.full((4, 4), 8 if math.isnan(padding) else 0)
    for row, text in enumerate(TEXTS):
        tokens[row, : len(text)] = torch.tensor(text, dtype=torch.int64)
    lengths = torch.tensor([len(t) for t in TEXTS])
    return frames.with_x(torch.where(frames.mask()[..., None], x, padding)), Targets(tokens, lengths)


@pytest.mark.parametrize("tag", Decoder.tags())
def test_padding_changes_no_loss_and_no_gradient(tag: str) -> None:
    results = []
    for padding in (0.0, math.nan):
        head = head_of(tag)
        frames, targets = batch(padding)
        x = frames.x.clone().requires_grad_()
        loss = head.loss(frames.with_x(x), targets)
        loss.sum().backward()
        assert x.grad is not None
        results.append([loss.detach(), x.grad, *(p.grad for p in head.parameters() if p.grad is not None)])
    for zeros, nans in zip(*results, strict=True):
        assert torch.equal(zeros, nans)
        assert bool(zeros.isfinite().all())


@torch.no_grad()
@pytest.mark.parametrize("tag", Decoder.tags())
def test_an_utterance_is_decoded_as_if_alone(tag: str) -> None:
    head = head_of(tag)
    frames, targets = batch(math.nan)
    losses = head.loss(frames, targets)
    for beam in (1, 3):
        found = head.search(frames, SearchOptions(beam=beam))
        for row, length in enumerate(LENGTHS.tolist()):
            lone = Frames.whole(frames.x[row : row + 1, :length])
            size = len(TEXTS[row])
            text = Targets(targets.tokens[row : row + 1, :size], targets.lengths[row : row + 1])
            torch.testing.assert_close(head.loss(lone, text)[0], losses[row], atol=1e-9, rtol=0)
            [hypotheses] = head.search(lone, SearchOptions(beam=beam))
            assert [h.tokens for h in hypotheses] == [h.tokens for h in found[row]]
            assert [h.score for h in hypotheses] == pytest.approx([h.score for h in found[row]], abs=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("tag", Decoder.tags())
def test_hypotheses_are_distinct_texts_best_first(tag: str) -> None:
    head = head_of(tag)
    frames, _ = batch(0.0)
    for row, hypotheses in enumerate(head.search(frames, SearchOptions(beam=3))):
        assert 1 <= len(hypotheses) <= 3
        assert len({h.tokens for h in hypotheses}) == len(hypotheses)
        assert all(a.score >= b.score for a, b in itertools.pairwise(hypotheses))
        assert all(1 < t < VOCAB for h in hypotheses for t in h.tokens)
        assert LENGTHS[row] > 0 or hypotheses[0].tokens == ()


@torch.no_grad()
@pytest.mark.parametrize("tag", Decoder.tags())
def test_a_score_is_the_loss_of_the_text(tag: str) -> None:
    head = head_of(tag)
    frames, targets = batch(0.0)
    torch.testing.assert_close(head.score(frames, targets), -head.loss(frames, targets))
