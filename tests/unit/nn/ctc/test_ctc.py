"""CTC against brute force: its loss, its gradient, and both of its searches."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from asr_lab.nn.ctc.head import CTCHead
from asr_lab.nn.ctc.search import GreedySearch, PrefixSearch
from asr_lab.nn.decoder import Hypothesis, SearchOptions, Targets
from asr_lab.streaming import Frames, cut


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(t for t, _ in itertools.groupby(path) if t != 0)


@torch.no_grad()
def text_probabilities(log_probs: Tensor) -> dict[tuple[int, ...], float]:
    """The probability of every text, summed over every alignment of (T, V)."""
    found: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(log_probs.shape[1]), repeat=log_probs.shape[0]):
        score = math.exp(sum(log_probs[t, v].item() for t, v in enumerate(path)))
        found[collapse(path)] = found.get(collapse(path), 0.0) + score
    return found


def differentiable_loss(log_probs: Tensor, tokens: tuple[int, ...]) -> Tensor:
    """CTC's definition, alignment by alignment."""
    terms = []
    for path in itertools.product(range(log_probs.shape[1]), repeat=log_probs.shape[0]):
        if collapse(path) == tokens:
            terms.append(log_probs[torch.arange(len(path)), torch.tensor(path)].sum())
    return -torch.stack(terms).logsumexp(0)


def targets(*rows: tuple[int, ...]) -> Targets:
    tokens = torch.full((len(rows), max(len(r) for r in rows)), 0)
    for i, row in enumerate(rows):
        tokens[i, : len(row)] = torch.tensor(row, dtype=torch.int64)
    return Targets(tokens, torch.tensor([len(r) for r in rows]))


@pytest.fixture
def head() -> CTCHead:
    torch.manual_seed(0)
    return CTCHead(8, 4)


def ragged(lengths: list[int], dim: int = 8, seed: int = 1) -> Frames:
    x = torch.randn(len(lengths), max(lengths), dim, generator=torch.Generator().manual_seed(seed))
    frames = Frames.whole(x, torch.tensor(lengths))
    return frames.with_x(torch.where(frames.mask()[..., None], x, torch.nan))


def test_the_loss_is_the_sum_over_all_alignments(head: CTCHead) -> None:
    frames = ragged([5, 6, 3])
    texts = ((1, 1, 2), (3,), ())
    log_probs = head.log_probs(frames)
    for row, loss in enumerate(head.loss(frames, targets(*texts))):
        expected = differentiable_loss(log_probs[row, : frames.lengths[row]], texts[row])
        torch.testing.assert_close(loss, expected)


def test_the_gradient_is_that_of_the_definition(head: CTCHead) -> None:
    frames = ragged([5, 4])
    texts = ((1, 1), (2, 3))
    x = frames.x.clone().requires_grad_()
    head.loss(frames.with_x(x), targets(*texts)).sum().backward()
    assert x.grad is not None
    weights = [p.grad.clone() for p in head.parameters() if p.grad is not None]
    for p in head.parameters():
        p.grad = None
    y = frames.valid().requires_grad_()
    log_probs = head.log_probs(frames.with_x(y))
    rows = [differentiable_loss(log_probs[i, : frames.lengths[i]], t) for i, t in enumerate(texts)]
    torch.stack(rows).sum().backward()
    assert y.grad is not None
    torch.testing.assert_close(x.grad, y.grad)
    for gradient, p in zip(weights, head.parameters(), strict=True):
        assert p.grad is not None
        torch.testing.assert_close(gradient, p.grad)


def test_what_cannot_be_aligned_has_infinite_loss_and_its_batch_mates_their_own(head: CTCHead) -> None:
    frames = ragged([2, 5])
    losses = head.loss(frames, targets((1, 1), (1, 1)))
    assert losses[0] == math.inf
    torch.testing.assert_close(losses[1:], head.loss(ragged([2, 5]).rows(torch.tensor([1])), targets((1, 1))))


@pytest.mark.parametrize("lengths", [[0, 4], [0, 0]])
def test_a_row_without_frames_spells_only_the_empty_text(head: CTCHead, lengths: list[int]) -> None:
    frames = Frames.whole(torch.randn(2, max(lengths), 8), torch.tensor(lengths))
    assert head.loss(frames, targets((), ()))[0] == 0
    assert head.loss(frames, targets((1,), (1,)))[0] == math.inf
    for beam in (1, 4):
        assert head.search(frames, SearchOptions(beam=beam))[0] == [Hypothesis((), 0.0, ())]


def test_the_loss_and_its_gradient_repeat_bit_for_bit(head: CTCHead) -> None:
    results = []
    for _ in range(2):
        frames = ragged([40, 33])
        x = frames.x.clone().requires_grad_()
        loss = head.loss(frames.with_x(x), targets((1, 2, 3, 1), (2, 2)))
        loss.sum().backward()
        results.append((loss, x.grad))
    for first, second in zip(*results, strict=True):
        assert first is not None
        assert torch.equal(first, second)


def test_the_loss_is_float32_under_bfloat16(head: CTCHead) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert head.loss(ragged([5]), targets((1,))).dtype == torch.float32


