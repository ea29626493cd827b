"""A transformer decoder that writes the text token by token, looking at all frames (Vaswani et al., 1706.03762)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asr_lab.nn.attention_decoder.beam_search import Opening, beam_search
from asr_lab.nn.decoder import DecoderHead, Hypothesis, SearchOptions, Targets
from asr_lab.nn.kernels.dropout import dropout as drop
from asr_lab.nn.positions import sinusoids
from asr_lab.streaming import Frames

EXTRA_TOKENS = 10
"""Tokens that a search may give beyond those that its frames allow."""
PRUNE_TOKENS = 16
"""A search forgets abandoned branches whenever its texts have grown by so much."""
INIT_STD = 0.02
"""Spread of fresh embeddings (GPT-2's): as tied output weights they must not repeat their input loudly."""


class Past(NamedTuple):
    """What a layer's self-attention has seen of an utterance's texts: a tree of P tokens."""

    keys: Tensor  # (B, H, P, K)
    values: Tensor  # (B, H, P, K)


class Memory(NamedTuple):
    """What a layer's cross-attention looks at, computed once for each utterance."""

    keys: Tensor  # (B, H, T, K)
    values: Tensor  # (B, H, T, K)
    visible: Tensor  # (B, 1, 1, T) bool; no row is without a frame to look at


class DecoderState(NamedTuple):
    """Where a search stands: Q texts over each of B utterances, which share what they have in common."""

    pasts: tuple[Past, ...]
    memories: tuple[Memory, ...]
    visible: Tensor  # (B, Q, P) bool, the tokens of the tree that each text consists of
    length: int  # tokens of each text


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
        self.dropout = dropout

    def _dropped(self, x: Tensor) -> Tensor:
        return drop(x, self.dropout, self.training)

    def remember(self, frames: Tensor, visible: Tensor) -> Memory:
        """Keys and values of frames (B, T, D)."""
        keys, values = self.cross_kv(frames).chunk(2, dim=-1)
        return Memory(self._split(keys), self._split(values), visible)

    def forward(self, past: Past | None, x: Tensor, memory: Memory, visible: Tensor | None) -> tuple[Past, Tensor]:
        """Q more tokens (B, Q, D) of each utterance; each sees the `visible` of the past and of these, (B, Q, P + Q).

        Without a past these are one text from its start, of which each token sees those before it and itself.
        """
        past, x = self.self_attend(past, x, visible)
        return past, self.cross_attend(x, memory)

    def self_attend(self, past: Past | None, x: Tensor, visible: Tensor | None) -> tuple[Past, Tensor]:
        """The first half: tokens attend to the text, (B, Q, D)."""
        query, key, value = (self._split(t) for t in self.self_qkv(self.self_norm(x)).chunk(3, dim=-1))
        if past is None or visible is None:
            past = Past(key, value)
            seen = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        else:
            past = Past(torch.cat([past.keys, key], dim=2), torch.cat([past.values, value], dim=2))
            seen = F.scaled_dot_product_attention(query, past.keys, past.values, attn_mask=visible[:, None])
        return past, x + self._dropped(self.self_out(_join(seen)))

    def cross_attend(self, x: Tensor, memory: Memory) -> Tensor:
        """The second half: they attend to the frames, then feed-forward, (B, Q, D)."""
        seen = F.scaled_dot_product_attention(self._query(x), memory.keys, memory.values, attn_mask=memory.visible)
        x = x + self._dropped(self.cross_out(_join(seen)))
        return x + self._dropped(self.feed_down(F.gelu(self.feed_up(self.feed_norm(x)))))

    def cross_weights(self, x: Tensor, memory: Memory) -> Tensor:
        """The weights of the cross-attention over the frames, (B, H, Q, T)."""
        query = self._query(x)
        scores = query @ memory.keys.transpose(2, 3) / math.sqrt(query.shape[3])
        return scores.masked_fill(~memory.visible, -torch.inf).softmax(-1)

    def _query(self, x: Tensor) -> Tensor:
        return self._split(self.cross_query(self.cross_norm(x)))

    def _split(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, H, T, K)."""
        return x.view(*x.shape[:-1], self.num_heads, -1).transpose(1, 2)


def _prune(state: DecoderState) -> DecoderState:
    """Without the tokens that no text of an utterance consists of any more."""
    needed = state.visible.any(1)  # (B, P)
    count = int(needed.sum(1).max())
    index = needed.int().argsort(dim=1, descending=True, stable=True)[:, :count]  # (B, P')
    visible = state.visible.gather(2, index[:, None].expand(-1, state.visible.shape[1], -1))
    pasts = tuple(Past(*(t.take_along_dim(index[:, None, :, None], dim=2) for t in p)) for p in state.pasts)
    return DecoderState(pasts, state.memories, visible, state.length)


def _join(x: Tensor) -> Tensor:
    """(B, H, T, K) to (B, T, D)."""
    return x.transpose(1, 2).flatten(2)


class AttentionDecoderHead(DecoderHead):
    """A transformer decoder over frames (B, T, D), with its embedding as output layer.

    Sequences start from and end with token `end`; the blank is never given. `max_tokens` bounds what a search gives
    and, with learned positions, what can be trained on (ValueError beyond it). Label smoothing, like dropout, acts in
    training only, so that a validation loss is a likelihood.

    With `languages` a sequence names the text's before its first token, by a token of its own behind the V of the
    vocabulary, as Whisper's do (Radford et al., 2212.04356): a search identifies it greedily, or is told.
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
        languages: Sequence[str] = (),
    ) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"a dimension of {dim} cannot be split over {num_heads} heads")
        self.dim = dim
        self.blank, self.end = blank, end
        self.max_tokens = max_tokens
        self.label_smoothing = label_smoothing
        self.vocab_size = vocab_size
        self.languages = tuple(languages)
        self.num_places = max_tokens + 1 + bool(self.languages)
        self.frames_norm = nn.LayerNorm(dim)
        self.embedding = nn.Embedding(vocab_size + len(self.languages), dim)
        self.positions = nn.Embedding(self.num_places, dim) if positions == "learned" else None
        self.layers = nn.ModuleList(DecoderLayer(dim, num_heads, expansion, dropout) for _ in range(num_layers))
        self.norm = nn.LayerNorm(dim)
        self.dropout = dropout
        nn.init.normal_(self.embedding.weight, std=INIT_STD)
        if self.positions is not None:
            nn.init.normal_(self.positions.weight, std=INIT_STD / 2)

    def begin(self, frames: Frames) -> DecoderState:
        """The state before the first token, one text per utterance; frames may be as few as none."""
        memories = self._remember(frames)
        none = tuple(Past(m.keys[:, :, :0], m.values[:, :, :0]) for m in memories)
        visible = torch.zeros(frames.batch, 1, 0, dtype=torch.bool, device=frames.x.device)
        return DecoderState(none, memories, visible, 0)

    def step(self, state: DecoderState, tokens: Tensor, source: Tensor) -> tuple[DecoderState, Tensor]:
        """The next token (B, Q) of each text, which goes on from the text `source`, (B, Q); logits (B, Q, V).

        Nothing is copied from text to text: they are branches of a tree, of which each sees its own.
        """
        state, logits = self._step(state, tokens, source)
        return state, logits[..., : self.vocab_size]

    def _step(self, state: DecoderState, tokens: Tensor, source: Tensor) -> tuple[DecoderState, Tensor]:
        """As `step`, with the logits of languages behind those of the vocabulary."""
        own = torch.eye(tokens.shape[1], dtype=torch.bool, device=tokens.device).expand(len(tokens), -1, -1)
        known = state.visible.gather(1, source[..., None].expand(-1, -1, state.visible.shape[2]))
        visible = torch.cat([known, own], dim=2)
        x = self._embed(tokens, range(state.length, state.length + 1))
        pasts, logits = self._run(state.pasts, x, state.memories, visible)
        state = DecoderState(pasts, state.memories, visible, state.length + 1)
        return (_prune(state) if state.length % PRUNE_TOKENS == 0 else state), logits

    def keep(self, state: DecoderState, utterances: Tensor) -> DecoderState:
        """The state of these utterances, (b,), in their old order."""
        if len(utterances) == len(state.visible):
            return state
        pasts = tuple(Past(*(t[utterances] for t in p)) for p in state.pasts)
        memories = tuple(Memory(*(t[utterances] for t in m)) for m in state.memories)
        return DecoderState(pasts, memories, state.visible[utterances], state.length)

    def logits(self, frames: Frames, targets: Targets) -> Tensor:
        """What follows the start (or the language) and each token of the targets, (B, U + 1, V)."""
        logits = self._logits(frames, self._named(frames, targets))
        return logits[:, 1:, : self.vocab_size] if self.languages else logits

    def _logits(self, frames: Frames, written: Targets) -> Tensor:
        """What follows the start and each token that is written, (B, W + 1, V and the languages)."""
        return self._run((), self._started(written), self._remember(frames), None)[1]

    @torch.no_grad()
    def identify(self, frames: Frames) -> Tensor:
        """The likeliest language of each utterance, its place in `languages`, (B,) int64."""
        return self._identified(self._begun(frames)[1])

    def _begun(self, frames: Frames) -> tuple[DecoderState, Tensor]:
        """The state after the start, and what follows it, (B, 1, V and the languages)."""
        none = torch.zeros(frames.batch, 1, dtype=torch.int64, device=frames.x.device)
        return self._step(self.begin(frames), none + self.end, none)

    def _identified(self, logits: Tensor) -> Tensor:
        return logits[:, 0, self.vocab_size :].argmax(-1)

    def _named(self, frames: Frames, targets: Targets) -> Targets:
        """The targets, each behind its language where languages are named."""
        if not self.languages:
            return targets
        languages = self.identify(frames) if targets.languages is None else targets.languages
        tokens = torch.cat([self.vocab_size + languages[:, None], targets.tokens], dim=1)
        return Targets(tokens, targets.lengths + 1)

    def attention_weights(self, frames: Frames, targets: Targets) -> Tensor:
        """Cross-attention weights of each layer's heads for each token and the end, (B, L, H, U + 1, T)."""
        x, weights = self._started(self._named(frames, targets)), []
        for layer, memory in zip(self._layers(), self._remember(frames), strict=True):
            _, x = layer.self_attend(None, x, None)
            weights.append(layer.cross_weights(x, memory))
            x = layer.cross_attend(x, memory)
        return torch.stack(weights, dim=1)[:, :, :, bool(self.languages) :]

    def loss(self, frames: Frames, targets: Targets) -> Tensor:
        """Negative log-likelihood of the language, where it is named, the tokens and the end of text, (B,) float32."""
        targets = self._named(frames, targets)
        logits = self._logits(frames, targets)
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

    def score(self, frames: Frames, targets: Targets) -> Tensor:
        """Log-probability of given texts, (B,) float32; minus infinity for one longer than `max_tokens`."""
        tokens, lengths = targets.tokens[:, : self.max_tokens], targets.lengths.clamp(max=self.max_tokens)
        known = Targets(tokens, lengths, targets.languages)
        return (-self.loss(frames, known)).masked_fill(targets.lengths > self.max_tokens, -torch.inf)

    @torch.no_grad()
    def search(self, frames: Frames, options: SearchOptions, opening: Opening | None = None) -> list[list[Hypothesis]]:
        """Beam search, complete texts only, scored by log-probability / (tokens + 1) ** length_penalty.

        Beam 1 is greedy. A text ends after `max_tokens_per_frame` tokens a frame, and 10; one without frames is empty,
        or just its `opening`. ValueError for an opening longer than `max_tokens`, or a language that it does not name.
        """
        limits = (frames.lengths * options.max_tokens_per_frame).long() + EXTRA_TOKENS
        limits = torch.where(frames.lengths > 0, limits.clamp(max=self.max_tokens), 0)
        if opening is not None:
            if int(opening.lengths.max()) > self.max_tokens:
                raise ValueError(f"an opening of {int(opening.lengths.max())} tokens; texts end at {self.max_tokens}")
            limits = torch.maximum(limits, opening.lengths)
        if options.language and options.language not in self.languages:
            have = ", ".join(self.languages) or "none"
            raise ValueError(f"the decoder does not name the language {options.language!r} (have: {have})")
        if not self.languages:
            return beam_search(self, self.begin(frames), limits, options, opening)
        state, logits = self._begun(frames)
        if options.language:
            told = torch.full_like(limits, self.vocab_size + self.languages.index(options.language))
            return beam_search(self, state, limits, options, opening, told)
        places = self._identified(logits)
        found = beam_search(self, state, limits, options, opening, self.vocab_size + places)
        names = [self.languages[place] for place in places.tolist()]
        return [[attrs.evolve(h, language=name) for h in one] for one, name in zip(found, names, strict=True)]

    def _remember(self, frames: Frames) -> tuple[Memory, ...]:
        x = frames.valid()
        x = self.frames_norm(x if x.shape[1] else x.new_zeros(frames.batch, 1, self.dim))
        number = torch.arange(x.shape[1], device=x.device)
        # A row without a frame looks at the zeros in its padding: attention to nothing would be NaN.
        visible = (number < frames.lengths[:, None]) | (number == 0)
        return tuple(layer.remember(x, visible[:, None, None, :]) for layer in self._layers())

    def _run(
        self, pasts: tuple[Past, ...], x: Tensor, memories: tuple[Memory, ...], visible: Tensor | None
    ) -> tuple[tuple[Past, ...], Tensor]:
        x = drop(x, self.dropout, self.training)
        new = []
        for i, (layer, memory) in enumerate(zip(self._layers(), memories, strict=True)):
            past, x = layer(pasts[i] if pasts else None, x, memory, visible)
            new.append(past)
        return tuple(new), F.linear(self.norm(x), self.embedding.weight)

    def _started(self, targets: Targets) -> Tensor:
        """The start and the tokens of whole texts, embedded: (B, U + 1, D)."""
        number = torch.arange(targets.tokens.shape[1], device=targets.tokens.device)
        tokens = torch.where(number < targets.lengths[:, None], targets.tokens, self.end)
        return self._embed(F.pad(tokens, (1, 0), value=self.end), range(tokens.shape[1] + 1))

    def _embed(self, tokens: Tensor, places: range) -> Tensor:
        """Tokens (B, Q) at these places of their texts: Q of them, or one that all share."""
        if self.positions is not None and places.stop > self.num_places:
            text = places.stop - 1 - bool(self.languages)
            raise ValueError(f"a text of {text} tokens; positions end at {self.max_tokens}")
        number = torch.arange(places.start, places.stop, device=tokens.device)
        if self.positions is not None:
            known = self.positions(number)
        else:
            known = INIT_STD * sinusoids(number, self.dim, self.embedding.weight.dtype)
        embedded: Tensor = self.embedding(tokens) + known
        return embedded

    def _layers(self) -> Sequence[DecoderLayer]:
        return self.layers  # type: ignore[return-value]
