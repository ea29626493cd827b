"""The frequency axis warped as by another vocal tract."""

from __future__ import annotations

import torch

from asr_lab.audio.vocal_tract import VocalTractPerturbation, warped_bins


def test_a_warp_is_a_factor_up_to_the_knee_and_keeps_both_ends() -> None:
    places = warped_bins(torch.tensor([1.0, 1.1, 0.9], dtype=torch.float64), 41)
    assert torch.equal(places[0], torch.arange(41.0, dtype=torch.float64))
    assert torch.allclose(places[1, :29], 1.1 * torch.arange(29.0, dtype=torch.float64))
    assert torch.allclose(places[2, :33], 0.9 * torch.arange(33.0, dtype=torch.float64))
    assert torch.allclose(places[:, [0, -1]], torch.tensor([0.0, 40.0], dtype=torch.float64))
    assert (places.diff(dim=1) > 0).all()


def test_a_peak_moves_by_its_rows_factor() -> None:
    bins = torch.arange(80.0)
    frames = torch.exp(-((bins - 30) ** 2) / 40).expand(3, 5, 80)
    lengths = torch.tensor([5, 5, 5])
    warp = VocalTractPerturbation(0.2)
    heard = warp.features(frames, lengths, (7, 8, 9))
    peaks = heard.argmax(dim=2)
    assert (peaks == peaks[:, :1]).all()  # at every time the same
    assert len(set(peaks[:, 0].tolist())) > 1  # each row its own
    assert (heard.amax(dim=(1, 2)) > 0.98).all()
    assert ((peaks > 24) & (peaks < 38)).all()
    assert (peaks != 30).any()
    assert torch.equal(warp.features(frames[1:2], lengths[:1], (8,)), heard[1:2])  # whatever is beside it


def test_padding_stays_out_of_the_frames_before_it() -> None:
    frames = torch.rand(1, 6, 40)
    padded = frames.clone()
    padded[0, 4:] = float("nan")
    warp = VocalTractPerturbation(0.1)
    lengths = torch.tensor([4])
    assert torch.equal(warp.features(frames, lengths, (5,))[0, :4], warp.features(padded, lengths, (5,))[0, :4])
