"""What a state holds on to, and what contexts and frames are at their edges."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from asr_lab.streaming import WHOLE, Context, Frames, last_valid


@pytest.mark.parametrize(("count", "is_view"), [(3, False), (4, True), (5, True)])
def test_a_state_is_a_view_where_that_holds_no_more_than_twice_its_size(count: int, is_view: bool) -> None:
    x = torch.arange(16.0).view(2, 8)
    kept = last_valid(x, Frames.whole(x[:, count:]), count)
    assert kept.tolist() == x[:, 8 - count :].tolist()
    assert (kept.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()) is is_view
    part = last_valid(x, Frames.whole(x[:, count:], torch.tensor([8 - count, 8 - count - 1])), count)
    assert part.tolist() == [x[0, 8 - count :].tolist(), x[1, 7 - count : 7].tolist()]


def test_a_context_scales_with_the_rate_and_without_limits_stays_without() -> None:
    assert Context(6, 9).after(Fraction(2, 3)) == Context(4, 6)
    assert Context(6, 0).after(Fraction(1, 6)) == Context(1, 0)
    assert Context(4, None).after(Fraction(1, 2)) == Context(2, None)
    assert WHOLE.after(Fraction(1, 7)) == WHOLE == Context(None, None)
    assert WHOLE.is_whole
    assert not Context(4, None).is_whole


def test_frames_of_samples_have_a_mask_and_zeros_in_their_padding() -> None:
    frames = Frames.whole(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([1, 2]))
    assert frames.valid().tolist() == [[1.0, 0.0], [3.0, 4.0]]
    assert Frames.whole(frames.x).valid() is frames.x  # nothing is copied where nothing is padding
    assert frames.ends
    assert frames.mask().dtype == torch.bool
