"""CTC searches that stream: what is final when, against a textbook; and rows that cut, idle, join and leave."""

from __future__ import annotations

import math
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from asr_lab.nn.ctc.head import CTCHead, CTCSearch
from asr_lab.nn.ctc.search import GreedySearch, PrefixSearch
from asr_lab.nn.decoder import Emission, Hypothesis, SearchOptions
from asr_lab.streaming import Frames

CPU = torch.device("cpu")
VOCAB = 6


def some_log_probs(num_frames: int, seed: int, sureness: float = 2.0) -> Tensor:
    """(1, T, V) with the blank ahead, as CTC has it."""
    logits = sureness * torch.randn(num_frames, VOCAB, generator=torch.Generator().manual_seed(seed)).double()
    logits[:, 0] += sureness
    return logits.log_softmax(-1)[None]


class Prefix(NamedTuple):
    text: tuple[int, ...]
    blank: float
    token: float
    frames: tuple[int, ...]


class Textbook:
    """Prefix beam search with a dictionary, and settling as `PrefixSearch` says it in words."""

    def __init__(self, beam: int, max_interim_frames: int) -> None:
        self.beam, self.limit, self.frame = beam, max_interim_frames, 0
        self.prefixes = [Prefix((), 1.0, 0.0, ())]
        self.final: list[tuple[int, int]] = []

    def push(self, probabilities: list[float]) -> None:
        grown: dict[tuple[int, ...], list[float]] = {}
        before = {p.text: p.frames for p in self.prefixes}
        frames, kept = dict(before), dict[tuple[int, ...], float]()
        for prefix in sorted(self.prefixes, key=lambda p: -len(p.text)):  # what stays, before what grows into it
            total = prefix.blank + prefix.token
            stays = grown.setdefault(prefix.text, [0.0, 0.0])
            stays[0] += total * probabilities[0]
            if prefix.text:
                stays[1] += prefix.token * probabilities[prefix.text[-1]]
            kept[prefix.text] = sum(stays)
            for v, p in enumerate(probabilities[1:], start=1):
                longer, grows = (*prefix.text, v), (prefix.blank if prefix.text[-1:] == (v,) else total) * p
                grown.setdefault(longer, [0.0, 0.0])[1] += grows
                if grows > kept.get(longer, 0.0) or longer not in before:
                    frames[longer] = (*prefix.frames, self.frame)
        best = sorted(grown.items(), key=lambda item: -sum(item[1]))[: self.beam]
        self.prefixes = [Prefix(text, b, t, frames[text]) for text, (b, t) in best]
        self._finalise()
        self.frame += 1

    def _finalise(self) -> None:
        done, too_old, best = len(self.final), self.frame - self.limit, self.prefixes[0]
        due = sum(f <= too_old for f in best.frames[done:]) + done
        self.prefixes = [
            p
            for p in self.prefixes
            if p.text[:due] == best.text[:due] and not any(f <= too_old for f in p.frames[max(due, done) :])
        ]
        best = self.prefixes[0]
        done = max(n for n in range(len(best.text) + 1) if {p.text[:n] for p in self.prefixes} == {best.text[:n]})
        if done > len(self.final):
            self.final += zip(best.text[len(self.final) : done], best.frames[len(self.final) : done], strict=True)
            last = self.final[-1][1]
            self.prefixes = [p._replace(frames=tuple(max(f, last) for f in p.frames)) for p in self.prefixes]

    def interim(self) -> list[tuple[int, int]]:
        done, best = len(self.final), self.prefixes[0]
        return list(zip(best.text[done:], best.frames[done:], strict=True))


@pytest.mark.parametrize(
    ("beam", "limit", "seed"), [(2, 4, 0), (3, 6, 1), (4, 3, 2), (4, 12, 3), (6, 200, 4), (3, 1, 5)]
)
def test_what_is_final_and_when_is_as_in_the_textbook(beam: int, limit: int, seed: int) -> None:
    log_probs = some_log_probs(90, seed, sureness=1.0)
    textbook, search = Textbook(beam, limit), PrefixSearch(1, beam, 0, CPU, limit)
    final: list[Emission] = []
    for t, frame in enumerate(log_probs[0].exp().tolist()):
        textbook.push(frame)
        search.push(log_probs[:, t : t + 1], torch.tensor([1]))
        final += search.drain()[0]
        assert [e[:2] for e in final] == textbook.final
        assert [e[:2] for e in search.interim()[0]] == textbook.interim()
    assert len(final) > 10
    for emission in final:
        assert emission.confidence == pytest.approx(log_probs[0, emission.frame, emission.token].exp().item())


