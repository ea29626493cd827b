"""What decoders decide in frames computed offline and streamed: where tokens differ, and whether they may."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

import attrs
import torch
from torch import Tensor

from asr_lab.nn.ctc.head import CTCHead
from asr_lab.nn.decoder import DecoderHead, SearchOptions, Targets
from asr_lab.streaming import Frames
from asr_lab.text.vocabulary import END_ID

MARGIN = 10
"""A token may differ where the best two are closer than this many times the measured difference of their scores."""


@attrs.frozen
class Place:
    """Where a decoder decides otherwise when it streams."""

    utterance: str
    decoder: str
    position: int
    """The encoder frame (CTC), or which token of the text."""
    offline: int
    streamed: int
    """Token numbers; the blank is 0."""
    margin: float
    """How much more probable the best token is than the second, offline, in natural logarithms."""
    near_tie: bool
    """Whether the margin is below `MARGIN` times the measured difference."""


class Decisions(NamedTuple):
    """What one decoder decided twice."""

    num_choices: int
    """Tokens (or blanks) chosen."""
    score_difference: float
    """The largest of any token's log-probability."""
    differing: tuple[Place, ...]


def decide(
    head: DecoderHead, ids: Sequence[str], offline: Frames, streamed: Frames, pieces: Sequence[Frames]
) -> Decisions:
    """Compare what a decoder's greedy search finds in frames that were computed offline and streamed.

    Both have the same lengths; `pieces` are the streamed ones, step by step, and a CTC decoder's search is given these:
    it differs in a frame where it emits another token, and what it emits hangs on the best of this frame and the last.
    Of an attention decoder the first token that differs counts, as later ones follow from it.
    """
    if isinstance(head, CTCHead):
        twice = _frame_by_frame(head, offline, streamed, pieces)
    else:
        twice = _along_text(head, offline, streamed)
    places = []
    for row, at, one, other in twice.found:
        margin = float(twice.margin[row, at])
        places.append(Place(ids[row], head.kind, at, one, other, margin, margin < MARGIN * twice.apart))
    return Decisions(twice.num_choices, twice.apart, tuple(places))


class _Twice(NamedTuple):
    num_choices: int
    apart: float
    """Largest difference of the scores."""
    margin: Tensor  # (B, T), between the best token and the second
    found: list[tuple[int, int, int, int]]
    """Where tokens differ: row, place in it, the token offline, the token streamed."""


def _frame_by_frame(head: CTCHead, offline: Frames, streamed: Frames, pieces: Sequence[Frames]) -> _Twice:
    no_text = Targets(offline.lengths.new_zeros(offline.batch, 0), torch.zeros_like(offline.lengths))
    ours, theirs = (_scores(head, f, no_text) for f in (offline, streamed))
    apart = _largest((ours - theirs[:, : ours.shape[1]]), offline.lengths)
    ours[..., head.end] = -torch.inf  # never given
    margin = _margin(ours)
    margin = torch.minimum(margin, torch.cat([margin[:, :1], margin[:, :-1]], 1))
    emitted = _emissions(head, [offline]), _emissions(head, pieces)
    found = [
        (row, at, first.get(at, head.blank), second.get(at, head.blank))
        for row, (first, second) in enumerate(zip(*emitted, strict=True))
        for at in sorted({*first, *second})
        if first.get(at) != second.get(at)
    ]
    return _Twice(int(offline.lengths.sum()), apart, margin, found)


def _along_text(head: DecoderHead, offline: Frames, streamed: Frames) -> _Twice:
    texts = [[h[0].tokens for h in head.search(f, SearchOptions())] for f in (offline, streamed)]
    targets = Targets.of(texts[0], offline.x.device)
    ours, theirs = (_scores(head, f, targets) for f in (offline, streamed))
    apart = _largest(ours - theirs, targets.lengths + 1)
    found = [
        (row, *difference)
        for row, pair in enumerate(zip(*texts, strict=True))
        if (difference := _first_difference(*pair)) is not None
    ]
    return _Twice(int((targets.lengths + 1).sum()), apart, _margin(ours), found)


def _scores(head: DecoderHead, frames: Frames, targets: Targets) -> Tensor:
    """Log-probabilities, (B, T or U + 1, V)."""
    logits = head.logits(frames, targets)
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)


def _largest(difference: Tensor, lengths: Tensor) -> float:
    valid = torch.arange(difference.shape[1], device=difference.device) < lengths[:, None]
    return float(difference[valid].abs().max()) if bool(valid.any()) else 0.0


def _margin(scores: Tensor) -> Tensor:
    """Between the best token and the second, (B, T)."""
    best = scores.topk(2).values
    return best[..., 0] - best[..., 1]


def _first_difference(ours: Sequence[int], theirs: Sequence[int]) -> tuple[int, int, int] | None:
    """Where two texts differ first, and both tokens there; END_ID behind a text's last."""
    for at, (one, other) in enumerate(zip_longest(ours, theirs, fillvalue=END_ID)):
        if one != other:
            return at, one, other
    return None


def _emissions(head: CTCHead, pieces: Sequence[Frames]) -> list[dict[int, int]]:
    """The tokens of each row by the frames that emitted them, by best path search."""
    search = head.begin(pieces[0].batch, SearchOptions())
    for piece in pieces:
        search.push(piece)
    search.finish()
    return [{e.frame: e.token for e in row} for row in search.drain()]
