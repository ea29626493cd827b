"""Beam search for a decoder that spells a text token by token: all utterances and hypotheses of a batch at once."""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from asr_lab.nn.decoding import Hypothesis, SearchOptions

S = TypeVar("S")


class Speller(Protocol[S]):
    """What gives the next token's logits, and keeps a state of N sequences over B utterances, N a multiple of B."""

    blank: int
    """A token that is never given."""
    end: int
    """The token that ends a text, and stands before its first."""

    def step(self, state: S, tokens: Tensor) -> tuple[S, Tensor]:
        """The next tokens (N, 1) of each sequence; logits of what follows, (N, 1, V)."""

    def select(self, state: S, sequences: Tensor, utterances: Tensor) -> S:
        """The state of these sequences, (n,) numbers below N, over these utterances, (b,) numbers below B."""


class _Live(NamedTuple):
    """The hypotheses that have not ended, b utterances with k each."""

    rows: Tensor  # (b,) int64, numbers of the utterances in the batch
    scores: Tensor  # (b, k) float32, log-probabilities
    tokens: Tensor  # (b, k, 1 + U) int64, the start first


def beam_search(speller: Speller[S], state: S, limits: Tensor, options: SearchOptions) -> list[list[Hypothesis]]:
    """The best complete texts of each utterance, best first, at most `options.beam`.

    `state` holds one sequence per utterance; `limits` (B,) is how many tokens its text may have, 0 = it is empty. A
    hypothesis whose end ranks within the beam is complete; an utterance is done when it has `beam` of them, or at its
    limit, where only the end is allowed. The score is log-probability / (tokens + 1) ** length_penalty, the end
    counting as a token.
    """
    found: list[list[Hypothesis]] = [[] if limit else [Hypothesis((), 0.0)] for limit in limits.tolist()]
    rows = limits.nonzero()[:, 0]
    state = speller.select(state, rows, rows)
    scores = torch.zeros(len(rows), 1, device=limits.device)
    live = _Live(rows, scores, torch.full((len(rows), 1, 1), speller.end, device=limits.device))
    length = 0
    while len(live.rows):
        state, logits = speller.step(state, live.tokens[:, :, -1].reshape(-1, 1))
        last = limits[live.rows] == length
        scores, source, token = _candidates(speller, logits, live, last, options.beam)
        length += 1
        done = _collect(found, live, scores, source, token == speller.end, options, length)
        open_ = (~(done.to(last.device) | last)).nonzero()[:, 0]

        scores, slot = scores.masked_fill(token == speller.end, -torch.inf).topk(min(options.beam, scores.shape[1]))
        source, token = source.gather(1, slot), token.gather(1, slot)
        width = live.scores.shape[1]
        sequences = (torch.arange(len(source), device=source.device)[:, None] * width + source)[open_].flatten()
        state = speller.select(state, sequences, open_)
        tokens = live.tokens.gather(1, source[..., None].expand(-1, -1, length))
        tokens = torch.cat([tokens, token[..., None]], dim=2)
        live = _Live(live.rows[open_], scores[open_], tokens[open_])
    return [sorted(texts, key=lambda h: -h.score)[: options.beam] for texts in found]


def _candidates(
    speller: Speller[S], logits: Tensor, live: _Live, last: Tensor, beam: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The best 2 * beam ways to go on, best first: score, which hypothesis, and its token, each (b, c).

    At most `beam` of them end, so that `beam` go on. Utterances marked in `last`, (b,), can only end.
    """
    vocab_size = logits.shape[2]
    log_probs = logits[:, -1].float().log_softmax(-1).view(*live.scores.shape, vocab_size)
    number = torch.arange(vocab_size, device=logits.device)
    barred = (number == speller.blank) | (last[:, None, None] & (number != speller.end))
    totals = (live.scores[..., None] + log_probs).masked_fill(barred, -torch.inf).flatten(1)
    scores, pick = totals.topk(min(2 * beam, totals.shape[1]))
    return scores, pick // vocab_size, pick % vocab_size


def _collect(
    found: list[list[Hypothesis]],
    live: _Live,
    scores: Tensor,
    source: Tensor,
    ends: Tensor,
    options: SearchOptions,
    length: int,
) -> Tensor:
    """Put candidates that end and rank within the beam into `found`; tells which utterances have enough, (b,) bool."""
    complete = ends & (scores > -torch.inf)
    complete[:, options.beam :] = False
    for r, c in complete.nonzero().tolist():
        tokens = live.tokens[r, source[r, c], 1:].tolist()
        score = scores[r, c].item() / length**options.length_penalty
        found[int(live.rows[r])].append(Hypothesis(tuple(tokens), score))
    return torch.tensor([len(found[row]) >= options.beam for row in live.rows.tolist()], dtype=torch.bool)
