"""Self-attention against explicit softmax over every pair of frames."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from typing import Literal

import pytest
import torch
from torch import Tensor

from asr_lab.nn.attention import Attention
from asr_lab.nn.positions import sinusoids
from asr_lab.streaming import WHOLE, Context, Frames, cut, run_whole, scan

Position = Literal["relative", "rotary", "none"]
POSITIONS: tuple[Position, ...] = ("relative", "rotary", "none")


def layer_of(position: Position, dim: int = 16, num_heads: int = 2) -> Attention:
    torch.manual_seed(1)
    layer = Attention(dim, num_heads, position, dropout=0.0).double()
    for parameter in layer.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return layer


def distance_scores(layer: Attention, q: Tensor, i: int, seen: list[int]) -> Tensor:
    """The relative scores of queries q (H, K) at frame i for the frames it sees, by their definition: (H, seen)."""
    projected = layer.distance.project(sinusoids(i - torch.tensor(seen), layer.dim, q.dtype))
    return torch.einsum("hk,jhk->hj", q + layer.distance.bias, projected.view(len(seen), *q.shape))


def naive(layer: Attention, x: Tensor, context: Context) -> Tensor:
    """The layer on one row (T, D), pair of frames by pair of frames."""
    frames, heads = len(x), layer.num_heads
    q, k, v = layer.qkv(x).view(frames, 3, heads, -1).unbind(1)
    width = q.shape[-1]
    if layer.position == "rotary":
        theta = torch.arange(frames)[:, None] * 10_000.0 ** -(torch.arange(width // 2, dtype=torch.float64) * 2 / width)
        turn = torch.polar(torch.ones_like(theta), theta)[:, None]

        def rotated(t: Tensor) -> Tensor:
            first, second = t.chunk(2, dim=-1)
            z = torch.complex(first, second) * turn
            return torch.cat([z.real, z.imag], dim=-1)

        q, k = rotated(q), rotated(k)
    out = torch.zeros(frames, heads, width, dtype=x.dtype)
    for i in range(frames):
        seen = visible_frames(i, frames, context)
        scores = torch.einsum("hk,jhk->hj", q[i], k[seen])
        if layer.position == "relative":
            scores = scores + distance_scores(layer, q[i], i, seen)
        out[i] = torch.einsum("hj,jhk->hk", (scores / math.sqrt(width)).softmax(-1), v[seen])
    projected: Tensor = layer.out(out.flatten(1))
    return projected


def visible_frames(i: int, frames: int, context: Context) -> list[int]:
    if context.chunk_frames is None:
        return list(range(frames))
    start = i // context.chunk_frames * context.chunk_frames
    first = 0 if context.left_frames is None else start - context.left_frames
    return [j for j in range(frames) if first <= j < start + context.chunk_frames]


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("context", [WHOLE, Context(3, 5), Context(4, 0), Context(1, 2), Context(4, None)], ids=str)
def test_a_frame_sees_its_chunk_and_the_left_context(position: Position, context: Context) -> None:
    layer = layer_of(position)
    x = torch.randn(1, 14, 16, dtype=torch.float64)
    torch.testing.assert_close(run_whole(layer, Frames.whole(x), context).x[0], naive(layer, x[0], context))


@pytest.mark.parametrize("position", POSITIONS)
def test_many_blocks_of_queries_equal_the_explicit_softmax(position: Position) -> None:
    layer = layer_of(position)
    x = torch.randn(1, 150, 16, dtype=torch.float64)
    context = Context(10, 13)
    torch.testing.assert_close(run_whole(layer, Frames.whole(x), context).x[0], naive(layer, x[0], context))


def test_without_positions_it_is_torchs_attention() -> None:
    layer = layer_of("none")
    theirs = torch.nn.MultiheadAttention(16, 2, batch_first=True, dtype=torch.float64)
    theirs.in_proj_weight.data, theirs.in_proj_bias.data = layer.qkv.weight.data, layer.qkv.bias.data
    theirs.out_proj.weight.data, theirs.out_proj.bias.data = layer.out.weight.data, layer.out.bias.data
    x, lengths = torch.randn(3, 9, 16, dtype=torch.float64), torch.tensor([9, 4, 7])
    frames = Frames.whole(x, lengths)
    mask = frames.mask()
    expected = theirs(x, x, x, key_padding_mask=~mask, need_weights=False)[0]
    torch.testing.assert_close(run_whole(layer, frames, WHOLE).x[mask], expected[mask])


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("context", [WHOLE, Context(4, 6)], ids=str)
def test_rows_without_frames_and_padding_make_no_nan(position: Position, context: Context) -> None:
    layer = layer_of(position)
    x = torch.randn(3, 8, 16, dtype=torch.float64)
    x[0], x[1, 3:] = torch.nan, torch.nan
    x.requires_grad_()
    y = run_whole(layer, Frames.whole(x, torch.tensor([0, 3, 8])), context).x
    gradients = torch.autograd.grad(y.sum(), [x, *layer.parameters()])
    assert y.isfinite().all()
    assert all(g.isfinite().all() for g in gradients)


@pytest.mark.parametrize("position", POSITIONS)
def test_cutting_a_long_row_changes_nothing(position: Position) -> None:
    layer = layer_of(position)
    context = Context(8, 20)
    frames = Frames.whole(torch.randn(3, 400, 16, dtype=torch.float64), torch.tensor([400, 0, 37]))
    whole = run_whole(layer, frames, context)
    steps = [torch.tensor([8 * n, 0, 8]) for n in (1, 0, 3, 12, 2, 32)]
    pieces = scan(layer, cut(frames, steps), context)
    torch.testing.assert_close(pieces.x[frames.mask()], whole.x[frames.mask()], rtol=0, atol=1e-12)


def test_a_step_without_frames_leaves_the_state() -> None:
    layer = layer_of("relative")
    context = Context(4, 6)
    empty = Frames(torch.zeros(2, 0, 16).double(), torch.zeros(2, dtype=torch.int64), torch.zeros(2, dtype=torch.bool))
    state = layer.initial_state(2, context)
    after, out = layer(state, empty, context)
    assert after is state
    assert out.x.shape == (2, 0, 16)


def test_only_a_bounded_past_can_be_carried() -> None:
    layer = layer_of("none")
    assert layer.hop_frames(WHOLE) is None
    assert layer.hop_frames(Context(4, None)) is None
    assert layer.hop_frames(Context(4, 9)) == 4
    assert layer.initial_state(2, Context(4, 9)).keys.shape == (2, 2, 9, 8)


def test_dropout_draws_from_torchs_generator_in_training_only() -> None:
    layer = Attention(16, 2, "relative", dropout=0.5)
    frames = Frames.whole(torch.randn(1, 8, 16))
    runs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        runs.append(run_whole(layer, frames, WHOLE).x)
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])
    layer.eval()
    assert torch.equal(run_whole(layer, frames, WHOLE).x, run_whole(layer, frames, WHOLE).x)


PEAK = """
import sys, torch
torch.set_num_threads(1)
from asr_lab.nn.attention import Attention
from asr_lab.streaming import Context, Frames, run_whole
layer, context = Attention(32, 2, sys.argv[1], dropout=0.0), Context(16, 48)
def peak_mb(frames):
    run_whole(layer, Frames.whole(torch.randn(1, frames, 32)), context).x.sum().backward()
    # The kernel's counter of this address space: getrusage counts what the parent held when it forked.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))
print(*(peak_mb(frames) for frames in (64, 11_250, 22_500, 45_000)))
"""
MAX_PEAK_MB = 300
"""What forward and backward of an hour of frames may take; one float32 for each pair of frames would be 8,100 MB."""


@pytest.mark.parametrize("position", ["relative", "rotary"])
def test_an_hour_takes_memory_linear_in_its_frames(position: str) -> None:
    # Freed blocks go back to the system at once, so that the peak is what was alive, not how the heap was cut up.
    env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    command = [sys.executable, "-c", PEAK, position]
    output = subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout
    start, quarter, half, whole = (float(peak) for peak in output.split())
    assert whole - half < 2.2 * (half - quarter)  # linear: 2 times, quadratic: 4 times
    assert 45_000 * 32 * 4 / 1e6 < whole - start < MAX_PEAK_MB
