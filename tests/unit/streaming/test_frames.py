"""Frames, and the frames that a state keeps."""

from __future__ import annotations

import torch

from asr_lab.streaming import Frames, last_valid

NAN = float("nan")


def test_whole_utterances_are_valid_to_their_end_and_final() -> None:
    frames = Frames.whole(torch.zeros(2, 3, 4))
    assert frames.lengths.tolist() == [3, 3]
    assert frames.final.tolist() == [True, True]
    assert frames.batch == 2


def test_valid_hides_what_stands_in_the_padding() -> None:
    x = torch.tensor([[1.0, 2.0, NAN], [NAN, NAN, NAN]])
    frames = Frames.whole(x, torch.tensor([2, 0]))
    assert frames.mask().tolist() == [[True, True, False], [False] * 3]
    assert frames.valid().tolist() == [[1.0, 2.0, 0.0], [0.0, 0.0, 0.0]]
    assert Frames.whole(x[..., None], torch.tensor([2, 0])).valid().shape == (2, 3, 1)


def test_no_gradient_comes_from_the_padding() -> None:
    x = torch.full((1, 3, 2), NAN, requires_grad=True)
    Frames.whole(x, torch.tensor([0])).valid().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() == 0


def test_rows_are_picked_in_any_order() -> None:
    frames = Frames(torch.arange(6.0).view(3, 2), torch.tensor([2, 1, 0]), torch.tensor([True, False, False]))
    picked = frames.rows(torch.tensor([2, 0]))
    assert picked.x.tolist() == [[4.0, 5.0], [0.0, 1.0]]
    assert picked.lengths.tolist() == [0, 2]
    assert picked.final.tolist() == [False, True]


def test_a_state_keeps_each_rows_last_valid_frames() -> None:
    x = torch.tensor([[1.0, 2.0, 3.0, 4.0, NAN], [5.0, 6.0, NAN, NAN, NAN]])  # 2 old frames, up to 3 new ones
    kept = last_valid(x, torch.tensor([2, 0]), 2)
    assert kept.tolist() == [[3.0, 4.0], [5.0, 6.0]]


def test_a_state_of_no_frames_is_empty() -> None:
    assert last_valid(torch.zeros(2, 5, 3), torch.tensor([5, 1]), 0).shape == (2, 0, 3)
