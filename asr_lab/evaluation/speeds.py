"""Recordings heard at several speeds, and the text that all of them together make likeliest.

What the model has learned of one speed it has not quite learned of another, so that its mistakes differ: in a word that
was said faster than any in training, slower is nearer to what it knows. It is test-time augmentation (Krizhevsky et
al. 2012) by speed perturbation, with the probabilities multiplied.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch

from asr_lab.models.model import SpeechModel
from asr_lab.nn.decoding import Hypothesis
from asr_lab.recipe import Decode
from asr_lab.streaming import Context, Frames

MARGIN = 20.0
"""At one speed no text is further below that speed's likeliest one, in nats: none decides alone."""
TEXTS_AT_ONCE = 64
"""Texts that are scored together: each takes a copy of its utterance's frames."""


@torch.no_grad()
def search_at_speeds(
    model: SpeechModel, hear: Callable[[float], Frames], decode: Decode, context: Context
) -> list[list[Hypothesis]]:
    """Hypotheses of utterances whose features (B, T, F) at a speed `hear` gives, best first.

    What is found at any of `decode.speeds` is scored at all of them, as `decode` scores, and the mean decides; among
    equals, the speed that is named first. Frames of the tokens are known only where one speed is heard.
    """
    speeds = [model.encode_speaking(hear(speed), context) for speed in decode.speeds]
    found = [model.search_encoded(encoded, decode) for encoded in speeds]
    if len(speeds) == 1:
        return found[0]
    texts = [_distinct(hypotheses) for hypotheses in zip(*found, strict=True)]
    every = [(row, text) for row, some in enumerate(texts) for text in some]
    by_text = iter(zip(*(_scores(model, encoded, every, decode) for encoded in speeds), strict=True))
    return [_ranked(some, [next(by_text) for _ in some]) for some in texts]


def _scores(
    model: SpeechModel, encoded: Mapping[str, Frames], texts: Sequence[tuple[int, Sequence[int]]], decode: Decode
) -> list[float]:
    """The scores of texts, each with its row."""
    scores: list[float] = []
    for first in range(0, len(texts), TEXTS_AT_ONCE):
        rows, tokens = zip(*texts[first : first + TEXTS_AT_ONCE], strict=True)
        scores += model.score_encoded(encoded, rows, tokens, decode)
    return scores


def _distinct(found: Sequence[Sequence[Hypothesis]]) -> list[tuple[int, ...]]:
    """The texts of one utterance, each once, in the order of the speeds."""
    return list(dict.fromkeys(h.tokens for hypotheses in found for h in hypotheses))


def _ranked(texts: Sequence[tuple[int, ...]], scores: Sequence[Sequence[float]]) -> list[Hypothesis]:
    """One utterance's texts by the mean of their scores, which are given by text and speed."""
    best = [max(at_speed) for at_speed in zip(*scores, strict=True)]
    heard = [place for place, score in enumerate(best) if math.isfinite(score)]  # at others no text has enough frames

    def mean(of_text: Sequence[float]) -> float:
        return sum(max(of_text[p], best[p] - MARGIN) for p in heard) / len(heard) if heard else -math.inf

    hypotheses = [Hypothesis(text, mean(of_text)) for text, of_text in zip(texts, scores, strict=True)]
    return sorted(hypotheses, key=lambda h: -h.score)
