"""The attention decoder against one written out token by token and pair by pair, and where its parameters begin."""

from __future__ import annotations

import math
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from asr_lab.nn.attention_decoder.beam_search import Opening
from asr_lab.nn.attention_decoder.head import AttentionDecoderHead
from asr_lab.nn.decoder import Hypothesis, SearchOptions, Targets
from asr_lab.nn.kernels.dropout import keep
from asr_lab.streaming import Frames

DIM, HEADS, VOCAB = 6, 2, 7
WIDTH = DIM // HEADS
BLANK, END = 0, 1


def head_of(positions: Literal["learned", "sinusoidal"] = "learned", **settings: Any) -> AttentionDecoderHead:
    torch.manual_seed(9)
    made = {"num_layers": 2, "num_heads": HEADS, "expansion": 3, "dropout": 0.0, "max_tokens": 9, **settings}
    head = AttentionDecoderHead(DIM, VOCAB, positions=positions, **made).double()
    for parameter in head.parameters():
        parameter.data += 0.4 * torch.randn_like(parameter)
    return head.eval()


def normed(x: Tensor, norm: nn.LayerNorm) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * norm.weight + norm.bias


def attended(q: Tensor, k: Tensor, v: Tensor, seen: int) -> Tensor:
    """One query (D,) over the first `seen` keys (T, D), head by head, scaled by the root of a head's width."""
    heads = []
    for h in range(HEADS):
        own = slice(h * WIDTH, (h + 1) * WIDTH)
        scores = [math.exp(float(q[own] @ k[j, own]) / math.sqrt(WIDTH)) for j in range(seen)]
        heads.append(sum(s / sum(scores) * v[j, own] for j, s in enumerate(scores)))
    return torch.cat(heads)