def test_greedy_search_is_the_best_path_and_names_the_first_frame_of_each_token() -> None:
    path = torch.tensor([0, 2, 2, 0, 2, 1, 1, 3, 0])
    log_probs = (torch.nn.functional.one_hot(path, 4) * 9.0).log_softmax(-1)[None]
    search = GreedySearch(1, 0, torch.device("cpu"))
    search.push(log_probs, torch.tensor([9]))
    [[found]] = search.hypotheses()
    assert found.tokens == (2, 2, 1, 3)
    assert found.frames == (1, 4, 5, 7)
    assert found.score == pytest.approx(float(log_probs.max(-1).values.sum()))


@pytest.mark.parametrize("seed", range(6))
def test_a_wide_beam_finds_every_text_with_its_probability(seed: int) -> None:
    log_probs = torch.randn(5, 3, generator=torch.Generator().manual_seed(seed)).double().log_softmax(-1)
    search = PrefixSearch(1, 200, 0, torch.device("cpu"))
    search.push(log_probs[None], torch.tensor([5]))
    found = {h.tokens: math.exp(h.score) for h in search.hypotheses()[0]}
    expected = text_probabilities(log_probs)
    assert found.keys() == expected.keys()
    for text, probability in expected.items():
        assert found[text] == pytest.approx(probability, abs=1e-12)


def beam_by_dictionary(log_probs: Tensor, beam: int) -> list[tuple[tuple[int, ...], float]]:
    """Prefix beam search as it is written in the paper, with a dictionary of prefixes."""
    beams = {(): (1.0, 0.0)}
    for frame in log_probs.exp().tolist():
        grown: dict[tuple[int, ...], list[float]] = {}
        for prefix, (blank, token) in beams.items():
            for v, p in enumerate(frame):
                if v == 0:
                    grown.setdefault(prefix, [0.0, 0.0])[0] += (blank + token) * p
                    continue
                repeats = bool(prefix) and prefix[-1] == v
                if repeats:
                    grown.setdefault(prefix, [0.0, 0.0])[1] += token * p
                grown.setdefault((*prefix, v), [0.0, 0.0])[1] += (blank if repeats else blank + token) * p
        best = sorted(grown.items(), key=lambda item: -sum(item[1]))[:beam]
        beams = {prefix: (b, t) for prefix, (b, t) in best}
    return [(prefix, sum(p)) for prefix, p in beams.items()]


@pytest.mark.parametrize(("beam", "vocab_size"), [(2, 4), (3, 30), (8, 6), (5, 3)])
def test_a_narrow_beam_keeps_what_the_textbook_keeps(beam: int, vocab_size: int) -> None:
    generator = torch.Generator().manual_seed(beam)
    log_probs = (2 * torch.randn(3, 70, vocab_size, generator=generator)).double().log_softmax(-1)
    lengths = torch.tensor([70, 33, 12])
    search = PrefixSearch(3, beam, 0, torch.device("cpu"), max_interim_frames=70)
    search.push(log_probs, lengths)
    for row, found in enumerate(search.hypotheses()):
        expected = beam_by_dictionary(log_probs[row, : lengths[row]], beam)
        assert [h.tokens for h in found] == [text for text, _ in expected]
        for hypothesis, (_, probability) in zip(found, expected, strict=True):
            assert hypothesis.score == pytest.approx(math.log(probability), abs=1e-9)
            assert hypothesis.frames is not None
            assert list(hypothesis.frames) == sorted(hypothesis.frames)
            assert all(0 <= f < lengths[row] for f in hypothesis.frames)


@pytest.mark.parametrize("beam", [1, 4])
def test_any_cut_of_the_frames_gives_the_same_hypotheses(head: CTCHead, beam: int) -> None:
    frames = ragged([50, 20, 0, 37])
    options = SearchOptions(beam=beam)
    generator = torch.Generator().manual_seed(7)
    steps = [torch.randint(0, 9, (4,), generator=generator) for _ in range(30)]
    search = head.begin(4, options)
    for step in cut(frames, [*steps, frames.lengths]):
        search.push(step)
    whole = head.search(frames, options)
    for row, expected_row in zip(search.finish(), whole, strict=True):
        for found, expected in zip(row, expected_row, strict=True):
            assert (found.tokens, found.frames) == (expected.tokens, expected.frames)
            assert found.score == pytest.approx(expected.score, abs=1e-4)


def test_final_tokens_leave_the_state() -> None:
    path = torch.arange(400) % 9 + 1
    sureness = torch.where(torch.arange(400) < 370, 30.0, 5.0)[:, None]
    log_probs = (torch.nn.functional.one_hot(path, 10) * sureness).log_softmax(-1)[None]
    search = PrefixSearch(1, 4, 0, torch.device("cpu"))
    search.push(log_probs, torch.tensor([400]))
    assert search.state.tail.shape[2] < 40
    assert search.hypotheses()[0][0].tokens == tuple(path.tolist())
    assert search.hypotheses()[0][0].frames == tuple(range(400))


def test_score_is_the_probability_of_the_text(head: CTCHead) -> None:
    frames = ragged([5])
    expected = text_probabilities(head.log_probs(frames)[0])
    assert head.score(frames, targets((1, 2))).item() == pytest.approx(math.log(expected[(1, 2)]), abs=1e-5)