def test_a_token_that_stays_in_doubt_is_final_a_fixed_time_after_its_frame_and_the_state_stays_small() -> None:
    log_probs = torch.full((1, 400, VOCAB), -12.0).double()
    log_probs[..., 0] = 0.0
    log_probs[0, 10, 0] = -12.0
    log_probs[0, 10, 2], log_probs[0, 10, 3] = math.log(0.6), math.log(0.4)
    search = PrefixSearch(1, 4, 0, CPU, max_interim_frames=25)
    for t in range(400):
        search.push(log_probs[:, t : t + 1], torch.tensor([1]))
        final = [e for row in search.drain() for e in row]
        assert final == ([Emission(2, 10, pytest.approx(0.6))] if t == 35 else [])
        assert [e.token for e in search.interim()[0]] == ([2] if 10 <= t < 35 else [])
        assert search.state.tail.shape[2] <= 25
    assert search.hypotheses()[0][0].tokens == ()


def heads_rows(num_rows: int) -> tuple[CTCHead, list[Tensor]]:
    """A head, and rows of frames (1, T, D) of different lengths."""
    torch.manual_seed(0)
    head = CTCHead(8, VOCAB).double()
    with torch.no_grad():
        head.output.weight *= 4
    generator = torch.Generator().manual_seed(3)
    lengths = torch.randint(30, 80, (num_rows,), generator=generator).tolist()
    return head, [torch.randn(1, n, 8, generator=generator).double() for n in lengths]


def alone(head: CTCHead, x: Tensor, options: SearchOptions) -> tuple[list[list[Emission]], list[Hypothesis]]:
    """What a row given frame by frame has made final after each of its frames and at its end, and its hypotheses."""
    search = head.begin(1, options)
    final = []
    for t in range(x.shape[1]):
        search.push(Frames.whole(x[:, t : t + 1]))
        final += search.drain()
    [hypotheses] = search.finish()
    return [*final, *search.drain()], hypotheses


def step(rows: list[Tensor], given: list[int], counts: list[int]) -> Frames:
    """The next `counts` frames of rows, NaN in the padding."""
    x = torch.full((len(rows), max([1, *counts]), 8), torch.nan).double()
    for place, (row, start, count) in enumerate(zip(rows, given, counts, strict=True)):
        x[place, :count] = row[0, start : start + count]
    return Frames(x, torch.tensor(counts), torch.zeros(len(rows), dtype=torch.bool))


def assert_same(found: list[Emission], expected: list[Emission]) -> None:
    assert [e[:2] for e in found] == [e[:2] for e in expected]
    assert [e.confidence for e in found] == pytest.approx([e.confidence for e in expected])


