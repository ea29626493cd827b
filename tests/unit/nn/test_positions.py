"""Sinusoids and rotations against their definitions."""

from __future__ import annotations

import math

import torch

from asr_lab.nn.positions import Sinusoidal, rotate, sinusoids
from asr_lab.streaming import WHOLE, Context, Frames, cut, run_whole, scan


def test_sinusoids_are_whispers() -> None:
    from whisper.model import sinusoids as theirs  # type: ignore[import-untyped]

    torch.testing.assert_close(sinusoids(torch.arange(1500), 64, torch.float32), theirs(1500, 64), rtol=0, atol=2e-4)


def test_sinusoids_keep_their_precision_after_an_hour() -> None:
    position = 360_000
    found = sinusoids(torch.tensor(position), 4, torch.float32)
    expected = [math.sin(position), math.sin(position / 10_000), math.cos(position), math.cos(position / 10_000)]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_rotated_products_depend_on_distance_only() -> None:
    torch.manual_seed(0)  # torch seeds itself anew in each process, and one pair in 3,000 happens to be alike
    q, k = torch.randn(2, 1, 1, 1, 8, dtype=torch.float64)

    def product(i: int, j: int) -> float:
        return float((rotate(q, torch.tensor([i])) * rotate(k, torch.tensor([j]))).sum())

    assert math.isclose(product(3, 1), product(1003, 1001), abs_tol=1e-9)
    assert not math.isclose(product(3, 1), product(3, 2), abs_tol=1e-3)


def test_rotation_keeps_the_length() -> None:
    x = torch.randn(2, 5, 3, 8, dtype=torch.float64)
    torch.testing.assert_close(rotate(x, torch.arange(5)).norm(dim=-1), x.norm(dim=-1))


def test_each_row_counts_its_own_frames() -> None:
    layer = Sinusoidal()
    frames = Frames.whole(torch.randn(3, 9, 6, dtype=torch.float64), torch.tensor([9, 2, 5]))
    steps = [torch.tensor(s) for s in ([1, 0, 2], [4, 0, 0], [0, 2, 2], [4, 0, 1])]
    pieces = scan(layer, cut(frames, steps), Context(1, 0))
    whole = run_whole(layer, frames, WHOLE)
    assert torch.equal(pieces.x[frames.mask()], whole.x[frames.mask()])
    assert torch.equal(
        whole.x[0] - frames.x[0] - sinusoids(torch.arange(9), 6, torch.float64) < 1e-12, torch.ones(9, 6).bool()
    )
