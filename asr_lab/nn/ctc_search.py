"""Searching CTC's frames for text, with carried state: best path, and prefix beam search."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from asr_lab.nn.decoding import Hypothesis

BLOCK_FRAMES = 32
"""Frames between two looks at which tokens are settled; it bounds the prefixes that are carried."""


class GreedySearch:
    """The most probable alignment, repeats merged and blanks left out; its score is that alignment's."""

    def __init__(self, batch: int, blank: int, device: torch.device) -> None:
        self.blank = blank
        self.last = torch.full((batch,), blank, device=device)
        self.seen = torch.zeros(batch, dtype=torch.int64, device=device)
        self.score = torch.zeros(batch, dtype=torch.float64, device=device)
        self.found: list[list[tuple[int, int]]] = [[] for _ in range(batch)]

    def push(self, log_probs: Tensor, lengths: Tensor) -> None:
        """Go on with log-probabilities (B, T, V), of which each row's first `lengths` count."""
        if log_probs.shape[1] == 0:
            return
        score, token = log_probs.max(-1)  # (B, T)
        valid = torch.arange(token.shape[1], device=token.device) < lengths[:, None]
        before = torch.cat([self.last[:, None], token[:, :-1]], dim=1)
        emitted = valid & (token != self.blank) & (token != before)
        number = self.seen[:, None] + torch.arange(token.shape[1], device=token.device)  # (B, T)
        row = emitted.nonzero()[:, 0]
        for r, t, n in torch.stack([row, token[emitted], number[emitted]], dim=1).tolist():
            self.found[r].append((t, n))
        self.score = self.score + torch.where(valid, score.double(), 0.0).sum(1)
        end = token.gather(1, (lengths - 1).clamp(min=0)[:, None])[:, 0]
        self.last = torch.where(lengths > 0, end, self.last)
        self.seen = self.seen + lengths

    def hypotheses(self) -> list[list[Hypothesis]]:
        """One a row."""
        return [[_hypothesis(f, s)] for f, s in zip(self.found, self.score.tolist(), strict=True)]


class _Beams(NamedTuple):
    """Distinct prefixes of each row, best first; those not yet in use have probability 0."""

    blank: Tensor  # (B, K) float64, log-probability of the alignments that end in a blank
    token: Tensor  # (B, K) float64, of those that end in the last token
    last: Tensor  # (B, K) int64, the last token; -1 for the empty prefix
    key: Tensor  # (B, K) int64, a hash of the prefix
    parent: Tensor  # (B, K) int64, the hash of the prefix without its last token
    num_tokens: Tensor  # (B, K) int64, tokens in `tail`
    tail: Tensor  # (B, K, U, 2) int64, the tokens that are not settled and the frames that emitted them

    @property
    def total(self) -> Tensor:
        """Log-probability of each prefix, (B, K)."""
        return torch.logaddexp(self.blank, self.token)


class PrefixSearch:
    """The most probable prefixes, each summed over all of its alignments that the beam saw (Hannun et al., 1408.2873).

    All rows and prefixes move together. Prefixes are told apart by a 64-bit hash. A prefix grows by a token in at most
    `beam` ways that count, so only a frame's 2 * beam + 2 best tokens are looked at, which loses nothing. What all
    prefixes of a row share is settled and leaves the state.
    """

    def __init__(self, batch: int, beam: int, blank: int, device: torch.device) -> None:
        self.blank = blank
        self.seen = torch.zeros(batch, dtype=torch.int64, device=device)
        self.settled: list[list[tuple[int, int]]] = [[] for _ in range(batch)]
        none = torch.full((batch, beam), -torch.inf, dtype=torch.float64, device=device)
        start = none.clone()
        start[:, 0] = 0.0
        zero = torch.zeros(batch, beam, dtype=torch.int64, device=device)
        tail = torch.zeros(batch, beam, 0, 2, dtype=torch.int64, device=device)
        self.beams = _Beams(start, none, zero - 1, zero + 1, zero, zero, tail)

    def push(self, log_probs: Tensor, lengths: Tensor) -> None:
        """Go on with log-probabilities (B, T, V), of which each row's first `lengths` count."""
        beam = self.beams.num_tokens.shape[1]
        for begin in range(0, log_probs.shape[1], BLOCK_FRAMES):
            block = log_probs[:, begin : begin + BLOCK_FRAMES].double()
            best, tokens = block.topk(min(block.shape[2], 2 * beam + 2))  # (B, t, C)
            self._make_room(block.shape[1])
            for i in range(block.shape[1]):
                step = _step(self.beams, block[:, i], best[:, i], tokens[:, i], self.seen + begin + i, self.blank)
                active = begin + i < lengths
                self.beams = _Beams(*(_where(active, n, o) for n, o in zip(step, self.beams, strict=True)))
            self._settle()
        self.seen = self.seen + lengths

    def hypotheses(self) -> list[list[Hypothesis]]:
        """The prefixes in use of each row, most probable first."""
        found = []
        for settled, row in zip(self.settled, self._rows(), strict=True):
            found.append([_hypothesis(settled + tail, score) for score, tail in row])
        return found

    def _rows(self) -> Iterator[list[tuple[float, list[tuple[int, int]]]]]:
        scores, counts, tails = self.beams.total.tolist(), self.beams.num_tokens.tolist(), self.beams.tail.tolist()
        for row_scores, row_counts, row_tails in zip(scores, counts, tails, strict=True):
            row = zip(row_scores, row_counts, row_tails, strict=True)
            yield [(s, [(t, f) for t, f in tail[:n]]) for s, n, tail in row if s > -math.inf]

    def _make_room(self, frames: int) -> None:
        count, tail = self.beams.num_tokens, self.beams.tail
        room = int(count.max()) + frames - tail.shape[2] if count.numel() else 0
        if room > 0:
            self.beams = self.beams._replace(tail=torch.nn.functional.pad(tail, (0, 0, 0, room)))

    def _settle(self) -> None:
        """Take what all prefixes of a row begin with out of the state."""
        shared = []
        for settled, row in zip(self.settled, self._rows(), strict=True):
            length = 0
            for found in zip(*(tail for _, tail in row), strict=False):  # as far as the shortest goes
                if len({token for token, _ in found}) > 1:
                    break
                length += 1
            settled += row[0][1][:length] if row else []
            shared.append(length)
        drop = torch.tensor(shared, device=self.beams.num_tokens.device)[:, None]  # (B, 1)
        kept = (self.beams.num_tokens - drop).clamp(min=0)
        longest = int(kept.max()) if kept.numel() else 0
        index = drop[:, :, None] + torch.arange(longest, device=drop.device)  # (B, 1, U)
        index = index.clamp(max=max(0, self.beams.tail.shape[2] - 1)).expand(-1, kept.shape[1], -1)
        tail = self.beams.tail.gather(2, index[..., None].expand(-1, -1, -1, 2))
        self.beams = self.beams._replace(num_tokens=kept, tail=tail)


