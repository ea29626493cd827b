"""Self-attention within a chunk and a bounded past."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asr_lab.nn.kernels.dropout import dropout, keep
from asr_lab.nn.kernels.softmax_attention import softmax_attention, softmax_attention_by_head
from asr_lab.nn.positions import DistanceScores, rotate
from asr_lab.streaming import Context, Frames, Streamable, last_valid

MIN_BLOCK_FRAMES = 64
"""Queries computed together at least: smaller matrix products waste the machine."""


class AttentionState(NamedTuple):
    """What `Attention` carries: each row's last valid frames, the newest last."""

    keys: Tensor  # (B, H, L, K)
    values: Tensor  # (B, H, L, K)
    filled: Tensor  # (B,) int64, how many of the L frames are real


class Windows(NamedTuple):
    """How a step of T frames is cut into blocks of queries, each with the keys that it may see.

    Key w of block n is frame `n * queries + w - left` of the step; frames below 0 are the carried past.
    """

    blocks: int
    queries: int  # frames of a block, Q
    left: int  # frames before the block among its keys, L; the window holds W = L + Q

    @staticmethod
    def of(frames: int, context: Context) -> Windows:
        """As few blocks as keep the memory linear in `frames`: a block of queries is as long as its past."""
        chunk, left = context.chunk_frames, context.left_frames
        if chunk is None or left is None:
            return Windows(1, frames, 0)
        chunks = -(-frames // chunk)
        blocks = -(-chunks // -(-max(left, MIN_BLOCK_FRAMES) // chunk))
        if blocks == 1:
            return Windows(1, frames, left)
        return Windows(blocks, max(-(-chunks // blocks) * chunk, -(-left // chunk) * chunk), left)

    def cut_queries(self, x: Tensor) -> Tensor:
        """(B, T, …) to (B * blocks, Q, …)."""
        x = _pad_frames(x, self.blocks * self.queries)
        return x.reshape(-1, self.queries, *x.shape[2:])

    def cut_keys(self, past: Tensor, x: Tensor) -> Tensor:
        """A past (B, L, …) and a step (B, T, …) to (B * blocks, W, …)."""
        if self.blocks == 1:
            return torch.cat([past, x], dim=1) if self.left else x
        own = _pad_frames(x, self.blocks * self.queries).view(len(x), self.blocks, self.queries, *x.shape[2:])
        before = torch.cat([past[:, None], own[:, :-1, self.queries - self.left :]], dim=1)
        return torch.cat([before, own], dim=2).flatten(0, 1)

    def visible(self, filled: Tensor, chunk: Frames, context: Context) -> Tensor | None:
        """Which keys each query sees: (B * blocks, Q, W) bool, or (B, 1, T) where all queries see the same.

        No query is left without a key: in padding, which is never read, a query sees itself or the first frame. None =
        every query sees every key, where that can be told without waiting for a device.
        """
        one_chunk = self.blocks == 1 and self.queries <= (context.chunk_frames or self.queries)
        if chunk.full and one_chunk and (not self.left or _all_equal(filled, self.left)):
            return None
        lengths, device = chunk.lengths, chunk.lengths.device
        w = torch.arange(self.left + self.queries, device=device)
        first = torch.arange(self.blocks, device=device)[:, None] * self.queries
        frame = first + w - self.left  # (blocks, W), numbered within the step
        real = (frame < lengths[:, None, None]) & (frame >= -filled[:, None, None])  # (B, blocks, W)
        if context.chunk_frames is None:
            return (real | (w == 0)).flatten(0, 1)[:, None]
        q = torch.arange(self.queries, device=device)[:, None]
        chunk_start = q // context.chunk_frames * context.chunk_frames  # (Q, 1), numbered like w
        seen = w < chunk_start + self.left + context.chunk_frames  # (Q, W)
        if context.left_frames is not None:
            seen &= w >= chunk_start
        return ((real[:, :, None] & seen) | (w == q + self.left)).flatten(0, 1)


def _all_equal(x: Tensor, value: int) -> bool:
    """Whether all are; False where a device would have to tell, and in a compiled graph."""
    return not torch.compiler.is_compiling() and x.device.type == "cpu" and bool((x == value).all())


def _pad_frames(x: Tensor, frames: int) -> Tensor:
    missing = frames - x.shape[1]
    return F.pad(x, (0, 0) * (x.ndim - 2) + (0, missing)) if missing else x


class Attention(Streamable[AttentionState]):
    """Multi-head self-attention over the frame's own chunk and the context's left frames: (B, T, D) to (B, T, D).

    Computed in blocks of queries, so memory is linear in T wherever the left context is finite; a whole context is
    one block. Positions enter by distance only, so no frame counter is carried: `relative` as in Transformer-XL
    (Dai et al. 2019), `rotary` as in RoFormer (Su et al. 2021), or none.
    """

    def __init__(
        self, dim: int, num_heads: int, position: Literal["relative", "rotary", "none"], dropout: float
    ) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"{num_heads} heads do not divide a dimension of {dim}")
        self.dim = dim
        self.num_heads = num_heads
        self.position = position
        self.dropout = dropout
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        if position == "relative":
            self.distance = DistanceScores(dim, num_heads)

    def hop_frames(self, context: Context) -> int | None:
        return None if context.left_frames is None else context.chunk_frames

    def initial_state(self, batch: int, context: Context) -> AttentionState:
        carried = self.hop_frames(context) is not None
        left = context.left_frames if carried and context.left_frames else 0
        keys, values = self.zeros(2, batch, self.num_heads, left, self.dim // self.num_heads)
        return AttentionState(keys, values, self.zeros(batch, dtype=torch.int64))

    def forward(self, state: AttentionState, chunk: Frames, context: Context) -> tuple[AttentionState, Frames]:
        frames = chunk.x.shape[1]
        if frames == 0:
            return state, chunk
        q, kv = torch.split(self.qkv(chunk.valid()), [self.dim, 2 * self.dim], dim=-1)
        heads = (self.num_heads, self.dim // self.num_heads)
        q, kv = q.view(chunk.batch, frames, *heads), kv.view(chunk.batch, frames, 2, *heads)
        windows = Windows.of(frames, context)
        visible = windows.visible(state.filled, chunk, context)
        carried = state.keys.shape[2] > 0
        new, joined = state, None
        if carried and not chunk.ends:
            joined = self._joined(state, kv)
            new = self._kept(state, joined, chunk)
        if joined is not None and windows.blocks == 1 and not torch.is_grad_enabled():
            y = self._attend_by_head(q, *joined, visible)
        else:
            past = torch.stack([state.keys, state.values], dim=2).permute(0, 3, 2, 1, 4)  # (B, L, 2, H, K)
            keys = windows.cut_keys(past.to(kv.dtype), kv)
            y = self._attend(windows.cut_queries(q), keys, visible, windows.left)
        y = self.out(y.reshape(chunk.batch, -1, self.dim)[:, :frames])
        y = dropout(y, self.dropout, self.training)
        return new, chunk.with_x(y)

    def _joined(self, state: AttentionState, kv: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of the past and of a step (B, T, 2, H, K): (B, H, L + T, K) each."""
        k, v = (x.transpose(1, 2) for x in kv.unbind(2))
        return torch.cat([state.keys.to(k.dtype), k], dim=2), torch.cat([state.values.to(v.dtype), v], dim=2)

    def _kept(self, state: AttentionState, joined: tuple[Tensor, Tensor], chunk: Frames) -> AttentionState:
        left, dtype = state.keys.shape[2], state.keys.dtype
        keys, values = (last_valid(x.transpose(1, 2), chunk, left).transpose(1, 2).to(dtype) for x in joined)
        return AttentionState(keys, values, (state.filled + chunk.lengths).clamp(max=left))

    def _attend(self, q: Tensor, kv: Tensor, visible: Tensor | None, left: int) -> Tensor:
        """Queries (b, Q, H, K) over keys and values (b, L + Q, 2, H, K): (b, Q, H, K)."""
        rate = self.dropout if self.training else 0.0
        by_distance = self.distance(q, left) if self.position == "relative" else None
        if by_distance is None and (rate == 0 or q.device.type != "cpu"):
            k, v = (x.transpose(1, 2) for x in kv.unbind(2))
            return self._attend_fused(q, k, v, visible, rate)
        if self.position == "rotary":
            w = torch.arange(kv.shape[1], device=q.device)
            q, kv = rotate(q, w[left:]), torch.stack([rotate(kv[:, :, 0], w), kv[:, :, 1]], dim=2)
        # torch has no kernel with gradients for scores by distance, nor on a CPU for dropout.
        rows, queries, heads = q.shape[:3]
        kept = keep((rows * heads, queries, kv.shape[1]), rate, q.dtype, q.device) if rate else None
        return softmax_attention(q, kv, visible, by_distance, kept)

    def _attend_by_head(self, q: Tensor, k: Tensor, v: Tensor, visible: Tensor | None) -> Tensor:
        """The same without gradients and dropout, over keys and values (b, H, L + Q, K) as a stream's state has them.

        A stream's step has few queries and long keys: time goes into reading those, and no copy of them is made.
        """
        if self.position != "relative":
            return self._attend_fused(q, k, v, visible, 0.0)
        by_distance = self.distance(q, k.shape[2] - q.shape[1])
        return softmax_attention_by_head(q, k, v, visible, by_distance)

    def _attend_fused(self, q: Tensor, k: Tensor, v: Tensor, visible: Tensor | None, rate: float) -> Tensor:
        """Queries (b, Q, H, K) over k and v (b, H, L + Q, K) by torch's own kernel: (b, Q, H, K)."""
        if self.position == "rotary":
            w = torch.arange(k.shape[2], device=q.device)
            q = rotate(q, w[len(w) - q.shape[1] :])
            k = rotate(k.transpose(1, 2), w).transpose(1, 2)
        mask = None if visible is None else visible[:, None]
        return F.scaled_dot_product_attention(q.transpose(1, 2), k, v, mask, rate).transpose(1, 2)
