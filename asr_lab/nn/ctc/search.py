"""Searching CTC's frames for text, with carried state: best path, and prefix beam search."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from asr_lab.nn.ctc.token_search import TokenSearch
from asr_lab.nn.decoder import Emission, Hypothesis

BLOCK_FRAMES = 32
"""Frames after which final tokens leave the state at the latest; it changes no result."""


class GreedyState(NamedTuple):
    """What best path search carries."""

    last: Tensor  # (B,) int64, token or blank of the last frame
    seen: Tensor  # (B,) int64, frames so far
    score: Tensor  # (B,) float64, log-probability of the path


class GreedySearch(TokenSearch[GreedyState]):
    """The most probable alignment, repeats merged and blanks left out; its score is that alignment's.

    Every token is final at once, in the first frame of its run.
    """

    def __init__(self, batch: int, blank: int, device: torch.device) -> None:
        self.blank = blank
        zero = torch.zeros(batch, dtype=torch.int64, device=device)
        self.state = GreedyState(zero + blank, zero, zero.double())
        self.final = [[] for _ in range(batch)]

    def push(self, log_probs: Tensor, lengths: Tensor) -> None:
        if log_probs.shape[1] == 0:
            return
        last, seen, total = self.state
        score, token = log_probs.max(-1)  # (B, T)
        number = torch.arange(token.shape[1], device=token.device)
        valid = number < lengths[:, None]
        before = torch.cat([last[:, None], token[:, :-1]], dim=1)
        emitted = valid & (token != self.blank) & (token != before)
        # One copy to the host for all that it needs; doubles hold the numbers exactly.
        parts = (emitted, token, seen[:, None] + number, score.exp())
        there, *found = torch.stack([part.double() for part in parts]).cpu()
        for row, frame in there.nonzero().tolist():
            t, n, sure = (part[row, frame].item() for part in found)
            self.final[row].append(Emission(int(t), int(n), sure))
        total = total + torch.where(valid, score.double(), 0.0).sum(1)
        end = token.gather(1, (lengths - 1).clamp(min=0)[:, None])[:, 0]
        self.state = GreedyState(torch.where(lengths > 0, end, last), seen + lengths, total)

    def interim(self) -> list[list[Emission]]:
        return [[] for _ in self.final]

    def hypotheses(self) -> list[list[Hypothesis]]:
        return [[_hypothesis(f, s)] for f, s in zip(self.final, self.state.score.tolist(), strict=True)]

    def finalise(self, rows: Sequence[int]) -> None:
        """No token is interim."""

    def fresh(self, batch: int) -> Self:
        return type(self)(batch, self.blank, self.state.last.device)


class PrefixState(NamedTuple):
    """Distinct prefixes of each row, best first; those not in use have probability 0."""

    blank: Tensor  # (B, K) float64, log-probability of the alignments that end in a blank
    token: Tensor  # (B, K) float64, of those that end in the last token
    last: Tensor  # (B, K) int64, the last token; -1 for the empty prefix
    key: Tensor  # (B, K) int64, a hash of the prefix
    parent: Tensor  # (B, K) int64, the hash of the prefix without its last token
    num_tokens: Tensor  # (B, K) int64, tokens in the tail
    seen: Tensor  # (B,) int64, frames so far
    tail: Tensor  # (B, K, U, 2) int64, the interim tokens and the frames that emitted them
    sure: Tensor  # (B, K, U) float64, log-probability of each in its frame

    @property
    def total(self) -> Tensor:
        """Log-probability of each prefix, (B, K)."""
        return torch.logaddexp(self.blank, self.token)


class PrefixSearch(TokenSearch[PrefixState]):
    """The most probable prefixes, each summed over all of its alignments that the beam saw (Hannun et al., 1408.2873).

    All rows and prefixes move together. Prefixes are told apart by a 64-bit hash. A prefix grows by a token in at most
    `beam` ways that count, so only a frame's 2 * beam + 2 best tokens are looked at, which loses nothing.

    After every frame of a row, what all of its prefixes begin with is final. So are, whatever the others hold, the
    tokens that its best prefix emitted `max_interim_frames` ago; prefixes that differ in tokens that old are dropped.
    The tail is so bounded, and a token is final at most that many frames after it was emitted. The best text does not
    suffer: CTC's frames are independent, so what comes later weighs alike on prefixes that differ only in the past, and
    those that are dropped make room for others. What an n-best list loses is alternatives that old.
    A token's frame is the one that brought its prefix more than it had before; a final token has the best prefix's.
    """

    def __init__(self, batch: int, beam: int, blank: int, device: torch.device, max_interim_frames: int = 64) -> None:
        if max_interim_frames < 1:
            raise ValueError(f"max_interim_frames must be at least 1, got {max_interim_frames}")
        self.blank = blank
        self.max_interim_frames = max_interim_frames
        self.final = [[] for _ in range(batch)]
        none = torch.full((batch, beam), -torch.inf, dtype=torch.float64, device=device)
        start = none.clone()
        start[:, 0] = 0.0
        zero = torch.zeros(batch, beam, dtype=torch.int64, device=device)
        tail = torch.zeros(batch, beam, 0, 2, dtype=torch.int64, device=device)
        self.state = PrefixState(
            start, none, zero - 1, zero + 1, zero, zero, zero.new_zeros(batch), tail, tail[..., 0].double()
        )

    def push(self, log_probs: Tensor, lengths: Tensor) -> None:
        beam = self.state.last.shape[1]
        for begin in range(0, log_probs.shape[1], BLOCK_FRAMES):
            block = log_probs[:, begin : begin + BLOCK_FRAMES].double()
            best, tokens = block.topk(min(block.shape[2], 2 * beam + 2))  # (B, t, C)
            self._make_room(block.shape[1])
            num_final = torch.zeros_like(self.state.seen)
            for i in range(block.shape[1]):
                grown = _step(self.state, block[:, i], best[:, i], tokens[:, i], self.blank)
                grown, reached = _finalise(grown, num_final, self.max_interim_frames)
                active = begin + i < lengths
                pairs = zip(grown, self.state, strict=True)
                self.state = PrefixState(*(_where(active, new, old) for new, old in pairs))
                num_final = _where(active, reached, num_final)
            self._take_out(num_final)

    def interim(self) -> list[list[Emission]]:
        return [row[0][1] if row else [] for row in self._rows()]

    def hypotheses(self) -> list[list[Hypothesis]]:
        found = []
        for final, row in zip(self.final, self._rows(), strict=True):
            found.append([_hypothesis(final + tail, score) for score, tail in row])
        return found

    def finalise(self, rows: Sequence[int]) -> None:
        """The best prefix of these rows wins, the others are dropped."""
        chosen = torch.zeros_like(self.state.seen, dtype=torch.bool)
        chosen[list(rows)] = True
        others = chosen[:, None] & (torch.arange(self.state.last.shape[1], device=chosen.device) > 0)
        blank, token = (x.masked_fill(others, -torch.inf) for x in (self.state.blank, self.state.token))
        self.state = self.state._replace(blank=blank, token=token)
        self._take_out(torch.where(chosen, self.state.num_tokens[:, 0], 0))

    def fresh(self, batch: int) -> Self:
        beam, device = self.state.last.shape[1], self.state.last.device
        return type(self)(batch, beam, self.blank, device, self.max_interim_frames)

    def alike(self, states: list[PrefixState]) -> list[PrefixState]:
        room = max(s.tail.shape[2] for s in states)
        return [_with_room(s, room) for s in states]

    def _rows(self) -> Iterator[list[tuple[float, list[Emission]]]]:
        """Each row's prefixes in use: their log-probabilities and tails, best first."""
        parts = (self.state.total, self.state.num_tokens, self.state.tail, self.state.sure.exp())
        for scores, counts, tails, sure in zip(*(p.tolist() for p in parts), strict=True):
            prefixes = zip(scores, counts, tails, sure, strict=True)
            yield [(s, _emissions(t[:n], c[:n])) for s, n, t, c in prefixes if s > -math.inf]

    def _make_room(self, num_frames: int) -> None:
        longest = int(self.state.num_tokens.max()) if self.state.num_tokens.numel() else 0
        self.state = _with_room(self.state, longest + num_frames)

    def _take_out(self, num_final: Tensor) -> None:
        """Move each row's first tokens out of the state; all of its prefixes in use begin with them."""
        tails, sure = self.state.tail[:, 0].tolist(), self.state.sure[:, 0].exp().tolist()
        for final, count, tail, confidence in zip(self.final, num_final.tolist(), tails, sure, strict=True):
            final += _emissions(tail[:count], confidence[:count])
        kept = (self.state.num_tokens - num_final[:, None]).clamp(min=0)
        longest = int(kept.max()) if kept.numel() else 0
        place = num_final[:, None, None] + torch.arange(longest, device=kept.device)  # (B, 1, U)
        place = place.clamp(max=max(0, self.state.tail.shape[2] - 1)).expand(-1, kept.shape[1], -1)
        tail = self.state.tail.gather(2, place[..., None].expand(-1, -1, -1, 2))
        self.state = self.state._replace(num_tokens=kept, tail=tail, sure=self.state.sure.gather(2, place))


