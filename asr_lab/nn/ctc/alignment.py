"""Where in the frames each token of a known text is: the most probable CTC alignment."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import attrs
import numpy as np
import numpy.typing as npt
from torch import Tensor

from asr_lab.nn.confidence import mean_confidence
from asr_lab.nn.ctc.emission_store import EmissionStore
from asr_lab.nn.ctc.viterbi import Trellis

READ_FRAMES = 4096
"""Frames that are read back at once."""


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
    with EmissionStore([*tokens, blank]) as emissions:
        emissions.add(log_probs)
        return align_stored(emissions, tokens, blank)


def align_stored(emissions: EmissionStore, tokens: Sequence[int], blank: int = 0) -> Alignment:
    """Align tokens with stored frames, of any number: memory grows with the root of it. ValueError as `align`.

    TooLongError where even so more than a gibibyte would be needed.
    """
    if blank in tokens:
        raise ValueError(f"the blank, token {blank}, cannot be aligned")
    if required_frames(tokens) > emissions.num_frames:
        raise ValueError(
            f"{emissions.num_frames} frames cannot spell {len(tokens)} tokens: {required_frames(tokens)} needed"
        )
    labels = np.full(2 * len(tokens) + 1, emissions.columns[blank])
    labels[1::2] = [emissions.columns[token] for token in tokens]
    states = Trellis(emissions, labels).best_states()
    columns = labels[states]
    on_path = _on_path(emissions, columns)
    spans = []
    for i, token in enumerate(tokens):
        first, end = np.searchsorted(states, (2 * i + 1, 2 * i + 2)).tolist()
        spans.append(TokenSpan(first, end - 1, math.exp(on_path[first:end].mean()), token))
    path = np.array(emissions.tokens)[columns]
    return Alignment(tuple(spans), tuple(path.tolist()), float(on_path.sum()))


def _on_path(emissions: EmissionStore, columns: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The log-probability of one column of each frame, (T,)."""
    parts = [np.zeros(0)]
    for first in range(0, len(columns), READ_FRAMES):
        chosen = columns[first : first + READ_FRAMES]
        parts.append(emissions.rows(first, first + READ_FRAMES)[np.arange(len(chosen)), chosen])
    return np.concatenate(parts)


def _word(text: str, tokens: Sequence[TokenSpan]) -> WordSpan:
    weights = [t.last_frame - t.first_frame + 1 for t in tokens]
    confidence = mean_confidence((t.confidence for t in tokens), weights)
    return WordSpan(tokens[0].first_frame, tokens[-1].last_frame, confidence, text)
