"""Sinusoids, rotations and scores by distance, number by number."""

from __future__ import annotations

import cmath
import math

import pytest
import torch
from torch import Tensor

from asr_lab.nn.positions import DistanceScores, Sinusoidal, angles, distance_sinusoids, rotate, sinusoids
from asr_lab.nn.softmax_attention import lined_up
from asr_lab.streaming import WHOLE, Context, Frames, run_whole


def whispers(position: int, dim: int) -> list[float]:
    """The slowest turns by one radian in 10,000 frames, the fastest by one a frame; sines, then cosines."""
    rates = [10_000 ** (-k / (dim // 2 - 1)) for k in range(dim // 2)]
    return [math.sin(position * rate) for rate in rates] + [math.cos(position * rate) for rate in rates]


@pytest.mark.parametrize("dim", [4, 6, 10])
def test_sinusoids_are_sines_then_cosines_between_the_fastest_and_the_slowest(dim: int) -> None:
    places = [-7, 0, 1, 999]
    found = sinusoids(torch.tensor(places), dim, torch.float64)
    expected = torch.tensor([whispers(place, dim) for place in places], dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_two_values_have_one_frequency() -> None:
    assert sinusoids(torch.tensor(3), 2, torch.float64).tolist() == pytest.approx([math.sin(3), math.cos(3)])
    assert angles(torch.tensor([2.0]), 2, 4).tolist() == [pytest.approx([2.0, 2.0 / 10])]


@pytest.mark.parametrize("width", [2, 6])
def test_a_rotation_is_a_product_of_complex_numbers(width: int) -> None:
    x = torch.randn(1, 3, 2, width, dtype=torch.float64)
    found, half = rotate(x, torch.tensor([0, 5, 7])), width // 2
    for t, position in enumerate((0, 5, 7)):
        for k in range(half):
            turn = cmath.exp(1j * position * 10_000 ** (-k / half))
            for head in range(2):
                z = complex(x[0, t, head, k], x[0, t, head, k + half]) * turn
                assert found[0, t, head, [k, k + half]].tolist() == pytest.approx([z.real, z.imag])


@pytest.mark.parametrize(("rows", "queries", "left"), [(1, 1, 0), (1, 1, 30), (3, 4, 2), (40, 5, 0)])
def test_a_pair_scores_the_biased_query_times_the_projected_sinusoids_of_its_distance(
    rows: int, queries: int, left: int
) -> None:
    torch.manual_seed(0)
    heads, width, dim = 2, 3, 6
    scores = DistanceScores(dim, heads).double()
    torch.nn.init.normal_(scores.bias)
    q = torch.randn(rows, queries, heads, width, dtype=torch.float64)
    raw = scores(q, left)
    assert raw.shape == (heads, rows, queries, left + 2 * queries)
    found = lined_up(raw)
    for i in range(queries):
        for w in range(left + queries):
            waves = torch.tensor(whispers(left + i - w, dim), dtype=torch.float64)
            projected = (scores.project.weight @ waves).view(heads, width)
            expected = ((q[:, i] + scores.bias) * projected).sum(-1) / math.sqrt(width)  # (b, H)
            torch.testing.assert_close(found[:, :, i, w], expected.T, rtol=0, atol=1e-12)


def test_columns_go_from_the_furthest_past_to_the_furthest_future() -> None:
    found = distance_sinusoids(5, 4, 6, torch.float32, torch.device("cpu"))
    expected = torch.tensor([whispers(distance, 6) for distance in (5, 4, 3, 2)])
    torch.testing.assert_close(found, expected)
    assert found.dtype == torch.float32


def test_fresh_scores_have_no_bias_on_either_side() -> None:
    scores = DistanceScores(8, 2)
    assert scores.project.bias is None
    assert scores.bias.tolist() == [[0.0] * 4] * 2


def test_what_adds_sinusoids_has_nothing_to_store() -> None:
    assert dict(Sinusoidal().state_dict()) == {}
    assert list(Sinusoidal().parameters()) == []


def test_each_row_gets_the_sinusoids_of_its_own_numbers() -> None:
    layer, x = Sinusoidal(), torch.randn(2, 5, 6, dtype=torch.float64)

    def numbered(row: Tensor, first: int) -> Tensor:
        return row + torch.tensor([whispers(first + t, 6) for t in range(len(row))], dtype=torch.float64)

    torch.testing.assert_close(run_whole(layer, Frames.whole(x), WHOLE).x[1], numbered(x[1], 0))
    state = layer.initial_state(2, Context(1, 0))
    assert state.seen.tolist() == [0, 0]
    state, _ = layer(state, Frames(x, torch.tensor([3, 0]), torch.tensor([False, False])), WHOLE)
    assert state.seen.tolist() == [3, 0]
    state, out = layer(state, Frames.whole(x)._replace(final=torch.tensor([False, False])), WHOLE)
    assert state.seen.tolist() == [8, 5]
    torch.testing.assert_close(out.x[0], numbered(x[0], 3))
    torch.testing.assert_close(out.x[1], numbered(x[1], 0))