def place(head: AttentionDecoderHead, number: int) -> Tensor:
    if head.positions is not None:
        return head.positions.weight[number]
    rates = [10_000 ** (-k / (DIM // 2 - 1)) for k in range(DIM // 2)]
    waves = [math.sin(number * r) for r in rates] + [math.cos(number * r) for r in rates]
    return 0.02 * torch.tensor(waves, dtype=torch.float64)


@torch.no_grad()
def naive(head: AttentionDecoderHead, frames: Tensor, tokens: list[int]) -> Tensor:
    """Logits (U + 1, V) behind the end that begins a text and each of its tokens, from one row of frames (T, D)."""
    memory = normed(frames, head.frames_norm)
    x = torch.stack([head.embedding.weight[t] + place(head, i) for i, t in enumerate([END, *tokens])])
    for layer in head.layers:
        y = normed(x, layer.self_norm)
        q, k, v = (y @ layer.self_qkv.weight.T + layer.self_qkv.bias).split(DIM, dim=1)
        seen = torch.stack([attended(q[i], k, v, i + 1) for i in range(len(x))])
        x = x + seen @ layer.self_out.weight.T + layer.self_out.bias
        q = normed(x, layer.cross_norm) @ layer.cross_query.weight.T + layer.cross_query.bias
        k, v = (memory @ layer.cross_kv.weight.T + layer.cross_kv.bias).split(DIM, dim=1)
        seen = torch.stack([attended(q[i], k, v, len(memory)) for i in range(len(x))])
        x = x + seen @ layer.cross_out.weight.T + layer.cross_out.bias
        h = normed(x, layer.feed_norm) @ layer.feed_up.weight.T + layer.feed_up.bias
        h = h * torch.distributions.Normal(0, 1).cdf(h)
        x = x + h @ layer.feed_down.weight.T + layer.feed_down.bias
    return normed(x, head.norm) @ head.embedding.weight.T


def given() -> tuple[Frames, Targets, list[list[int]]]:
    texts = [[2, 3, 3], [4]]
    x = torch.randn(2, 5, DIM, generator=torch.Generator().manual_seed(1)).double()
    x[1, 3:] = torch.nan
    tokens = torch.tensor([[2, 3, 3], [4, 6, 5]])
    return Frames.whole(x, torch.tensor([5, 3])), Targets(tokens, torch.tensor([3, 1])), texts


@pytest.mark.parametrize("positions", ["learned", "sinusoidal"])
def test_logits_and_loss_are_the_written_out_decoders(positions: Literal["learned", "sinusoidal"]) -> None:
    head, (frames, targets, texts) = head_of(positions), given()
    found, losses = head.logits(frames, targets), head.loss(frames, targets)
    for row, (text, length) in enumerate(zip(texts, (5, 3), strict=True)):
        expected = naive(head, frames.x[row, :length], text)
        torch.testing.assert_close(found[row, : len(text) + 1], expected, rtol=0, atol=1e-10)
        log_probs = expected - expected.exp().sum(1, keepdim=True).log()
        loss = -sum(float(log_probs[i, t]) for i, t in enumerate([*text, END]))
        assert losses[row].item() == pytest.approx(loss)
        assert head.score(frames, targets)[row].item() == pytest.approx(-loss)


@torch.no_grad()
def test_a_row_without_frames_attends_to_one_of_zeros() -> None:
    head, targets = head_of(), Targets(torch.tensor([[2, 3], [2, 3]]), torch.tensor([2, 2]))
    expected = naive(head, torch.zeros(1, DIM).double(), [2, 3])
    x = torch.randn(2, 4, DIM).double()
    for frames in (Frames.whole(x, torch.tensor([0, 4])), Frames.whole(x[:, :0], torch.tensor([0, 0]))):
        torch.testing.assert_close(head.logits(frames, targets)[0], expected, rtol=0, atol=1e-10)
        looks = head.attention_weights(frames, targets)[0]  # (L, H, U + 1, T)
        assert bool((looks[..., 0] == 1).all())
        assert bool((looks[..., 1:] == 0).all())


@torch.no_grad()
@pytest.mark.parametrize("positions", ["learned", "sinusoidal"])
def test_a_greedy_step_gives_what_the_written_out_decoder_finds_most_probable(
    positions: Literal["learned", "sinusoidal"],
) -> None:
    head, (frames, _, _) = head_of(positions), given()
    found = head.search(frames, SearchOptions())
    for row, length in enumerate((5, 3)):
        text: list[int] = []
        total = 0.0
        while True:
            log_probs = naive(head, frames.x[row, :length], text)[-1].log_softmax(-1)
            log_probs[BLANK] = -torch.inf
            last = END if len(text) == 9 else int(log_probs.argmax())
            total += float(log_probs[last])
            if last == END:
                break
            text.append(last)
        [hypothesis] = found[row]
        assert hypothesis.tokens == tuple(text)
        assert hypothesis.score == pytest.approx(total / (len(text) + 1) ** 0.6, abs=1e-5)


@torch.no_grad()
def test_looks_are_the_softmax_of_scaled_products() -> None:
    head, (frames, targets, texts) = head_of(num_layers=1), given()
    looks, layer = head.attention_weights(frames, targets), head.layers[0]
    x = torch.stack([head.embedding.weight[t] + place(head, i) for i, t in enumerate([END, *texts[0]])])
    x = layer.self_attend(None, x[None], None)[1][0]
    q = normed(x, layer.cross_norm) @ layer.cross_query.weight.T + layer.cross_query.bias
    k = (normed(frames.x[0], head.frames_norm) @ layer.cross_kv.weight.T + layer.cross_kv.bias)[:, :DIM]
    for h in range(HEADS):
        own = slice(h * WIDTH, (h + 1) * WIDTH)
        torch.testing.assert_close(looks[0, 0, h], (q[:, own] @ k[:, own].T / math.sqrt(WIDTH)).softmax(-1))
    assert bool((looks[1, ..., 3:] == 0).all())


def unigram(logits: list[float], **settings: Any) -> AttentionDecoderHead:
    """A decoder whose next token never depends on anything."""
    head = head_of(**settings)
    with torch.no_grad():
        head.norm.weight.zero_()
        head.norm.bias.copy_(torch.eye(DIM)[0])
        head.embedding.weight[:, 0] = torch.tensor(logits)
    return head


@pytest.mark.parametrize(
    ("frames", "per_frame", "max_tokens", "expected"),
    [(40, 0.25, 99, 20), (3, 0.9, 99, 12), (40, 1.0, 30, 30), (1, 1.0, 99, 11)],
)
def test_a_text_that_never_ends_has_its_frames_share_of_tokens_and_ten_more(
    frames: int, per_frame: float, max_tokens: int, expected: int
) -> None:
    head = unigram([9.0, -3.0, 1.0, 2.0, 0.0, 0.0, 0.0], max_tokens=max_tokens)
    options = SearchOptions(max_tokens_per_frame=per_frame)
    [[found]] = head.search(Frames.whole(torch.randn(1, frames, DIM).double()), options)
    log_probs = torch.tensor([9.0, -3.0, 1.0, 2.0, 0.0, 0.0, 0.0]).log_softmax(-1).tolist()
    assert found.tokens == (3,) * expected  # the blank, though most probable, is never given
    total = expected * log_probs[3] + log_probs[END]
    assert found.score == pytest.approx(total / (expected + 1) ** 0.6, rel=1e-5)


def test_an_opening_may_be_longer_than_its_frames_allow_and_no_token_follows_it() -> None:
    head = unigram([9.0, -3.0, 1.0, 2.0, 0.0, 0.0, 0.0], max_tokens=20)
    opening = Opening(torch.tensor([[4] * 15, [2] * 15]), torch.tensor([15, 1]), torch.ones(VOCAB, dtype=torch.bool))
    found = head.search(Frames.whole(torch.randn(2, 1, DIM).double()), SearchOptions(), opening)
    assert [texts[0].tokens for texts in found] == [(4,) * 15, (2, *(3,) * 10)]


@torch.no_grad()
def test_branches_that_no_text_goes_on_from_are_forgotten_at_every_sixteenth_token() -> None:
    head = head_of("sinusoidal", num_layers=1)
    state = head.begin(Frames.whole(torch.randn(2, 4, DIM).double()))
    state, _ = head.step(state, torch.full((2, 1), END), torch.zeros(2, 1, dtype=torch.int64))
    held = []
    for _ in range(16):
        state, _ = head.step(state, torch.tensor([[2, 3, 4]] * 2), torch.zeros(2, 3, dtype=torch.int64))
        held.append(state.visible.shape[2])
    # Three tokens a step, of which the next leaves two behind; at 16 tokens what no text consists of goes.
    assert held[:14] == [1 + 3 * n for n in range(1, 15)]
    assert held[14:] == [15 + 3, 15 + 6]
    assert state.pasts[0].keys.shape[2] == held[-1]


def test_the_blank_and_the_end_are_those_it_is_given() -> None:
    head = unigram([0.0, 1.0, 5.0, 9.0, 0.0, 0.0, 0.0], blank=3, end=2)
    assert head.search(Frames.whole(torch.randn(1, 4, DIM).double()), SearchOptions())[0] == [
        Hypothesis(
            (), pytest.approx(float(torch.tensor([0.0, 1.0, 5.0, 9.0, 0.0, 0.0, 0.0]).log_softmax(-1)[2]), abs=1e-5)
        )
    ]
    frames, none = Frames.whole(torch.randn(1, 4, DIM).double()), Targets(torch.zeros(1, 0).long(), torch.tensor([0]))
    expected = -float(torch.tensor([0.0, 1.0, 5.0, 9.0, 0.0, 0.0, 0.0]).log_softmax(-1)[2])
    assert head.loss(frames, none).item() == pytest.approx(expected)


def test_a_text_longer_than_the_longest_scores_minus_infinity_and_its_mates_their_own() -> None:
    head, frames = head_of(max_tokens=3), Frames.whole(torch.randn(2, 4, DIM).double())
    tokens = torch.tensor([[2, 3, 4, 5], [2, 3, 4, 6]])
    found = head.score(frames, Targets(tokens, torch.tensor([4, 3])))
    assert found[0].item() == -math.inf
    expected = head.score(frames.rows(torch.tensor([1])), Targets(tokens[1:, :3], torch.tensor([3])))
    torch.testing.assert_close(found[1:], expected)


def test_dropout_acts_on_what_is_embedded_and_what_each_part_adds() -> None:
    head, (frames, targets, _) = head_of(num_layers=1, dropout=0.4), given()
    layer = head.layers[0]
    torch.manual_seed(3)
    found = head.train().logits(frames, targets)
    torch.manual_seed(3)

    def dropped(t: Tensor) -> Tensor:
        return t * keep(t.shape, 0.4, t.dtype, t.device)

    tokens = torch.tensor([[END, 2, 3, 3], [END, 4, END, END]])
    [memory] = head._remember(frames)
    x = dropped(head.embedding.weight[tokens] + torch.stack([place(head, i) for i in range(4)]))
    with torch.no_grad():
        before = layer.eval()
        seen = before.self_attend(None, x, None)[1] - x
        x = x + dropped(seen)
        q = before._query(x)
        cross = torch.nn.functional.scaled_dot_product_attention(q, memory.keys, memory.values, memory.visible)
        x = x + dropped(before.cross_out(cross.transpose(1, 2).flatten(2)))
        fed = before.feed_down(torch.nn.functional.gelu(before.feed_up(before.feed_norm(x))))
        x = x + dropped(fed)
        expected = head.norm(x) @ head.embedding.weight.T
    torch.testing.assert_close(found, expected)


def test_fresh_embeddings_spread_as_gpt_2s_and_places_half_as_far() -> None:
    torch.manual_seed(0)
    head = AttentionDecoderHead(64, 2000, num_layers=1, max_tokens=999)
    assert head.positions is not None
    assert head.positions.weight.shape == (1000, 64)
    for values, std in ((head.embedding.weight.data, 0.02), (head.positions.weight.data, 0.01)):
        assert float(values.std()) == pytest.approx(std, rel=0.02)
        assert abs(float(values.mean())) < 0.02 * std
    assert AttentionDecoderHead(64, 20, positions="sinusoidal").positions is None


def test_its_sizes_are_whispers_unless_asked_otherwise() -> None:
    head = AttentionDecoderHead(8, 20)
    layer = head.layers[0]
    assert (len(head.layers), layer.num_heads, layer.feed_up.out_features) == (6, 4, 32)
    assert (head.blank, head.end, head.max_tokens, head.dropout, head.label_smoothing) == (0, 1, 448, 0.1, 0.0)
    assert layer.dropout == 0.1
    assert head.kind == "attention"
