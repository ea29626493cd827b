"""The search with checkpoints and a bound against the search over everything."""

from __future__ import annotations

import resource
import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from asr_lab.nn.ctc import viterbi
from asr_lab.nn.ctc.alignment import align, align_stored
from asr_lab.nn.ctc.emission_store import EmissionStore
from asr_lab.nn.ctc.viterbi import TooLongError


def path_over_everything(log_probs: Tensor, tokens: Sequence[int]) -> list[int]:
    """The best path, every state of every frame kept: the definition."""
    labels = np.zeros(2 * len(tokens) + 1, dtype=np.int64)
    labels[1::2] = tokens
    can_skip = np.zeros(len(labels), dtype=bool)
    can_skip[3::2] = labels[3::2] != labels[1:-2:2]
    scores: npt.NDArray[np.float64] = log_probs.double().numpy()
    best = np.full(len(labels), -np.inf)
    best[:2] = scores[0, labels[:2]]
    moves = np.zeros((len(scores), len(labels)), dtype=np.int8)
    for t in range(1, len(scores)):
        ways = np.full((3, len(labels)), -np.inf)
        ways[0], ways[1, 1:], ways[2, 2:] = best, best[:-1], np.where(can_skip[2:], best[:-2], -np.inf)
        moves[t], best = ways.argmax(0), ways.max(0) + scores[t, labels]
    state = len(labels) - 1 if len(labels) == 1 or best[-1] >= best[-2] else len(labels) - 2
    states = [state]
    for t in range(len(scores) - 1, 0, -1):
        states.append(states[-1] - int(moves[t, states[-1]]))
    return labels[states[::-1]].tolist()


def spoken(
    num_tokens: int, seed: int, sure: float, vocab_size: int = 12, frames_each: int = 4
) -> tuple[Tensor, list[int]]:
    """Frames of a text that a model is more or less sure of, and the text."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(1, vocab_size, num_tokens)
    lengths = rng.integers(2, 2 * frames_each - 1, num_tokens)
    path = np.concatenate([[t] + [0] * (n - 1) for t, n in zip(tokens, lengths, strict=True)])
    logits = rng.normal(0, 1, (len(path), vocab_size))
    logits[np.arange(len(path)), path] += sure
    return torch.from_numpy(logits).float().log_softmax(-1), tokens.tolist()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints and a bound for texts of any length."""
    monkeypatch.setattr(viterbi, "SMALL_CELLS", 0)
    monkeypatch.setattr(viterbi, "BLOCK_FRAMES", 4)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("sure", [0.0, 1.0, 3.0, 8.0])
@pytest.mark.parametrize("margin", [0.0, 5.0, 500.0])
@pytest.mark.parametrize("num_tokens", [1, 2, 7, 60, 301])
def test_the_path_is_that_of_the_search_over_everything(
    num_tokens: int, margin: float, sure: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viterbi, "MARGIN", margin)
    log_probs, tokens = spoken(num_tokens, seed=num_tokens, sure=sure)
    assert list(align(log_probs, tokens).path) == path_over_everything(log_probs, tokens)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seed", range(20))
def test_a_text_of_which_a_part_is_not_there_is_placed_as_by_the_search_over_everything(seed: int) -> None:
    log_probs, tokens = spoken(120, seed, sure=6.0)
    others = spoken(40, seed + 100, sure=6.0)[1]
    text = [*tokens[:30], *others, *tokens[60:90]]  # 30 tokens are not in the text, 40 of it were not spoken
    assert list(align(log_probs, text).path) == path_over_everything(log_probs, text)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("num_frames", range(1, 40))
def test_ties_go_to_the_same_path_at_every_length(num_frames: int) -> None:
    log_probs = torch.zeros(num_frames, 4)
    for tokens in ([], [1], [1, 1], [1, 2, 3, 3]):
        if num_frames >= len(tokens) + 1:
            assert list(align(log_probs, tokens).path) == path_over_everything(log_probs, tokens)


@pytest.mark.usefixtures("small")
def test_a_path_that_cannot_be_is_still_one_of_the_text() -> None:
    log_probs, tokens = spoken(30, seed=1, sure=6.0)
    log_probs[:, tokens[3]] = -torch.inf
    assert [t.token for t in align(log_probs, tokens).tokens] == tokens


@pytest.mark.usefixtures("small")
def test_more_memory_than_is_allowed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    log_probs, tokens = spoken(300, seed=1, sure=0.0)
    monkeypatch.setattr(viterbi, "MAX_BYTES", 1000)
    with pytest.raises(TooLongError, match=r"\d+ frames and 300 tokens are too many to align at once: more than 0 MiB"):
        align(log_probs, tokens)


def test_frames_in_pieces_and_on_disk_are_the_same_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    from asr_lab.nn.ctc import emission_store

    monkeypatch.setattr(emission_store, "MAX_IN_MEMORY_BYTES", 100)
    log_probs, tokens = spoken(300, seed=1, sure=3.0)
    with EmissionStore([*tokens, 0]) as store:
        for piece in log_probs.split(37):
            store.add(piece)
        assert align_stored(store, tokens) == align(log_probs, tokens)


@pytest.mark.prove
@pytest.mark.parametrize("sure", [4.0, 7.0])
def test_three_hours_take_a_time_that_is_linear_and_little_memory(sure: float) -> None:
    figures = []
    for minutes in (45, 90, 180):
        log_probs, tokens = spoken(minutes * 60 * 12, seed=1, sure=sure, vocab_size=30, frames_each=2)
        began_s = time.monotonic()
        align(log_probs, tokens)
        figures.append((minutes, len(log_probs), len(tokens), time.monotonic() - began_s))
        print(*figures[-1], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MB")
    assert figures[-1][-1] < 12 * figures[0][-1]
