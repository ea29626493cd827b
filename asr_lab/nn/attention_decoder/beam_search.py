"""Beam search for a decoder that spells a text token by token: all utterances and texts of a batch at once."""

from __future__ import annotations

import itertools
from typing import NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from asr_lab.nn.decoder import Hypothesis, SearchOptions

S = TypeVar("S")


class Speller(Protocol[S]):
    """What gives the next token's logits, and keeps a state of Q texts over each of B utterances."""

    blank: int
    """A token that is never given."""
    end: int
    """The token that ends a text, and stands before its first."""

    def step(self, state: S, tokens: Tensor, source: Tensor) -> tuple[S, Tensor]:
        """The next token (B, Q) of each text, which goes on from the text `source` (B, Q); logits (B, Q, V)."""

    def keep(self, state: S, utterances: Tensor) -> S:
        """The state of these utterances, (b,) ascending numbers below B."""


class Opening(NamedTuple):
    """How each utterance's text begins: tokens that a search has no choice in."""

    tokens: Tensor  # (B, P) int64
    lengths: Tensor  # (B,) int64, none included
    then: Tensor  # (V,) bool, what may follow an opening that is not empty, besides the end


class _Live(NamedTuple):
    """The texts that have not ended, b utterances with k each."""

    rows: Tensor  # (b,) int64, numbers of the utterances in the batch
    scores: Tensor  # (b, k) float32, log-probabilities
    tokens: Tensor  # (b, k, 1 + U) int64, the start first
    source: Tensor  # (b, k) int64, which of the utterance's texts of a step ago each goes on from


def beam_search(
    speller: Speller[S],
    state: S,
    limits: Tensor,
    options: SearchOptions,
    opening: Opening | None = None,
    starts: Tensor | None = None,
) -> list[list[Hypothesis]]:
    """The best complete texts of each utterance, best first, at most `options.beam`.

    `state` holds one text per utterance, still without a token; `limits` (B,) is how many it may have, 0 = it is empty.
    A text whose end ranks within the beam is complete; an utterance is done when it has `beam` of them, or at its
    limit, where only the end is allowed. The score is log-probability / (tokens + 1) ** length_penalty, the end
    counting as a token. With an `opening`, no longer than the limit, texts begin with it; its tokens count like others.
    `starts` (B,) are the tokens that stand before each text's first, by default the end of text.
    """
    found = _Found(limits.tolist(), options)
    rows = [row for row, limit in enumerate(found.limits) if limit]
    chosen = _on_device(rows, limits.device)
    state = speller.keep(state, chosen)
    none = torch.zeros(len(rows), 1, dtype=torch.int64, device=limits.device)
    first = none + speller.end if starts is None else starts[chosen, None]
    live = _Live(chosen, none.float(), first[..., None], none)
    length = 0
    while rows:
        state, logits = speller.step(state, live.tokens[:, :, -1], live.source)
        barred = _barred(speller, live, logits.shape[2], limits[live.rows] == length, opening)
        scores, source, token = _candidates(logits, live, barred, options.beam)
        is_end = token == speller.end
        going = found.collect(rows, live, scores, source, is_end, length)
        length += 1

        scores, slot = scores.masked_fill(is_end, -torch.inf).topk(min(options.beam, scores.shape[1]))
        source, token = source.gather(1, slot), token.gather(1, slot)
        tokens = live.tokens.gather(1, source[..., None].expand(-1, -1, length))
        live = _Live(live.rows, scores, torch.cat([tokens, token[..., None]], dim=2), source)
        if len(going) < len(rows):
            chosen = _on_device(going, limits.device)
            state, live = speller.keep(state, chosen), _Live(*(part[chosen] for part in live))
            rows = [rows[place] for place in going]
    return found.hypotheses()


class _Found:
    """The complete texts of each utterance, left on their device until all are there: a step waits for it once."""

    def __init__(self, limits: list[int], options: SearchOptions) -> None:
        self.limits, self.options = limits, options
        self._texts: list[list[tuple[float, Tensor]]] = [[] for _ in limits]

    def collect(
        self, rows: list[int], live: _Live, scores: Tensor, source: Tensor, is_end: Tensor, length: int
    ) -> list[int]:
        """Keep the candidates that end and rank within the beam; the places in `rows` of utterances that go on."""
        beam = self.options.beam
        complete = is_end[:, :beam] & (scores[:, :beam] > -torch.inf)
        ended, values = torch.stack([complete.to(scores.dtype), scores[:, :beam]]).cpu()
        for place, rank in ended.nonzero().tolist():
            score = values[place, rank].item() / (length + 1) ** self.options.length_penalty
            text = live.tokens[place].index_select(0, source[place, rank : rank + 1])[0, 1:]
            self._texts[rows[place]].append((score, text))
        return [
            place
            for place, row in enumerate(rows)
            if len(self._texts[row]) < beam and length < self.limits[row]  # at the limit only the end was allowed
        ]

    def hypotheses(self) -> list[list[Hypothesis]]:
        """Best first, at most `beam`; an utterance that may have no token is empty."""
        texts = [text for found in self._texts for _, text in found]
        tokens = iter(torch.cat(texts).tolist() if texts else [])
        all_found = []
        for found, limit in zip(self._texts, self.limits, strict=True):
            of_row = [Hypothesis(tuple(itertools.islice(tokens, len(text))), score) for score, text in found]
            best = sorted(of_row, key=lambda h: -h.score)[: self.options.beam]
            all_found.append(best if limit else [Hypothesis((), 0.0)])
        return all_found


def _on_device(numbers: list[int], device: torch.device) -> Tensor:
    return torch.tensor(numbers, dtype=torch.int64).to(device, non_blocking=True)


def _barred(speller: Speller[S], live: _Live, vocab_size: int, last: Tensor, opening: Opening | None) -> Tensor:
    """Tokens that may not come next, (b, 1, V) bool. Utterances marked in `last`, (b,), can only end."""
    number = torch.arange(vocab_size, device=last.device)
    barred = (number == speller.blank) | (last[:, None] & (number != speller.end))  # (b, V)
    if opening is not None:
        length, lengths = live.tokens.shape[2] - 1, opening.lengths[live.rows]
        if length < opening.tokens.shape[1]:
            others = number != opening.tokens[live.rows, length, None]
            barred = torch.where((length < lengths)[:, None], others, barred)
        follows = (length == lengths) & (lengths > 0)
        barred = barred | (follows[:, None] & ~(opening.then | (number == speller.end)))
    return barred[:, None]


def _candidates(logits: Tensor, live: _Live, barred: Tensor, beam: int) -> tuple[Tensor, Tensor, Tensor]:
    """The best 2 * beam ways to go on, best first: score, which text, and its token, each (b, c).

    At most `beam` of them end, so that `beam` go on.
    """
    vocab_size = logits.shape[2]
    log_probs = logits.float().log_softmax(-1)  # (b, k, V)
    totals = (live.scores[..., None] + log_probs).masked_fill(barred, -torch.inf).flatten(1)
    scores, pick = totals.topk(min(2 * beam, totals.shape[1]))
    return scores, pick // vocab_size, pick % vocab_size
