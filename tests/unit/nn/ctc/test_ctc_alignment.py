"""Forced alignment against brute force and against torchaudio."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
import torchaudio
from torch import Tensor

from asr_lab.nn.ctc.alignment import align, required_frames
from asr_lab.tokenizers import CharacterTokenizer


def frames(length: int, vocab_size: int, seed: int) -> Tensor:
    return torch.randn(length, vocab_size, generator=torch.Generator().manual_seed(seed)).log_softmax(-1)


@pytest.mark.parametrize("tokens", [(), (1,), (1, 1), (1, 2, 1), (2, 2, 2)])
def test_the_alignment_is_the_best_of_all(tokens: tuple[int, ...]) -> None:
    log_probs = frames(6, 3, len(tokens))
    scores = {}
    for path in itertools.product(range(3), repeat=6):
        if tuple(t for t, _ in itertools.groupby(path) if t) == tokens:
            scores[path] = sum(log_probs[i, t].item() for i, t in enumerate(path))
    alignment = align(log_probs, tokens)
    best = max(scores, key=lambda p: scores[p])
    assert alignment.path == best
    assert alignment.score == pytest.approx(scores[best])
    assert [t.token for t in alignment.tokens] == list(tokens)


@pytest.mark.parametrize("seed", range(5))
def test_torchaudio_finds_the_same(seed: int) -> None:
    log_probs = frames(80, 12, seed)
    tokens = torch.randint(1, 12, (25,), generator=torch.Generator().manual_seed(seed))
    path, scores = torchaudio.functional.forced_align(log_probs[None], tokens[None], blank=0)
    alignment = align(log_probs, tokens.tolist())
    assert list(alignment.path) == path[0].tolist()
    assert alignment.score == pytest.approx(scores.sum().item(), abs=1e-3)
    for ours, theirs in zip(alignment.tokens, torchaudio.functional.merge_tokens(path[0], scores[0]), strict=True):
        assert (ours.token, ours.first_frame, ours.last_frame + 1) == (theirs.token, theirs.start, theirs.end)
        assert math.log(ours.confidence) == pytest.approx(theirs.score, abs=1e-5)


def test_words_span_their_tokens() -> None:
    tokenizer = CharacterTokenizer()
    tokens = tokenizer.encode("ab c")
    path = [0, tokens[0], tokens[0], 0, tokens[1], tokens[2], 0, tokens[3], 0]
    log_probs = (torch.nn.functional.one_hot(torch.tensor(path), 30) * 5.0).log_softmax(-1)
    words = align(log_probs, tokens).words(tokenizer.words(tokens))
    assert [(w.text, w.first_frame, w.last_frame) for w in words] == [("ab", 1, 4), ("c", 7, 7)]
    assert words[0].confidence == pytest.approx(math.exp(log_probs.max().item()), rel=1e-5)


def test_a_confidence_of_nothing_is_zero() -> None:
    log_probs = torch.tensor([[0.0, -torch.inf], [0.0, -torch.inf]])
    assert align(log_probs, [1]).words([("a", 0, 0)])[0].confidence == 0.0


@pytest.mark.parametrize(("tokens", "needed"), [([], 0), ([3], 1), ([3, 3], 3), ([3, 3, 3, 4], 6), ([1, 2, 1], 3)])
def test_equal_neighbours_need_a_frame_between(tokens: list[int], needed: int) -> None:
    assert required_frames(tokens) == needed
    align(torch.zeros(needed, 5), tokens)
    if needed:
        with pytest.raises(ValueError, match=f"{needed - 1} frames cannot spell"):
            align(torch.zeros(needed - 1, 5), tokens)


def test_the_blank_cannot_be_aligned() -> None:
    with pytest.raises(ValueError, match="blank"):
        align(torch.zeros(5, 5), [1, 0])
