"""What every decoder head has, and where a search begins from when nothing is said."""

from __future__ import annotations

import pytest
import torch

from asr_lab.nn.decoder import DecoderHead, SearchOptions, Targets
from asr_lab.streaming import Frames


def test_a_search_is_greedy_and_bounded_unless_asked_otherwise() -> None:
    options = SearchOptions()
    assert (options.beam, options.length_penalty) == (1, 0.6)
    assert (options.max_tokens_per_frame, options.max_interim_frames) == (1.0, 64)


def test_a_score_is_the_loss_with_its_sign_turned() -> None:
    class Known(DecoderHead):
        def loss(self, frames: Frames, targets: Targets) -> torch.Tensor:
            return torch.tensor([2.0, -1.5])

    frames, targets = Frames.whole(torch.zeros(2, 1, 1)), Targets(torch.zeros(2, 1).long(), torch.tensor([0, 0]))
    assert Known().score(frames, targets).tolist() == [-2.0, 1.5]


def test_a_head_says_what_it_does_not_do() -> None:
    head, frames = DecoderHead(), Frames.whole(torch.zeros(1, 1, 1))
    targets = Targets(torch.zeros(1, 1).long(), torch.tensor([0]))
    for call in (lambda: head.loss(frames, targets), lambda: head.logits(frames, targets)):
        with pytest.raises(NotImplementedError):
            call()
    with pytest.raises(NotImplementedError):
        head.search(frames, SearchOptions())
