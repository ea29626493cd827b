"""A point of an utterance moved in time."""

from __future__ import annotations

import pytest
import torch

from asr_lab.audio.augmentation.spec_augment import TimeWarping, warped_frames


def test_a_point_moves_and_the_ends_stay() -> None:
    old, new = torch.tensor([0.5, 0.5, 0.3]).double(), torch.tensor([0.5, 0.25, 0.4]).double()
    places = warped_frames(old, new, torch.tensor([41, 41, 21]), 41)
    assert torch.allclose(places[0], torch.arange(41.0).double())
    assert torch.allclose(places[1, [0, 10, 40]], torch.tensor([0.0, 20.0, 40.0]).double())
    assert torch.allclose(places[2, [0, 8, 20]], torch.tensor([0.0, 6.0, 20.0]).double())
    assert (places[:2].diff(dim=1) > 0).all()
    assert (places[2, 20:] == 20).all()


def test_frames_stay_and_their_times_change() -> None:
    seconds = torch.arange(100.0)
    frames = torch.exp(-((seconds - 50) ** 2) / 20)[None, :, None].expand(40, 100, 3).contiguous()
    warped = TimeWarping(0.15).features(frames, torch.full((40,), 100), range(40))
    peaks = warped.argmax(dim=1)
    assert (peaks == peaks[:, :1]).all()  # in every band the same
    assert ((peaks > 30) & (peaks < 70)).all()
    assert (peaks[:, 0] < 44).any()
    assert (peaks[:, 0] > 56).any()
    assert (warped.amax(dim=(1, 2)) > 0.95).all()
    assert torch.equal(warped[:, [0, -1]], frames[:, [0, -1]])


@pytest.mark.parametrize("length", [0, 1, 2, 7, 40])
def test_a_row_is_the_same_whatever_is_beside_and_behind_it(length: int) -> None:
    frames, lengths = torch.randn(3, 40, 5), torch.tensor([40, length, 11])
    warp = TimeWarping(0.2)
    together = warp.features(frames, lengths, (3, 4, 5))
    frames[1, length:] = torch.nan
    alone = warp.features(frames[1:2, : max(length, 1)], lengths[1:2], (4,))
    assert torch.equal(together[1, :length], alone[0, :length])
    assert not alone[0, :length].isnan().any()


def test_no_frames_are_no_error() -> None:
    assert TimeWarping(0.1).features(torch.zeros(2, 0, 5), torch.zeros(2, dtype=torch.int64), (1, 2)).shape == (2, 0, 5)
