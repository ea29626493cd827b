"""Texts whose beginning is given: a search has no choice in it, and goes on from it as if it had found it itself."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from asr_lab.nn.attention_decoder.beam_search import Opening
from asr_lab.nn.attention_decoder.head import AttentionDecoderHead
from asr_lab.nn.decoder import Hypothesis, SearchOptions, Targets
from asr_lab.streaming import Frames

DIM, VOCAB, MAX_TOKENS = 16, 9, 8


@pytest.fixture(scope="module")
def head() -> AttentionDecoderHead:
    torch.manual_seed(0)
    head = AttentionDecoderHead(DIM, VOCAB, num_layers=2, max_tokens=MAX_TOKENS)
    for p in head.parameters():  # livelier than fresh weights, whose texts are all alike
        torch.nn.init.normal_(p, std=0.4)
    return head.double().eval()


@pytest.fixture(scope="module")
def frames() -> Frames:
    x = torch.randn(4, 9, DIM, generator=torch.Generator().manual_seed(1)).double()
    return Frames.whole(x, torch.tensor([5, 9, 3, 7]))


def opening(texts: Sequence[Sequence[int]], then: Sequence[int] = range(VOCAB)) -> Opening:
    tokens = torch.zeros(len(texts), max(len(t) for t in texts), dtype=torch.int64)
    for row, text in enumerate(texts):
        tokens[row, : len(text)] = torch.tensor(text, dtype=torch.int64)
    follows = torch.zeros(VOCAB, dtype=torch.bool)
    follows[list(then)] = True
    return Opening(tokens, torch.tensor([len(t) for t in texts]), follows)


def search(
    head: AttentionDecoderHead, frames: Frames, beam: int, opened: Opening | None = None
) -> list[list[Hypothesis]]:
    return head.search(frames, SearchOptions(beam=beam), opened)


@torch.no_grad()
def log_prob(head: AttentionDecoderHead, frames: Frames, row: int, tokens: Sequence[int]) -> float:
    targets = Targets(torch.tensor([tokens], dtype=torch.int64), torch.tensor([len(tokens)]))
    return -float(head.loss(frames.rows(torch.tensor([row])), targets))


@pytest.mark.parametrize("beam", [1, 3])
def test_behind_its_own_beginning_a_search_finds_what_it_found(
    head: AttentionDecoderHead, frames: Frames, beam: int
) -> None:
    free = search(head, frames, 1)
    texts = [hypotheses[0].tokens for hypotheses in free]
    assert max(map(len, texts)) > 3
    for count in (0, 1, 3):
        found = search(head, frames, beam, opening([text[:count] for text in texts]))
        for row, hypotheses in enumerate(found):
            assert all(h.tokens[:count] == texts[row][:count] for h in hypotheses)
            if beam == 1:
                assert hypotheses[0].tokens == texts[row]
                assert hypotheses[0].score == pytest.approx(free[row][0].score, abs=1e-5)


@pytest.mark.parametrize("beam", [1, 3])
def test_a_given_beginning_counts_in_the_score(head: AttentionDecoderHead, frames: Frames, beam: int) -> None:
    given = [(7, 2), (3,), (), (4, 4, 5)]
    for row, hypotheses in enumerate(search(head, frames, beam, opening(given))):
        assert hypotheses
        for one in hypotheses:
            assert one.tokens[: len(given[row])] == given[row]
            wanted = log_prob(head, frames, row, one.tokens) / (len(one.tokens) + 1) ** 0.6
            assert one.score == pytest.approx(wanted, abs=1e-5)


def test_rows_with_beginnings_of_different_length_are_as_if_alone(head: AttentionDecoderHead, frames: Frames) -> None:
    given = [(7, 2), (3,), (), (4, 4, 5)]
    together = search(head, frames, 2, opening(given))
    for row in range(4):
        alone = Frames.whole(frames.x[row : row + 1, : frames.lengths[row]])
        [lone] = search(head, alone, 2, opening([given[row]]))
        assert [h.tokens for h in lone] == [h.tokens for h in together[row]]


def test_only_what_may_follow_a_beginning_follows_it(head: AttentionDecoderHead, frames: Frames) -> None:
    given = [(7, 2), (3,), (), (4, 4, 5)]
    free = search(head, frames, 1, opening(given))
    after = {h[0].tokens[len(g)] for g, h in zip(given, free, strict=True) if g and len(h[0].tokens) > len(g)}
    assert len(after) > 0
    allowed = sorted(set(range(2, VOCAB)) - after)
    for row, hypotheses in enumerate(search(head, frames, 3, opening(given, allowed))):
        rest = [h.tokens[len(given[row]) :] for h in hypotheses]
        if given[row]:
            assert all(not r or r[0] in allowed for r in rest)
        else:
            assert [h.tokens for h in hypotheses] == [h.tokens for h in search(head, frames, 3)[row]]


def test_a_beginning_may_be_as_long_as_a_text(head: AttentionDecoderHead, frames: Frames) -> None:
    given = [(2,) * MAX_TOKENS, (3,), (4,), (5,)]
    assert search(head, frames, 1, opening(given))[0][0].tokens == given[0]
    with pytest.raises(ValueError, match="an opening of 9 tokens; texts end at 8"):
        search(head, frames, 1, opening([(2,) * 9] * 4))