def _step(beams: _Beams, log_probs: Tensor, best: Tensor, tokens: Tensor, frame: Tensor, blank: int) -> _Beams:
    """One frame: every prefix stays (a blank, or its last token again) or grows by a token.

    `log_probs` (B, V); `best` and `tokens` (B, C), the frame's best tokens; `frame` (B,), its number.
    """
    total, last = beams.total, beams.last
    width = last.shape[1]
    again = log_probs.gather(1, last.clamp(min=0))  # (B, K)
    stay_blank = total + log_probs[:, blank, None]
    # Growing from i may give a prefix j that is already there: child[b, i, j].
    child = (beams.parent[:, None, :] == beams.key[:, :, None]) & ((total > -torch.inf) & (last >= 0))[:, None, :]
    grown = _growth(beams, last)  # (B, K, K): i by j's last token
    into = torch.where(child, grown, -torch.inf).amax(1) + again
    stay_token = torch.logaddexp(beams.token + again, into)

    there = (child[:, :, :, None] & (last[:, None, :, None] == tokens[:, None, None, :])).any(2)  # (B, K, C)
    growth = _growth(beams, tokens) + best[:, None, :]
    growth = growth.masked_fill(there | (tokens == blank)[:, None, :], -torch.inf)

    scores = torch.cat([torch.logaddexp(stay_blank, stay_token), growth.flatten(1)], dim=1)
    score, pick = scores.topk(width)
    grows = pick >= width
    rank = (pick - width).clamp(min=0)
    source = torch.where(grows, rank // tokens.shape[1], pick)
    token = tokens.gather(1, rank % tokens.shape[1])

    key, count = beams.key.gather(1, source), beams.num_tokens.gather(1, source)
    tail = beams.tail.gather(1, source[:, :, None, None].expand(-1, -1, *beams.tail.shape[2:]))
    emission = torch.stack([token, frame[:, None].expand_as(token)], dim=-1)  # (B, K, 2)
    here = grows[:, :, None] & (torch.arange(tail.shape[2], device=tail.device) == count[:, :, None])
    return _Beams(
        torch.where(grows, -torch.inf, stay_blank.gather(1, source)),
        torch.where(grows, score, stay_token.gather(1, source)),
        torch.where(grows, token, last.gather(1, source)),
        torch.where(grows, _hash(key, token), key),
        torch.where(grows, key, beams.parent.gather(1, source)),
        count + grows,
        torch.where(here[..., None], emission[:, :, None, :], tail),
    )


def _growth(beams: _Beams, tokens: Tensor) -> Tensor:
    """What prefix i brings when it grows by a token of (B, C): its last token again only across a blank; (B, K, C)."""
    repeats = beams.last[:, :, None] == tokens[:, None, :]
    return torch.where(repeats, beams.blank[:, :, None], beams.total[:, :, None])


def _hash(key: Tensor, token: Tensor) -> Tensor:
    mixed = key * 6364136223846793005 + (token + 1) * 1442695040888963407
    return mixed ^ (mixed >> 29)


def _where(active: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(active.reshape(-1, *(1,) * (new.ndim - 1)), new, old)


def _hypothesis(found: list[tuple[int, int]], score: float) -> Hypothesis:
    return Hypothesis(tuple(t for t, _ in found), score, tuple(f for _, f in found))
