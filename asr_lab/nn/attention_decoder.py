"""A transformer decoder that writes the text token by token, looking at all frames (Vaswani et al., 1706.03762)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asr_lab.nn.beam_search import beam_search
from asr_lab.nn.decoding import DecoderHead, Hypothesis, SearchOptions, Targets
from asr_lab.nn.positions import sinusoids
from asr_lab.streaming import Frames

EXTRA_TOKENS = 10
"""Tokens that a search may give beyond those that its frames allow."""
INIT_STD = 0.02
"""Spread of fresh embeddings (GPT-2's): as tied output weights they must not repeat their input loudly."""


class Past(NamedTuple):
    """What a layer's self-attention carries from token to token."""

    keys: Tensor  # (N, H, U, K)
    values: Tensor  # (N, H, U, K)


class Memory(NamedTuple):
    """What a layer's cross-attention looks at, computed once for each utterance."""

    keys: Tensor  # (B, H, T, K)
    values: Tensor  # (B, H, T, K)
    visible: Tensor  # (B, 1, 1, T) bool; no row is without a frame to look at


class DecoderState(NamedTuple):
    """Where a search stands: N = B * beam token sequences over B utterances."""

    pasts: tuple[Past, ...]
    memories: tuple[Memory, ...]


class DecoderLayer(nn.Module):
    """Pre-norm: causal self-attention, attention to the frames, feed-forward."""

    def __init__(self, dim: int, num_heads: int, expansion: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.self_norm = nn.LayerNorm(dim)
        self.self_qkv = nn.Linear(dim, 3 * dim)
        self.self_out = nn.Linear(dim, dim)
        self.cross_norm = nn.LayerNorm(dim)
        self.cross_query = nn.Linear(dim, dim)
        self.cross_kv = nn.Linear(dim, 2 * dim)
        self.cross_out = nn.Linear(dim, dim)
        self.feed_norm = nn.LayerNorm(dim)
        self.feed_up = nn.Linear(dim, expansion * dim)
        self.feed_down = nn.Linear(expansion * dim, dim)
        self.dropout = nn.Dropout(dropout)

    def remember(self, frames: Tensor, visible: Tensor) -> Memory:
        """Keys and values of frames (B, T, D)."""
        keys, values = self.cross_kv(frames).chunk(2, dim=-1)
        return Memory(self._split(keys), self._split(values), visible)

    def forward(self, past: Past, x: Tensor, memory: Memory) -> tuple[Past, Tensor]:
        """The next tokens (N, u, D) of each sequence, after those in `past`; N is a multiple of B."""
        query, key, value = (self._split(t) for t in self.self_qkv(self.self_norm(x)).chunk(3, dim=-1))
        past = Past(torch.cat([past.keys, key], dim=2), torch.cat([past.values, value], dim=2))
        x = x + self.dropout(self.self_out(_join(_attend_causally(query, past))))
        # The sequences of one utterance are so many queries to its frames: nothing is copied.
        query = self.cross_query(self.cross_norm(x)).reshape(memory.keys.shape[0], -1, x.shape[2])
        seen = F.scaled_dot_product_attention(self._split(query), memory.keys, memory.values, attn_mask=memory.visible)
        x = x + self.dropout(self.cross_out(_join(seen).reshape(x.shape)))
        return past, x + self.dropout(self.feed_down(F.gelu(self.feed_up(self.feed_norm(x)))))

    def _split(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, H, T, K)."""
        return x.view(*x.shape[:-1], self.num_heads, -1).transpose(1, 2)


def _join(x: Tensor) -> Tensor:
    """(B, H, T, K) to (B, T, D)."""
    return x.transpose(1, 2).flatten(2)


def _attend_causally(query: Tensor, past: Past) -> Tensor:
    new, known = query.shape[2], past.keys.shape[2]
    if new == known:
        return F.scaled_dot_product_attention(query, past.keys, past.values, is_causal=True)
    mask = None
    if new > 1:
        mask = torch.ones(new, known, dtype=torch.bool, device=query.device).tril(known - new)
    return F.scaled_dot_product_attention(query, past.keys, past.values, attn_mask=mask)


class AttentionDecoderHead(DecoderHead):
    """A transformer decoder over frames (B, T, D), with its embedding as output layer.

    Sequences start from and end with token `end`; the blank is never given. `max_tokens` bounds what a search gives
    and, with learned positions, what can be trained on (ValueError beyond it). Label smoothing, like dropout, acts in
    training only, so that a validation loss is a likelihood.
    """

    kind = "attention"

    def __init__(
        self,
        dim: int,
        vocab_size: int,
        num_layers: int = 6,
        num_heads: int = 4,
        expansion: int = 4,
        dropout: float = 0.1,
        label_smoothing: float = 0.0,
        positions: Literal["learned", "sinusoidal"] = "learned",
        max_tokens: int = 448,
        blank: int = 0,
        end: int = 1,
    ) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"a dimension of {dim} cannot be split over {num_heads} heads")
        self.dim = dim
        self.blank, self.end = blank, end
        self.max_tokens = max_tokens
        self.label_smoothing = label_smoothing
        self.frames_norm = nn.LayerNorm(dim)
        self.embedding = nn.Embedding(vocab_size, dim)
        self.positions = nn.Embedding(max_tokens + 1, dim) if positions == "learned" else None
        self.layers = nn.ModuleList(DecoderLayer(dim, num_heads, expansion, dropout) for _ in range(num_layers))
        self.norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.embedding.weight, std=INIT_STD)
        if self.positions is not None:
            nn.init.normal_(self.positions.weight, std=INIT_STD / 2)

    def begin(self, frames: Frames) -> DecoderState:
        """The state before the first token, one sequence per utterance; frames may be as few as none."""
        x = frames.valid()
        x = self.frames_norm(x if x.shape[1] else x.new_zeros(frames.batch, 1, self.dim))
        first = torch.arange(x.shape[1], device=x.device) == 0
        # A row without a frame looks at the zeros in its padding: attention to nothing would be NaN.
        visible = (torch.arange(x.shape[1], device=x.device) < frames.lengths[:, None]) | first
        memories = tuple(layer.remember(x, visible[:, None, None, :]) for layer in self._layers())
        none = tuple(Past(m.keys[:, :, :0], m.values[:, :, :0]) for m in memories)
        return DecoderState(none, memories)

    def step(self, state: DecoderState, tokens: Tensor) -> tuple[DecoderState, Tensor]:
        """The next tokens (N, u) of each sequence; gives logits of what follows each, (N, u, V)."""
        first = state.pasts[0].keys.shape[2] if state.pasts else 0
        x = self.dropout(self._embed(tokens, first))
        pasts = []
        for layer, past, memory in zip(self._layers(), state.pasts, state.memories, strict=True):
            new, x = layer(past, x, memory)
            pasts.append(new)
        logits = F.linear(self.norm(x), self.embedding.weight)
        return DecoderState(tuple(pasts), state.memories), logits

    def select(self, state: DecoderState, sequences: Tensor, utterances: Tensor) -> DecoderState:
        """The state of these sequences, (n,), over these utterances, (b,)."""
        pasts = tuple(Past(p.keys[sequences], p.values[sequences]) for p in state.pasts)
        if len(utterances) == len(state.memories[0].keys):  # utterances keep their order: these are all of them
            return DecoderState(pasts, state.memories)
        return DecoderState(pasts, tuple(Memory(*(t[utterances] for t in m)) for m in state.memories))

    def logits(self, frames: Frames, targets: Targets) -> Tensor:
        """What follows the start and each token of the targets, (B, U + 1, V)."""
        number = torch.arange(targets.tokens.shape[1], device=targets.tokens.device)
        tokens = torch.where(number < targets.lengths[:, None], targets.tokens, self.end)
        return self.step(self.begin(frames), F.pad(tokens, (1, 0), value=self.end))[1]

    def loss(self, frames: Frames, targets: Targets) -> Tensor:
        """Negative log-likelihood of the tokens and the end of text, (B,) float32."""
        logits = self.logits(frames, targets)
        wanted = F.pad(targets.tokens, (0, 1))  # (B, U + 1)
        number = torch.arange(wanted.shape[1], device=wanted.device)
        wanted = torch.where(number == targets.lengths[:, None], self.end, wanted)
        wanted = torch.where(number > targets.lengths[:, None], -1, wanted)
        losses = F.cross_entropy(
            logits.to(torch.promote_types(logits.dtype, torch.float32)).flatten(0, 1),
            wanted.flatten(),
            ignore_index=-1,
            reduction="none",
            label_smoothing=self.label_smoothing if self.training else 0.0,
        )
        return losses.view_as(wanted).sum(1)

    @torch.no_grad()
    def search(self, frames: Frames, options: SearchOptions) -> list[list[Hypothesis]]:
        """Beam search, complete texts only, scored by log-probability / (tokens + 1) ** length_penalty.

        Beam 1 is greedy. A text ends after `max_tokens_per_frame` tokens a frame, and 10; one without frames is empty.
        """
        limits = (frames.lengths * options.max_tokens_per_frame).long() + EXTRA_TOKENS
        limits = torch.where(frames.lengths > 0, limits.clamp(max=self.max_tokens), 0)
        return beam_search(self, self.begin(frames), limits, options)

    def _embed(self, tokens: Tensor, first: int) -> Tensor:
        number = torch.arange(first, first + tokens.shape[1], device=tokens.device)
        if self.positions is None:
            places = INIT_STD * sinusoids(number, self.dim, self.embedding.weight.dtype)
        elif first + tokens.shape[1] > self.max_tokens + 1:
            raise ValueError(f"a text of {first + tokens.shape[1] - 1} tokens; positions end at {self.max_tokens}")
        else:
            places = self.positions(number)
        embedded: Tensor = self.embedding(tokens) + places
        return embedded

    def _layers(self) -> Sequence[DecoderLayer]:
        return self.layers  # type: ignore[return-value]
