"""Self-attention, number by number: what is seen, by whom, with what weight, and what dropout does to it."""

from __future__ import annotations

import cmath
import math
from typing import Literal

import pytest
import torch
from torch import Tensor

from asr_lab.nn.attention import Attention, Windows
from asr_lab.nn.kernels.dropout import keep
from asr_lab.nn.kernels.softmax_attention import softmax_attention, softmax_attention_by_head
from asr_lab.streaming import WHOLE, Context, Frames, cut, run_whole, scan

Position = Literal["relative", "rotary", "none"]
POSITIONS: list[Position] = ["relative", "rotary", "none"]
CONTEXTS = [WHOLE, Context(4, 8), Context(3, 4), Context(2, 0), Context(3, None)]
DIM, HEADS = 12, 2
WIDTH = DIM // HEADS


def layer_of(position: Position, dropout: float = 0.0) -> Attention:
    torch.manual_seed(5)
    layer = Attention(DIM, HEADS, position, dropout).double()
    for parameter in layer.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return layer.eval()


def turned(x: Tensor, place: int) -> Tensor:
    """RoFormer's rotation of a head's values (K,), value k paired with value k + K / 2."""
    half, out = len(x) // 2, x.clone()
    for k in range(half):
        z = complex(x[k], x[k + half]) * cmath.exp(1j * place * 10_000 ** (-k / half))
        out[k], out[k + half] = z.real, z.imag
    return out


