"""The attention decoder: one body for training and search, held against searches without a cache."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from asr_lab.nn.attention_decoder.head import EXTRA_TOKENS, AttentionDecoderHead
from asr_lab.nn.decoder import Hypothesis, SearchOptions, Targets
from asr_lab.streaming import Frames

DIM, VOCAB = 16, 7


@pytest.fixture(params=["learned", "sinusoidal"])
def head(request: pytest.FixtureRequest) -> AttentionDecoderHead:
    torch.manual_seed(0)
    head = AttentionDecoderHead(DIM, VOCAB, num_layers=2, dropout=0.1, positions=request.param, max_tokens=6)
    for p in head.parameters():  # livelier than fresh weights, whose texts are all alike
        torch.nn.init.normal_(p, std=0.4)
    return head.double().eval()


def ragged(lengths: list[int], seed: int = 1) -> Frames:
    x = torch.randn(len(lengths), max(lengths), DIM, generator=torch.Generator().manual_seed(seed)).double()
    frames = Frames.whole(x, torch.tensor(lengths))
    return frames.with_x(torch.where(frames.mask()[..., None], x, torch.nan))


def alone(frames: Frames, row: int) -> Frames:
    return Frames.whole(frames.x[row : row + 1, : frames.lengths[row]])


@torch.no_grad()
def next_log_probs(head: AttentionDecoderHead, frames: Frames, tokens: tuple[int, ...]) -> Tensor:
    """What follows the tokens in an utterance, (V,), computed from the start without a cache."""
    targets = Targets(torch.tensor([tokens], dtype=torch.int64), torch.tensor([len(tokens)]))
    return head.logits(frames, targets)[0, -1].log_softmax(-1)


def log_prob(head: AttentionDecoderHead, frames: Frames, tokens: tuple[int, ...]) -> float:
    """Of a text and its end, step by step."""
    terms = [next_log_probs(head, frames, tokens[:i])[t] for i, t in enumerate((*tokens, 1))]
    return float(torch.stack(terms).sum())


def search_without_cache(
    head: AttentionDecoderHead, frames: Frames, beam: int, penalty: float, limit: int
) -> list[Hypothesis]:
    """Beam search as a list of texts, each looked at from its start."""
    live, found = [((), 0.0)], []
    for length in range(limit + 1):
        ways = []
        for tokens, score in live:
            for token, p in enumerate(next_log_probs(head, frames, tokens).tolist()):
                if token != 0 and (length < limit or token == 1):
                    ways.append(((*tokens, token), score + p))
        ways.sort(key=lambda way: -way[1])
        for tokens, score in ways[:beam]:
            if tokens[-1] == 1:
                found.append(Hypothesis(tokens[:-1], score / len(tokens) ** penalty))
        live = [way for way in ways if way[0][-1] != 1][:beam]
        if len(found) >= beam:
            break
    return sorted(found, key=lambda h: -h.score)[:beam]


def test_the_loss_is_the_sum_of_the_steps_and_the_end(head: AttentionDecoderHead) -> None:
    frames = ragged([5, 9, 3, 0])
    texts = ((2, 3, 3), (4,), (), (5,))
    tokens = torch.full((4, 5), 99)
    for i, text in enumerate(texts):
        tokens[i, : len(text)] = torch.tensor(text, dtype=torch.int64)
    losses = head.loss(frames, Targets(tokens, torch.tensor([3, 1, 0, 1])))
    for row, text in enumerate(texts):
        assert -losses[row].item() == pytest.approx(log_prob(head, alone(frames, row), text), abs=1e-6)


def test_no_gradient_comes_from_padding(head: AttentionDecoderHead) -> None:
    frames = ragged([5, 0])
    x = frames.x.clone().requires_grad_()
    head.loss(frames.with_x(x), Targets(torch.tensor([[2, 3], [4, 9]]), torch.tensor([2, 1]))).sum().backward()
    assert x.grad is not None
    assert bool((x.grad[0].abs().sum(-1) > 0).all())
    assert bool((x.grad[1] == 0).all())
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in head.parameters())


def test_texts_grown_as_a_tree_are_the_texts_spelled_from_their_start(head: AttentionDecoderHead) -> None:
    head.max_tokens, head.positions = 99, None
    frames = ragged([5, 8])
    generator = torch.Generator().manual_seed(2)
    state, texts = head.begin(frames), [[()], [()]]
    for _ in range(40):  # abandoned branches are forgotten on the way
        source = torch.randint(0, len(texts[0]), (2, 3), generator=generator)
        tokens = torch.randint(1, VOCAB, (2, 3), generator=generator)
        with torch.no_grad():
            state, logits = head.step(state, tokens, source)
        texts = [
            [(*texts[b][s], t) for s, t in zip(source[b].tolist(), tokens[b].tolist(), strict=True)] for b in range(2)
        ]
    assert state.visible.shape[2] < 3 * 40
    for row in range(2):
        for text, last in zip(texts[row], logits[row], strict=True):
            start = head.begin(alone(frames, row))
            for token in text:
                with torch.no_grad():
                    start, expected = head.step(start, torch.tensor([[token]]), torch.tensor([[0]]))
            torch.testing.assert_close(last, expected[0, 0], atol=1e-10, rtol=0)


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.5])
@pytest.mark.parametrize("beam", [1, 2, 4])
def test_search_is_the_search_without_a_cache(head: AttentionDecoderHead, beam: int, penalty: float) -> None:
    frames = ragged([5, 9, 3, 7])
    found = head.search(frames, SearchOptions(beam=beam, length_penalty=penalty))
    for row, hypotheses in enumerate(found):
        expected = search_without_cache(head, alone(frames, row), beam, penalty, limit=6)
        assert [h.tokens for h in hypotheses] == [h.tokens for h in expected]
        assert [h.score for h in hypotheses] == pytest.approx([h.score for h in expected], abs=1e-5)


def test_a_beam_as_wide_as_the_texts_finds_the_best_of_all(head: AttentionDecoderHead) -> None:
    head.max_tokens = 2
    frames = ragged([4])
    texts = [t for n in range(3) for t in itertools.product(range(2, VOCAB), repeat=n)]
    scores = {t: log_prob(head, frames, t) for t in texts}
    found = head.search(frames, SearchOptions(beam=len(texts), length_penalty=0.0))[0]
    assert {h.tokens: pytest.approx(h.score, abs=1e-5) for h in found} == scores
    assert found[0].tokens == max(scores, key=lambda t: scores[t])


def test_greedy_takes_the_best_token_each_time(head: AttentionDecoderHead) -> None:
    frames = ragged([6])
    tokens: tuple[int, ...] = ()
    while len(tokens) < head.max_tokens:
        log_probs = next_log_probs(head, frames, tokens)
        log_probs[0] = -math.inf
        if int(log_probs.argmax()) == 1:
            break
        tokens = (*tokens, int(log_probs.argmax()))
    assert head.search(frames, SearchOptions())[0][0].tokens == tokens


def test_batch_mates_do_not_matter(head: AttentionDecoderHead) -> None:
    frames = ragged([5, 0, 9, 1])
    found = head.search(frames, SearchOptions(beam=3))
    for row in range(4):
        [lone] = head.search(alone(frames, row), SearchOptions(beam=3))
        assert [h.tokens for h in lone] == [h.tokens for h in found[row]]


@pytest.mark.parametrize("lengths", [[0], [0, 4]])
def test_an_empty_utterance_gives_an_empty_text(head: AttentionDecoderHead, lengths: list[int]) -> None:
    frames = Frames.whole(torch.randn(len(lengths), max(lengths), DIM).double(), torch.tensor(lengths))
    for beam in (1, 3):
        assert head.search(frames, SearchOptions(beam=beam))[0] == [Hypothesis((), 0.0)]


def test_a_text_is_no_longer_than_its_frames_allow() -> None:
    torch.manual_seed(0)
    head = AttentionDecoderHead(DIM, VOCAB, num_layers=1).eval()
    with torch.no_grad():  # a decoder that hardly ever ends
        head.embedding.weight[1] = -10 * head.embedding.weight[2:].mean(0)
    found = head.search(Frames.whole(torch.randn(1, 40, DIM)), SearchOptions(max_tokens_per_frame=0.25))
    assert len(found[0][0].tokens) <= 10 + EXTRA_TOKENS


def test_learned_positions_end() -> None:
    head = AttentionDecoderHead(DIM, VOCAB, num_layers=1, max_tokens=3)
    frames = ragged([5]).with_x(torch.randn(1, 5, DIM))
    head.loss(frames, Targets(torch.full((1, 3), 2), torch.tensor([3])))
    with pytest.raises(ValueError, match="4 tokens; positions end at 3"):
        head.loss(frames, Targets(torch.full((1, 4), 2), torch.tensor([4])))


def test_label_smoothing_acts_in_training_only() -> None:
    torch.manual_seed(0)
    plain = AttentionDecoderHead(DIM, VOCAB, num_layers=1, dropout=0.0)
    smooth = AttentionDecoderHead(DIM, VOCAB, num_layers=1, dropout=0.0, label_smoothing=0.2)
    smooth.load_state_dict(plain.state_dict())
    frames, targets = (
        Frames.whole(torch.randn(2, 5, DIM)),
        Targets(torch.tensor([[2, 3], [4, 0]]), torch.tensor([2, 1])),
    )
    log_probs = smooth.logits(frames, targets).log_softmax(-1)
    expected = 0.8 * plain.loss(frames, targets) - 0.2 * (
        log_probs.mean(-1) * torch.tensor([[1, 1, 1], [1, 1, 0]])
    ).sum(1)
    torch.testing.assert_close(smooth.loss(frames, targets), expected)
    torch.testing.assert_close(smooth.eval().loss(frames, targets), plain.eval().loss(frames, targets))


def test_heads_must_divide_the_dimension() -> None:
    with pytest.raises(ValueError, match="16 cannot be split over 3 heads"):
        AttentionDecoderHead(16, VOCAB, num_heads=3)