@pytest.mark.parametrize("beam", [1, 4])
@pytest.mark.parametrize("seed", range(3))
def test_rows_that_idle_join_and_leave_find_what_they_find_alone_and_at_the_same_frame(beam: int, seed: int) -> None:
    options = SearchOptions(beam=beam, max_interim_frames=9)
    head, rows = heads_rows(7)
    expected = [alone(head, row, options) for row in rows]
    draw = torch.Generator().manual_seed(seed)
    live: list[int] = []
    waiting = torch.randperm(7, generator=draw).tolist()
    given, found = [0] * 7, [list[Emission]() for _ in rows]
    search: CTCSearch | None = None
    while live or waiting:
        if waiting and (not live or torch.rand(1, generator=draw) < 0.3):
            live.append(waiting.pop())
            search = search.join(head.begin(1, options)) if search else head.begin(1, options)
        assert search is not None
        counts = torch.randint(0, 12, (len(live),), generator=draw).tolist()
        counts = [min(c, rows[r].shape[1] - given[r]) for c, r in zip(counts, live, strict=True)]
        search.push(step([rows[r] for r in live], [given[r] for r in live], counts))
        for row, count, final in zip(live, counts, search.drain(), strict=True):
            given[row] += count
            found[row] += final
            assert_same(found[row], [e for at in expected[row][0][: given[row]] for e in at])
        ended = [place for place, row in enumerate(live) if given[row] == rows[row].shape[1]]
        for place, hypotheses in zip(ended, search.finish(ended), strict=True):
            assert [h.tokens for h in hypotheses] == [h.tokens for h in expected[live[place]][1]]
            assert [h.score for h in hypotheses] == pytest.approx([h.score for h in expected[live[place]][1]])
        for row, final in zip(live, search.drain(), strict=True):
            found[row] += final
        stay = torch.randperm(len(live), generator=draw).tolist()
        stay = [place for place in stay if place not in ended]
        search, live = search.take(stay), [live[place] for place in stay]
    for row, emissions in enumerate(found):
        assert len(emissions) > 3
        assert_same(emissions, [e for at in expected[row][0] for e in at])


@pytest.mark.parametrize("beam", [1, 4])
def test_final_and_interim_tokens_are_the_best_hypothesis(beam: int) -> None:
    head, [row] = heads_rows(1)
    search = head.begin(1, SearchOptions(beam=beam, max_interim_frames=5))
    for begin in range(0, row.shape[1], 7):
        search.push(Frames.whole(row[:, begin : begin + 7]))
        [hypotheses] = search.hypotheses()
        drained = search.drain()[0] + search.interim()[0]
        assert hypotheses[0].tokens == tuple(e.token for e in drained)
        assert hypotheses[0].frames == tuple(e.frame for e in drained)
        search = search.join(head.begin(0, SearchOptions(beam=beam, max_interim_frames=5)))


@pytest.mark.parametrize("beam", [1, 3])
def test_a_row_that_is_reset_or_put_back_leaves_the_others_alone(beam: int) -> None:
    options = SearchOptions(beam=beam)
    head, rows = heads_rows(3)
    rows = [row[:, :30] for row in rows]
    expected = [alone(head, row, options)[0] for row in rows]
    search = head.begin(3, options)
    search.push(step(rows, [0, 0, 0], [20, 20, 20]))
    found = search.drain()
    middle = search.take([1])
    middle.push(step(rows[1:2], [20], [10]))
    search.reset([0])
    search.put([1], middle)
    search.push(step(rows, [0, 30, 20], [30, 0, 10]))
    search.finish()
    for row, (before, after) in enumerate(zip(found, search.drain(), strict=True)):
        assert_same(after if row == 0 else before + after, [e for at in expected[row] for e in at])
    assert search.interim() == [[], [], []]


def test_finishing_some_rows_finalises_them_alone() -> None:
    log_probs = torch.tensor([[[0.1, 0.5, 0.4]]]).log().expand(2, 1, 3)
    search = PrefixSearch(2, 3, 0, CPU)
    search.push(log_probs, torch.tensor([1, 1]))
    search.finalise([])
    assert search.drain() == [[], []]
    search.finalise([1])
    assert [len(row) for row in search.drain()] == [0, 1]
    assert [len(row) for row in search.interim()] == [1, 0]
    assert [len(row) for row in search.hypotheses()] == [3, 1]


def test_best_path_finalises_each_token_in_its_first_frame() -> None:
    path = torch.tensor([0, 2, 2, 0, 2, 1, 1])
    log_probs = (torch.nn.functional.one_hot(path, 4) * 9.0).log_softmax(-1)[None]
    search = GreedySearch(1, 0, CPU)
    when = []
    for t in range(len(path)):
        search.push(log_probs[:, t : t + 1], torch.tensor([1]))
        when += [(t, e.token, e.frame) for e in search.drain()[0]]
    assert when == [(1, 2, 1), (4, 2, 4), (5, 1, 5)]


def test_a_bound_of_no_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="max_interim_frames"):
        PrefixSearch(1, 2, 0, CPU, 0)
