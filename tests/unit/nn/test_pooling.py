"""Pooling sees the mean and the maximum of a window, and nothing beyond an utterance's ends."""

from __future__ import annotations

import pytest
import torch

from asr_lab.nn.pooling import Pooling
from asr_lab.streaming import WHOLE, Frames, run_whole

DIM = 3


@pytest.mark.parametrize(("causal", "before", "behind"), [(True, 4, 0), (False, 2, 2)])
def test_each_frame_is_seen_with_the_mean_and_the_maximum_around_it(causal: bool, before: int, behind: int) -> None:
    torch.manual_seed(0)
    layer = Pooling(DIM, 5, causal, 8, 0.0).double().eval()
    x = torch.randn(2, 9, DIM, dtype=torch.float64) - 3  # all below the zeros of the padding
    lengths = torch.tensor([9, 6])
    given = run_whole(layer, Frames.whole(x, lengths), WHOLE)
    for row, length in enumerate(lengths.tolist()):
        for t in range(length):
            window = x[row, max(0, t - before) : min(length, t + behind + 1)]
            seen = torch.cat([x[row, t], window.mean(0), window.amax(0)])
            expected = layer.down(torch.nn.functional.gelu(layer.up(seen)))
            torch.testing.assert_close(given.x[row, t], expected, rtol=0, atol=1e-12)