def _step(state: PrefixState, log_probs: Tensor, best: Tensor, tokens: Tensor, blank: int) -> PrefixState:
    """One frame: every prefix stays (a blank, or its last token again) or grows by a token.

    `log_probs` (B, V); `best` and `tokens` (B, C), the frame's best tokens.
    """
    total, last = state.total, state.last
    width = last.shape[1]
    again = log_probs.gather(1, last.clamp(min=0))  # (B, K)
    stay_blank = total + log_probs[:, blank, None]
    # Growing from i may give a prefix j that is already there: child[b, i, j].
    child = (state.parent[:, None, :] == state.key[:, :, None]) & ((total > -torch.inf) & (last >= 0))[:, None, :]
    grown = _growth(state, last)  # (B, K, K): i by j's last token
    into = torch.where(child, grown, -torch.inf).amax(1) + again
    # What comes in outweighs what was there: the token is emitted now, and was not at the frame noted for it.
    moves = into > torch.logaddexp(stay_blank, state.token + again)
    stay_token = torch.logaddexp(state.token + again, into)

    there = (child[:, :, :, None] & (last[:, None, :, None] == tokens[:, None, None, :])).any(2)  # (B, K, C)
    growth = _growth(state, tokens) + best[:, None, :]
    growth = growth.masked_fill(there | (tokens == blank)[:, None, :], -torch.inf)

    scores = torch.cat([torch.logaddexp(stay_blank, stay_token), growth.flatten(1)], dim=1)
    score, pick = scores.topk(width)
    grows = pick >= width
    rank = (pick - width).clamp(min=0)
    source = torch.where(grows, rank // tokens.shape[1], pick)
    token = torch.where(grows, tokens.gather(1, rank % tokens.shape[1]), last.gather(1, source))
    sure = torch.where(grows, best.gather(1, rank % tokens.shape[1]), again.gather(1, source))
    emits = grows | moves.gather(1, source)

    key = state.key.gather(1, source)
    shorter = torch.where(emits & ~grows, child.long().argmax(1).gather(1, source), source)  # whose tail is continued
    count = state.num_tokens.gather(1, shorter)
    tail = state.tail.gather(1, shorter[:, :, None, None].expand(-1, -1, *state.tail.shape[2:]))
    old_sure = state.sure.gather(1, shorter[:, :, None].expand(-1, -1, state.sure.shape[2]))
    emission = torch.stack([token, state.seen[:, None].expand_as(token)], dim=-1)  # (B, K, 2)
    here = emits[:, :, None] & (torch.arange(tail.shape[2], device=tail.device) == count[:, :, None])
    return PrefixState(
        torch.where(grows, -torch.inf, stay_blank.gather(1, source)),
        torch.where(grows, score, stay_token.gather(1, source)),
        token,
        torch.where(grows, _hash(key, token), key),
        torch.where(grows, key, state.parent.gather(1, source)),
        torch.where(score > -torch.inf, count + emits, 0),
        state.seen + 1,
        torch.where(here[..., None], emission[:, :, None, :], tail),
        torch.where(here, sure[:, :, None], old_sure),
    )


def _finalise(state: PrefixState, num_final: Tensor, max_interim_frames: int) -> tuple[PrefixState, Tensor]:
    """Finalise after a frame: the state, in which all prefixes in use begin with the final tokens; their number (B,).

    `num_final` (B,) of the tail's first tokens are final already.
    """
    place = torch.arange(state.tail.shape[2], device=state.tail.device)
    token, frame = state.tail.unbind(-1)  # (B, K, U)
    there = place < state.num_tokens[:, :, None]
    same = there & (token == token[:, :1])
    old = there & (place >= num_final[:, None, None]) & (frame < (state.seen - max_interim_frames)[:, None, None])
    due = num_final + old[:, 0].sum(1)  # the best prefix's
    before_due = place < due[:, None, None]
    dropped = ((before_due & ~same) | (old & ~before_due)).any(2)
    blank, last_token = (x.masked_fill(dropped, -torch.inf) for x in (state.blank, state.token))
    in_use = torch.maximum(blank, last_token) > -torch.inf

    shared = there[:, 0] & (same | ~in_use[:, :, None]).all(1)  # (B, U)
    reached = shared.long().cumprod(1).sum(1)
    is_new = ((place >= num_final[:, None]) & (place < reached[:, None]))[:, None]  # (B, 1, U)
    frame = torch.where(is_new, frame[:, :1], frame)
    # Where another prefix becomes the best one later, its tokens may not be earlier than the final ones.
    latest = torch.where(is_new, frame[:, :1], -1).amax(2, keepdim=True)
    frame = torch.where(place < reached[:, None, None], frame, torch.maximum(frame, latest))
    sure = torch.where(is_new, state.sure[:, :1], state.sure)
    tail = torch.stack([token, frame], dim=-1)
    return state._replace(blank=blank, token=last_token, tail=tail, sure=sure), reached


def _growth(state: PrefixState, tokens: Tensor) -> Tensor:
    """What prefix i brings when it grows by a token of (B, C): its last token again only across a blank; (B, K, C)."""
    repeats = state.last[:, :, None] == tokens[:, None, :]
    return torch.where(repeats, state.blank[:, :, None], state.total[:, :, None])


def _hash(key: Tensor, token: Tensor) -> Tensor:
    mixed = key * 6364136223846793005 + (token + 1) * 1442695040888963407
    return mixed ^ (mixed >> 29)


def _where(active: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(active.reshape(-1, *(1,) * (new.ndim - 1)), new, old)


def _with_room(state: PrefixState, room: int) -> PrefixState:
    more = max(0, room - state.tail.shape[2])
    return state._replace(tail=F.pad(state.tail, (0, 0, 0, more)), sure=F.pad(state.sure, (0, more)))


def _emissions(tail: Sequence[Sequence[int]], confidence: Sequence[float]) -> list[Emission]:
    return [Emission(t, f, c) for (t, f), c in zip(tail, confidence, strict=True)]


def _hypothesis(found: Sequence[Emission], score: float) -> Hypothesis:
    return Hypothesis(tuple(e.token for e in found), score, tuple(e.frame for e in found))