def waves(distance: int) -> Tensor:
    rates = [10_000 ** (-k / (DIM // 2 - 1)) for k in range(DIM // 2)]
    numbers = [math.sin(distance * r) for r in rates] + [math.cos(distance * r) for r in rates]
    return torch.tensor(numbers, dtype=torch.float64)


@torch.no_grad()
def naive(layer: Attention, x: Tensor, context: Context) -> Tensor:
    """Vaswani et al.'s attention over one row (T, D), pair by pair; frames beyond the context have no part in it."""
    q, k, v = ((x @ w.T + b).view(-1, HEADS, WIDTH) for w, b in zip(
        layer.qkv.weight.split(DIM), layer.qkv.bias.split(DIM), strict=True
    ))  # fmt: skip
    rows = []
    for i in range(len(x)):
        chunk = context.chunk_frames or len(x)
        start = i // chunk * chunk
        first = 0 if context.left_frames is None else max(0, start - context.left_frames)
        heads = []
        for h in range(HEADS):
            scores = []
            for j in range(first, min(len(x), start + chunk)):
                a, b = (turned(q[i, h], i), turned(k[j, h], j)) if layer.position == "rotary" else (q[i, h], k[j, h])
                score = a @ b
                if layer.position == "relative":
                    projected = (layer.distance.project.weight @ waves(i - j)).view(HEADS, WIDTH)[h]
                    score = score + (q[i, h] + layer.distance.bias[h]) @ projected
                scores.append(float(score) / math.sqrt(WIDTH))
            weights = [math.exp(s) / sum(map(math.exp, scores)) for s in scores]
            heads.append(sum(w * v[first + n, h] for n, w in enumerate(weights)))
        rows.append(layer.out.weight @ torch.cat(heads) + layer.out.bias)
    return torch.stack(rows)


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("context", CONTEXTS, ids=str)
def test_every_kind_of_position_in_every_kind_of_context(position: Position, context: Context) -> None:
    layer = layer_of(position)
    x = torch.randn(2, 11, DIM).double()
    out = run_whole(layer, Frames.whole(x, torch.tensor([11, 6])), context).x
    torch.testing.assert_close(out[0], naive(layer, x[0], context), rtol=0, atol=1e-12)
    torch.testing.assert_close(out[1, :6], naive(layer, x[1, :6], context), rtol=0, atol=1e-12)


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("grad", [True, False], ids=["in training", "live"])
def test_a_carried_past_weighs_what_it_weighs_in_one_piece(position: Position, grad: bool) -> None:
    layer, context = layer_of(position), Context(3, 4)
    x = torch.randn(1, 11, DIM).double()
    with torch.set_grad_enabled(grad):
        pieces = scan(layer, cut(Frames.whole(x), [torch.tensor([n]) for n in (3, 3, 3, 2)]), context)
    torch.testing.assert_close(pieces.x[0], naive(layer, x[0], context), rtol=0, atol=1e-12)


@pytest.mark.parametrize("position", POSITIONS)
def test_in_training_it_drops_weights_behind_the_softmax_and_what_it_gives(position: Position) -> None:
    layer, x = layer_of(position, dropout=0.4), torch.eye(5, DIM).double()[None]
    with torch.no_grad():  # values of which a frame's sum can be told apart
        layer.qkv.weight[2 * DIM :] = torch.eye(DIM)
        layer.qkv.bias.zero_()
        layer.out.weight.copy_(torch.eye(DIM))
        layer.out.bias.zero_()
    weights = run_whole(layer, Frames.whole(x), WHOLE).x[0, :, :5]  # (T, T): of head 0, frame j in value j
    torch.manual_seed(7)
    found = run_whole(layer.train(), Frames.whole(x), WHOLE).x[0, :, :5]
    torch.manual_seed(7)
    kept = keep((HEADS, 5, 5), 0.4, x.dtype, x.device)
    out = keep((1, 5, DIM), 0.4, x.dtype, x.device)[0, :, :5]
    expected = weights * kept[0] * out
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_a_fresh_state_is_empty_and_a_carried_one_holds_the_newest_frames_last() -> None:
    layer = layer_of("none")
    state = layer.initial_state(2, Context(2, 3))
    assert state.filled.tolist() == [0, 0]
    assert state.keys.abs().sum() == state.values.abs().sum() == 0
    x = torch.randn(2, 4, DIM).double()
    state, _ = layer(state, Frames(x, torch.tensor([4, 2]), torch.tensor([False, False])), Context(2, 3))
    assert state.filled.tolist() == [3, 2]
    k, v = ((x @ layer.qkv.weight.T + layer.qkv.bias)[..., n * DIM : (n + 1) * DIM] for n in (1, 2))
    for carried, made in ((state.keys, k), (state.values, v)):
        rows = carried.transpose(1, 2).flatten(2)
        torch.testing.assert_close(rows[0], made[0, 1:])
        torch.testing.assert_close(rows[1, 1:], made[1, :2])
    for whole in (WHOLE, Context(4, None), Context(4, 0)):
        assert layer.initial_state(1, whole).keys.shape == (1, HEADS, 0, WIDTH)


@pytest.mark.parametrize(
    ("frames", "context", "expected"),
    [
        (10, WHOLE, Windows(1, 10, 0)),
        (1000, Context(8, None), Windows(1, 1000, 0)),
        (64, Context(8, 16), Windows(1, 64, 16)),
        (65, Context(8, 16), Windows(2, 40, 16)),
        (1000, Context(10, 0), Windows(15, 70, 0)),
        (1000, Context(10, 95), Windows(10, 100, 95)),
        (250, Context(100, 230), Windows(1, 250, 230)),
        (301, Context(100, 230), Windows(2, 300, 230)),
        (601, Context(100, 230), Windows(3, 300, 230)),
    ],
    ids=str,
)
def test_a_block_of_queries_is_as_long_as_its_past_and_at_least_64_frames(
    frames: int, context: Context, expected: Windows
) -> None:
    windows = Windows.of(frames, context)
    assert windows == expected
    assert windows.blocks * windows.queries >= frames
    if windows.blocks > 1:
        assert windows.queries % (context.chunk_frames or 1) == 0
        assert windows.queries >= windows.left


def test_masks_are_left_out_only_where_every_query_sees_every_key() -> None:
    x = torch.zeros(1, 4, DIM)
    whole, ragged = Frames.whole(x), Frames.whole(torch.zeros(2, 4, DIM), torch.tensor([4, 3]))
    full, part = torch.tensor([3]), torch.tensor([2])
    assert Windows(1, 4, 0).visible(full, whole, WHOLE) is None
    assert Windows(1, 4, 3).visible(full, whole, Context(4, 3)) is None
    assert Windows(1, 4, 3).visible(part, whole, Context(4, 3)) is not None
    assert Windows(1, 4, 3).visible(full, whole, Context(3, 3)) is not None
    seen = Windows(1, 4, 3).visible(part, whole, Context(2, 3))
    assert seen is not None
    rows = ["0111100", "0111100", "0011111", "0011111"]  # the first of the past is not there
    assert seen.int().tolist() == [[[int(c) for c in row] for row in rows]]
    padded = Windows(1, 4, 0).visible(torch.tensor([0, 0]), ragged, WHOLE)
    assert padded is not None
    assert padded.int().tolist() == [[[1, 1, 1, 1]], [[1, 1, 1, 0]]]


@pytest.mark.parametrize("masked", [True, False])
def test_attention_by_head_is_attention(masked: bool) -> None:
    torch.manual_seed(0)
    q, kv = torch.randn(2, 3, HEADS, 4).double(), torch.randn(2, 5, 2, HEADS, 4).double()
    by_distance = torch.randn(HEADS, 2, 3, 8).double()
    visible = torch.tensor([[[1, 1, 0, 0, 1], [0, 1, 0, 1, 1], [1, 0, 1, 1, 0]]] * 2) > 0 if masked else None
    k, v = (t.transpose(1, 2) for t in kv.unbind(2))
    found = softmax_attention_by_head(q, k, v, visible, by_distance)
    torch.testing.assert_close(found, softmax_attention(q, kv, visible, by_distance, None))
    assert softmax_attention_by_head(q.float(), k, v, visible, by_distance).dtype == torch.float32


def test_heads_that_do_not_divide_the_dimension_are_refused() -> None:
    with pytest.raises(ValueError, match="5 heads do not divide a dimension of 12"):
        Attention(12, 5, "none", 0.0)
