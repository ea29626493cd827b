"""Beam search over made-up tables of token pairs, against a list of texts that is grown and sorted."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from asr_lab.nn.attention_decoder.beam_search import Opening, beam_search
from asr_lab.nn.decoder import Hypothesis, SearchOptions

VOCAB, BLANK, END = 6, 0, 1
Opened = tuple[tuple[int, ...], set[int]]


class Pairs:
    """What follows a token depends on it, the utterance and the text's length; the state is number and length, (B, 2).

    Without the length, texts of the same pairs in another order would tie.
    """

    blank, end = BLANK, END

    def __init__(self, batch: int, seed: int) -> None:
        self.table = 2 * torch.randn(batch, 9, VOCAB, VOCAB, generator=torch.Generator().manual_seed(seed))

    def begin(self) -> Tensor:
        return torch.stack([torch.arange(len(self.table)), torch.zeros(len(self.table), dtype=torch.int64)], dim=1)

    def step(self, state: Tensor, tokens: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
        assert source.shape == tokens.shape
        return state + torch.tensor([0, 1]), self.table[state[:, :1], state[:, 1:], tokens]

    def keep(self, state: Tensor, utterances: Tensor) -> Tensor:
        return state[utterances]


def grown(table: Tensor, limit: int, options: SearchOptions, opened: Opened = ((), set())) -> list[Hypothesis]:
    """One utterance's search, text by text: the blank is barred, the opening fixed, and only the end at the limit."""
    start, then = opened
    if limit == 0:
        return [Hypothesis((), 0.0)]
    log_probs = table.log_softmax(-1).tolist()
    live: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    found: list[Hypothesis] = []
    for length in range(limit + 1):
        allowed = {END} if length == limit else set(range(VOCAB)) - {BLANK}
        if length < len(start):
            allowed = {start[length]}
        elif length == len(start) and start:
            allowed &= then | {END}
        ways = [
            ((*text, token), score + log_probs[length][text[-1] if text else END][token])
            for text, score in live
            for token in sorted(allowed)
        ]
        ways.sort(key=lambda way: -way[1])
        for text, score in ways[: options.beam]:
            if text[-1] == END:
                found.append(Hypothesis(text[:-1], score / len(text) ** options.length_penalty))
        live = [way for way in ways if way[0][-1] != END][: options.beam]
        if len(found) >= options.beam:
            break
    return sorted(found, key=lambda h: -h.score)[: options.beam]


def assert_same(found: list[Hypothesis], expected: list[Hypothesis]) -> None:
    assert [h.tokens for h in found] == [h.tokens for h in expected]
    assert [h.score for h in found] == pytest.approx([h.score for h in expected], rel=1e-5)
    assert all(h.frames is None for h in found)


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("beam", [1, 2, 3, 50])
@pytest.mark.parametrize("seed", range(3))
def test_it_finds_what_growing_and_sorting_finds(seed: int, beam: int, penalty: float) -> None:
    limits, options = [5, 0, 1, 3, 5], SearchOptions(beam=beam, length_penalty=penalty)
    pairs = Pairs(5, seed)
    found = beam_search(pairs, pairs.begin(), torch.tensor(limits), options)
    for row, limit in enumerate(limits):
        assert_same(found[row], grown(pairs.table[row], limit, options))


def test_a_beam_as_wide_as_the_texts_finds_all_of_them() -> None:
    pairs, options = Pairs(1, 7), SearchOptions(beam=21, length_penalty=0.0)
    [found] = beam_search(pairs, pairs.begin(), torch.tensor([2]), options)
    log_probs = pairs.table[0].log_softmax(-1)
    texts = [text for n in range(3) for text in itertools.product(range(2, VOCAB), repeat=n)]
    scores = {
        t: sum(float(log_probs[i, a, b]) for i, (a, b) in enumerate(itertools.pairwise((END, *t, END)))) for t in texts
    }
    assert {h.tokens: pytest.approx(h.score, rel=1e-5) for h in found} == scores
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_an_opening_is_as_if_nothing_else_were_allowed(seed: int, beam: int) -> None:
    openings, then = [(2, 3), (), (5,), (4, 4, 4, 2)], {2, 4}
    limits, options, pairs = [5, 4, 2, 4], SearchOptions(beam=beam), Pairs(4, seed)
    tokens = torch.zeros(4, 4, dtype=torch.int64)
    for row, opening in enumerate(openings):
        tokens[row, : len(opening)] = torch.tensor(opening, dtype=torch.int64)
    follows = torch.tensor([token in then for token in range(VOCAB)])
    opened = Opening(tokens, torch.tensor([len(o) for o in openings]), follows)
    found = beam_search(pairs, pairs.begin(), torch.tensor(limits), options, opened)
    for row, limit in enumerate(limits):
        assert_same(found[row], grown(pairs.table[row], limit, options, (openings[row], then)))


def test_an_utterance_that_is_done_is_no_longer_asked_for() -> None:
    asked: list[int] = []

    class Counted(Pairs):
        def step(self, state: Tensor, tokens: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
            asked.append(len(state))
            return super().step(state, tokens, source)

    pairs = Counted(3, 0)
    pairs.table[..., END] = -50.0
    pairs.table[1, ..., END] = 50.0
    found = beam_search(pairs, pairs.begin(), torch.tensor([3, 3, 1]), SearchOptions())
    assert [len(texts[0].tokens) for texts in found] == [3, 0, 1]
    assert asked == [3, 2, 1, 1]
