"""Alignments against their definitions: every path of a text, and Whisper's own way to word times."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.ndimage import median_filter

from asr_lab.nn.attention_decoder.cross_alignment import EPSILON, SMOOTHED_FRAMES, align_weights
from asr_lab.nn.ctc.alignment import TokenSpan, WordSpan, align


@pytest.mark.parametrize("blank", [0, 2])
def test_spans_are_the_runs_of_the_best_path_and_as_sure_as_their_frames_on_average(blank: int) -> None:
    text = (1, 1, 3)
    log_probs = torch.randn(7, 4, generator=torch.Generator().manual_seed(3)).double().log_softmax(-1)
    paths = [
        path
        for path in itertools.product(range(4), repeat=7)
        if tuple(t for t, _ in itertools.groupby(path) if t != blank) == text
    ]
    scores = [sum(log_probs[i, t].item() for i, t in enumerate(path)) for path in paths]
    best = paths[max(range(len(paths)), key=lambda n: scores[n])]
    expected, at = [], 0
    for token, run in itertools.groupby(best):
        count = len(list(run))
        if token != blank:
            mean = sum(log_probs[i, token].item() for i in range(at, at + count)) / count
            expected.append(TokenSpan(at, at + count - 1, pytest.approx(math.exp(mean)), token))
        at += count
    found = align(log_probs, text, blank)
    assert found.path == best
    assert found.score == pytest.approx(max(scores))
    assert list(found.tokens) == expected


def test_ties_go_to_the_path_that_is_further_on_in_the_text() -> None:
    even = torch.zeros(5, 3)
    assert align(even, (1, 2)).path == (1, 2, 0, 0, 0)
    assert align(even, (1, 1)).path == (1, 0, 1, 0, 0)


def test_a_words_confidence_is_its_frames_mean_and_no_frame_before_or_behind_counts() -> None:
    path = [0, 1, 1, 1, 0, 2, 0, 3]
    probabilities = torch.full((8, 4), 0.02)
    sure = [0.9, 0.5, 0.4, 0.8, 0.9, 0.3, 0.7, 0.6]
    for t, (token, p) in enumerate(zip(path, sure, strict=True)):
        probabilities[t] = (1 - p) / 3
        probabilities[t, token] = p
    found = align(probabilities.double().log(), (1, 2, 3))
    assert found.path == tuple(path)
    [first, second] = found.words([("ab", 0, 1), ("c", 2, 2)])
    assert first == WordSpan(1, 5, pytest.approx((0.5 * 0.4 * 0.8 * 0.3) ** (1 / 4)), "ab")
    assert second == WordSpan(7, 7, pytest.approx(0.6), "c")


def test_nothing_aligns_to_blanks_and_no_frames_to_nothing() -> None:
    log_probs = torch.tensor([[0.25, 0.75], [0.5, 0.5]]).log()
    found = align(log_probs, ())
    assert (found.tokens, found.path) == ((), (0, 0))
    assert found.score == pytest.approx(math.log(0.125))
    assert align(torch.zeros(0, 3), ()).path == ()


def test_a_path_through_what_cannot_be_is_a_path_of_the_text_and_its_score_says_so() -> None:
    log_probs = torch.tensor([[0.0, -torch.inf, -torch.inf], [-1.0, -torch.inf, -0.5]])
    found = align(log_probs, (1, 2))
    assert found.path == (1, 2)
    assert found.score == -math.inf
    assert [t.confidence for t in found.tokens] == [0.0, pytest.approx(math.exp(-0.5))]


def whispers(weights: np.ndarray) -> list[tuple[int, int]]:
    """Standardised over the tokens, filtered over frames, averaged over heads; then the path of the greatest sum."""
    standard = (weights - weights.mean(1, keepdims=True)) / np.maximum(weights.std(1, keepdims=True), 1e-6)
    matrix = median_filter(standard, size=(1, 1, 3), mode="nearest").mean(0)  # (U + 1, T)
    num_tokens, num_frames = matrix.shape
    bounds = max(
        itertools.combinations(range(1, num_frames), num_tokens - 1),
        key=lambda cuts: sum(
            matrix[i, a:b].sum() for i, (a, b) in enumerate(zip((0, *cuts), (*cuts, num_frames), strict=True))
        ),
    )
    return [(a, b - 1) for a, b in itertools.pairwise((0, *bounds))]


@pytest.mark.parametrize("seed", range(6))
def test_looks_are_aligned_as_whispers(seed: int) -> None:
    weights = torch.randn(3, 4, 12, generator=torch.Generator().manual_seed(seed)).mul(2).softmax(-1)
    weights[:, :, 5] = weights[:, :1, 5]  # a frame that all tokens look at alike tells nothing
    assert align_weights(weights) == whispers(weights.double().numpy())


def test_whispers_filter_is_narrowed_to_what_short_tokens_last() -> None:
    assert (SMOOTHED_FRAMES, EPSILON) == (3, 1e-6)
    assert align_weights(torch.eye(3)[None]) == [(0, 0), (1, 1)]
