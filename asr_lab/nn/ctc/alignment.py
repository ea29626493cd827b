"""Where in the frames each token of a known text is: the most probable CTC alignment."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import attrs
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from asr_lab.nn.confidence import mean_confidence

IMPOSSIBLE = -1e9
"""Stands for a log-probability of minus infinity, so that a path through it is still a path of the text."""


@attrs.frozen
class Span:
    """A stretch of frames, `first_frame` to `last_frame`, both included."""

    first_frame: int
    last_frame: int
    confidence: float
    """Mean probability of the aligned token over these frames (geometric), 0 to 1."""


@attrs.frozen
class TokenSpan(Span):
    """The frames that one token takes; blanks around it belong to no token."""

    token: int


@attrs.frozen
class WordSpan(Span):
    """From the first frame of a word's first token to the last of its last; confidence over its tokens' frames."""

    text: str


@attrs.frozen
class Alignment:
    """The most probable alignment of a text, by Viterbi."""

    tokens: tuple[TokenSpan, ...]
    path: tuple[int, ...]
    """The token or blank of each frame."""
    score: float
    """Natural logarithm of this alignment's probability."""

    def words(self, words: Sequence[tuple[str, int, int]]) -> tuple[WordSpan, ...]:
        """The frames of words, each given as (text, first token, last token): what a vocabulary's `words` gives."""
        return tuple(_word(text, self.tokens[first : last + 1]) for text, first, last in words)


def required_frames(tokens: Sequence[int]) -> int:
    """Frames that CTC needs to spell the tokens: one each, and a blank between equal neighbours."""
    return len(tokens) + sum(a == b for a, b in itertools.pairwise(tokens))


def align(log_probs: Tensor, tokens: Sequence[int], blank: int = 0) -> Alignment:
    """Align tokens with the log-probabilities (T, V) of one utterance's frames.

    ValueError where the frames are fewer than `required_frames`, or a token is the blank. Ties go to the path that is
    further on in the text.
    """
    if blank in tokens:
        raise ValueError(f"the blank, token {blank}, cannot be aligned")
    if required_frames(tokens) > len(log_probs):
        raise ValueError(f"{len(log_probs)} frames cannot spell {len(tokens)} tokens: {required_frames(tokens)} needed")
    labels = np.full(2 * len(tokens) + 1, blank)
    labels[1::2] = tokens
    scores = log_probs.detach().to("cpu", torch.float64).numpy()
    states = _viterbi(np.maximum(scores, IMPOSSIBLE), labels)
    path = labels[states]
    on_path = scores[np.arange(len(path)), path]  # (T,)
    spans = []
    for i, token in enumerate(tokens):
        first, end = np.searchsorted(states, (2 * i + 1, 2 * i + 2)).tolist()
        spans.append(TokenSpan(first, end - 1, math.exp(on_path[first:end].mean()), token))
    return Alignment(tuple(spans), tuple(path.tolist()), float(on_path.sum()))


def _can_skip(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """States that may follow the last but one: a token after a different token, leaving out the blank between."""
    can = np.zeros(len(labels), dtype=bool)
    can[3::2] = labels[3::2] != labels[1:-2:2]
    return can


def _viterbi(scores: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The best path through (T, V) and labels (S,) that begins in the first two states and ends in the last two.

    Only a byte for each frame and state is kept: texts of an hour have more states than a vocabulary has tokens.
    """
    num_frames, num_states = len(scores), len(labels)
    if num_frames == 0:
        return np.zeros(0, dtype=np.int64)
    can_skip = _can_skip(labels)
    ways = np.full((3, num_states), -np.inf)  # to each state: from itself, from the one before, from that one's
    best = np.full(num_states, -np.inf)
    best[:2] = scores[0, labels[:2]]
    moves = np.zeros((num_frames, num_states), dtype=np.uint8)
    for t in range(1, num_frames):
        ways[0] = best
        ways[1, 1:] = best[:-1]
        ways[2, 2:] = np.where(can_skip[2:], best[:-2], -np.inf)
        moves[t] = ways.argmax(0)
        best = ways.max(0) + scores[t, labels]
    state = num_states - 1 if num_states == 1 or best[-1] >= best[-2] else num_states - 2
    states = np.zeros(num_frames, dtype=np.int64)
    for t in range(num_frames - 1, -1, -1):
        states[t] = state
        state -= int(moves[t, state])
    return states


def _word(text: str, tokens: Sequence[TokenSpan]) -> WordSpan:
    weights = [t.last_frame - t.first_frame + 1 for t in tokens]
    confidence = mean_confidence((t.confidence for t in tokens), weights)
    return WordSpan(tokens[0].first_frame, tokens[-1].last_frame, confidence, text)
