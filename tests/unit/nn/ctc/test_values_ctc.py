"""CTC's head and loss from their formulas, and its searches where their numbers can be written down."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from asr_lab.nn.ctc.head import CTCHead
from asr_lab.nn.ctc.search import GreedySearch, PrefixSearch, _hash
from asr_lab.nn.decoder import Emission, Hypothesis, SearchOptions, Targets
from asr_lab.streaming import Frames

CPU = torch.device("cpu")


def head_of(dim: int = 5, vocab_size: int = 6, **settings: int) -> CTCHead:
    torch.manual_seed(10)
    head = CTCHead(dim, vocab_size, **settings).double()
    for parameter in head.parameters():
        parameter.data += 0.5 * torch.randn_like(parameter)
    return head


def forward_variables(log_probs: list[list[float]], tokens: list[int], blank: int) -> float:
    """Graves et al.'s recursion over the text with blanks around its tokens: the text's probability."""
    labels = [blank] + [label for token in tokens for label in (token, blank)]
    alpha = [math.exp(log_probs[0][label]) if s < 2 else 0.0 for s, label in enumerate(labels)]
    for frame in log_probs[1:]:
        before = alpha
        alpha = []
        for s, label in enumerate(labels):
            total = before[s] + (before[s - 1] if s > 0 else 0.0)
            if s > 1 and label != blank and label != labels[s - 2]:
                total += before[s - 2]
            alpha.append(total * math.exp(frame[label]))
    return sum(alpha[-2:])


@pytest.mark.parametrize("blank", [0, 3])
def test_the_loss_is_the_recursion_over_normed_and_projected_frames(blank: int) -> None:
    head = head_of(blank=blank, end=1)
    x, lengths = torch.randn(3, 12, 5).double(), [12, 9, 4]
    x[2] *= 1e-3  # so quiet that the norm's epsilon counts
    texts = [[2, 5, 5, 4], [4, 4], []]
    tokens = torch.tensor([[2, 5, 5, 4], [4, 4, 1, 1], [1, 1, 1, 1]])
    frames, targets = Frames.whole(x, torch.tensor(lengths)), Targets(tokens, torch.tensor([4, 2, 0]))
    losses, log_probs = head.loss(frames, targets), head.log_probs(frames)
    for row, (text, length) in enumerate(zip(texts, lengths, strict=True)):
        centred = x[row] - x[row].mean(-1, keepdim=True)
        normed = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        logits = (normed * head.norm.weight + head.norm.bias) @ head.output.weight.T + head.output.bias
        expected = logits - logits.exp().sum(-1, keepdim=True).log()
        torch.testing.assert_close(log_probs[row, :length], expected[:length], rtol=0, atol=1e-12)
        probability = forward_variables(expected[:length].tolist(), text, blank)
        assert losses[row].item() == pytest.approx(-math.log(probability))
        assert head.score(frames, targets)[row].item() == pytest.approx(math.log(probability))


def test_a_batch_without_a_frame_has_losses_of_nothing_and_infinity() -> None:
    head = head_of()
    frames = Frames.whole(torch.zeros(2, 0, 5).double(), torch.tensor([0, 0]))
    assert head.loss(frames, Targets(torch.tensor([[2], [2]]), torch.tensor([0, 1]))).tolist() == [0.0, math.inf]


def test_log_probabilities_are_float32_at_least() -> None:
    assert head_of().log_probs(Frames.whole(torch.zeros(1, 2, 5).double())).dtype == torch.float64
    half = head_of().bfloat16().log_probs(Frames.whole(torch.zeros(1, 2, 5).bfloat16()))
    assert half.dtype == torch.float32
    torch.testing.assert_close(half.exp().sum(-1), torch.ones(1, 2))


@torch.no_grad()
@pytest.mark.parametrize("beam", [1, 3])
def test_a_search_never_gives_the_end_and_knows_its_own_blank(beam: int) -> None:
    head = head_of(4, 4, blank=3, end=2)
    head.output.weight.copy_(8 * torch.eye(4))
    head.output.bias.zero_()
    frames = Frames.whole(torch.eye(4).double()[[3, 0, 0, 3, 2, 1]][None])
    [found] = head.search(frames, SearchOptions(beam=beam))
    assert all(2 not in hypothesis.tokens and 3 not in hypothesis.tokens for hypothesis in found)
    assert found[0].tokens[0] == 0
    assert found[0].tokens[-1] == 1
    assert len(found) == beam
    assert (head.begin(3, SearchOptions(beam=beam)).batch, head.kind) == (3, "ctc")


def spelled(path: list[int], sureness: float, vocab_size: int = 5) -> Tensor:
    return (torch.nn.functional.one_hot(torch.tensor(path), vocab_size) * sureness).log_softmax(-1)[None]


def test_best_path_counts_frames_and_scores_over_its_steps_and_knows_how_sure_it_was() -> None:
    log_probs = torch.cat([spelled([2, 2], 1.0), spelled([0, 2, 4], 2.0), spelled([4, 4, 0], 3.0)], 1)
    search = GreedySearch(2, 0, CPU)
    search.push(log_probs[:, :3].expand(2, -1, -1), torch.tensor([3, 0]))
    assert search.state.seen.tolist() == [3, 0]
    assert search.state.last.tolist() == [0, 0]
    search.push(log_probs[:, 3:].expand(2, -1, -1), torch.tensor([5, 2]))
    assert search.state.seen.tolist() == [8, 2]
    assert search.state.last.tolist() == [0, 4]
    sure = [math.exp(s) / (math.exp(s) + 4) for s in (1.0, 2.0, 3.0)]
    first, second = search.final
    assert first == [
        Emission(2, 0, pytest.approx(sure[0])),
        Emission(2, 3, pytest.approx(sure[1])),
        Emission(4, 4, pytest.approx(sure[1])),
    ]
    assert [e[:2] for e in second] == [(2, 0), (4, 1)]
    total = 2 * math.log(sure[0]) + 3 * math.log(sure[1]) + 3 * math.log(sure[2])
    assert search.hypotheses()[0] == [Hypothesis((2, 2, 4), pytest.approx(total), (0, 3, 4))]
    assert search.hypotheses()[1][0].score == pytest.approx(2 * math.log(sure[1]))
    assert search.interim() == [[], []]
    fresh = search.fresh(3)
    assert (fresh.state.last.tolist(), fresh.state.seen.tolist(), fresh.final) == ([0] * 3, [0] * 3, [[], [], []])
    search.finalise([0, 1])
    assert len(search.final[0]) == 3
    assert GreedySearch(2, 3, CPU).state.last.tolist() == [3, 3]


def test_a_prefixes_key_is_a_hash_of_its_tokens_in_their_order() -> None:
    def key(*tokens: int) -> int:
        found = torch.ones(1, dtype=torch.int64)
        for token in tokens:
            found = _hash(found, torch.tensor([token]))
        return int(found)

    keys = {tokens: key(*tokens) for n in range(4) for tokens in itertools.product(range(2, 12), repeat=n)}
    assert len(set(keys.values())) == len(keys) == 1111
    assert min(bin((a ^ b) & ((1 << 64) - 1)).count("1") for a, b in itertools.pairwise(keys.values())) >= 8


def test_a_prefix_search_adds_up_both_ways_to_say_a_token() -> None:
    frame = torch.tensor([[0.5, 0.0, 0.3, 0.2]]).double().log()
    search = PrefixSearch(1, 8, 0, CPU)
    search.push(frame.expand(1, 2, -1), torch.tensor([2]))
    found = {h.tokens: (math.exp(h.score), h.frames) for h in search.hypotheses()[0]}
    expected = {
        (): (0.25, ()),
        (2,): (0.3 * 0.5 + 0.5 * 0.3 + 0.3 * 0.3, (0,)),  # 2-, -2, 22
        (3,): (0.2 * 0.5 + 0.5 * 0.2 + 0.2 * 0.2, (0,)),
        (2, 3): (0.06, (0, 1)),
        (3, 2): (0.06, (0, 1)),
    }
    assert {text: (pytest.approx(p), frames) for text, (p, frames) in expected.items()} == found
    [[best]] = search.interim()
    assert best == Emission(2, 0, pytest.approx(0.3))
    search.finalise([0])
    assert search.drain() == [[best]]
    assert [h.tokens for h in search.hypotheses()[0]] == [()]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("beam", [1, 4])
def test_the_blank_may_be_any_token(seed: int, beam: int) -> None:
    log_probs = (1.5 * torch.randn(2, 40, 5, generator=torch.Generator().manual_seed(seed)).double()).log_softmax(-1)
    first = [4, 0, 1, 2, 3]  # the same tokens, the blank moved from 4 to 0
    found: list[list[list[Hypothesis]]] = []
    for blank, frames in ((4, log_probs), (0, log_probs[..., first])):
        search = GreedySearch(2, blank, CPU) if beam == 1 else PrefixSearch(2, beam, blank, CPU)
        search.push(frames, torch.tensor([40, 25]))
        found.append(search.hypotheses())
    for ours, others in zip(*found, strict=True):
        assert [h.tokens for h in ours] == [tuple(first[t] for t in h.tokens) for h in others]
        assert [h.frames for h in ours] == [h.frames for h in others]
        assert [h.score for h in ours] == pytest.approx([h.score for h in others])


def test_a_token_moves_to_the_frame_that_brings_its_prefix_more_than_it_had() -> None:
    log_probs = torch.tensor([[0.9, 0.0, 0.1], [0.4, 0.0, 0.6], [0.7, 0.0, 0.3]]).double().log()[None]
    search = PrefixSearch(1, 4, 0, CPU)
    search.push(log_probs, torch.tensor([3]))
    # After frame 0: () 0.9, (2) 0.1. Frame 1 brings 0.54 to (2), which had 0.1; frame 2 brings 0.108 to its 0.6.
    assert search.interim() == [[Emission(2, 1, pytest.approx(0.6))]]
    assert search.hypotheses()[0][0].frames == (1,)
    assert math.exp(search.hypotheses()[0][0].score) == pytest.approx(0.64 * 0.7 + 0.6 * 0.3 + 0.36 * 0.3)


@pytest.mark.parametrize("beam", [1, 2, 5])
def test_a_prefix_search_begins_with_the_empty_prefix_alone_and_keeps_as_many_as_its_beam(beam: int) -> None:
    search = PrefixSearch(2, beam, 0, CPU, 7)
    assert search.hypotheses() == [[Hypothesis((), 0.0, ())]] * 2
    assert search.state.key[0].tolist() == [1] * beam
    assert search.state.last[0].tolist() == [-1] * beam
    search.push(torch.full((2, 3, 9), 1 / 9).double().log(), torch.tensor([3, 2]))
    assert [len(row) for row in search.hypotheses()] == [beam, beam]
    assert search.state.seen.tolist() == [3, 2]
    fresh = search.fresh(3)
    assert (len(fresh.final), fresh.max_interim_frames, fresh.state.last.shape) == (3, 7, (3, beam))
    assert PrefixSearch(1, 2, 0, CPU).max_interim_frames == SearchOptions().max_interim_frames == 64
