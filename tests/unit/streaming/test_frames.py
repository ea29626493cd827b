"""Frames, and the frames that a state keeps."""

from __future__ import annotations

import pytest
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
    kept = last_valid(x, Frames.whole(x[:, 2:], torch.tensor([2, 0])), 2)
    assert kept.tolist() == [[3.0, 4.0], [5.0, 6.0]]


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_the_state_of_a_full_step_is_the_same_and_never_holds_much_more_than_itself(count: int) -> None:
    x = torch.arange(14.0).view(2, 7)
    full = Frames.whole(x[:, count:])
    kept = last_valid(x, full, count)
    assert full.full
    assert torch.equal(kept, last_valid(x, full._replace(full=False), count))
    assert not count or kept.untyped_storage().nbytes() <= 2 * kept.nbytes


def test_a_state_of_no_frames_is_empty() -> None:
    x = torch.zeros(2, 5, 3)
    assert last_valid(x, Frames.whole(x, torch.tensor([5, 1])), 0).shape == (2, 0, 3)


def test_frames_know_when_nothing_is_padding() -> None:
    x = torch.zeros(2, 3, 1)
    assert Frames.whole(x).full
    assert Frames.whole(x, torch.tensor([3, 3])).full
    assert not Frames.whole(x, torch.tensor([3, 2])).full
    assert Frames.whole(x).rows(torch.tensor([1])).full
    assert Frames.whole(x).with_x(x + 1).full
    assert not Frames.whole(x).with_x(torch.zeros(2, 4, 1)).full


def test_a_step_in_which_every_row_ends_needs_no_state_behind_it() -> None:
    x, lengths = torch.zeros(2, 3, 1), torch.tensor([3, 1])
    assert Frames(x, lengths, torch.tensor([True, True])).ends
    assert not Frames(x, lengths, torch.tensor([True, False])).ends
