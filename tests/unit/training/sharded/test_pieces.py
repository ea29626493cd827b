"""Pieces make up a whole, or what is wrong with them is said: against a count of every value."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_lab.training.sharded.pieces import Box, TensorPiece, cover_problem
from asr_lab.training.sharded.together import own_share

SIDES = st.integers(0, 4)


@st.composite
def shapes_and_boxes(draw: st.DrawFn) -> tuple[tuple[int, ...], list[Box]]:
    ndim = draw(st.integers(0, 3))
    shape = tuple(draw(SIDES) for _ in range(ndim))
    one = st.builds(
        lambda offsets, sizes: Box(tuple(offsets), tuple(sizes)),
        st.lists(SIDES, min_size=ndim, max_size=ndim),
        st.lists(SIDES, min_size=ndim, max_size=ndim),
    )
    return shape, draw(st.lists(one, max_size=5))


def counted(shape: tuple[int, ...], boxes: list[Box]) -> bool:
    """Whether each value of the shape is in exactly one box, and nothing lies outside."""
    times = dict.fromkeys(itertools.product(*map(range, shape)), 0)
    for box in boxes:
        if any(offset + size > side for offset, size, side in zip(box.offsets, box.sizes, shape, strict=True)):
            return False
        for place in itertools.product(*(range(o, o + n) for o, n in zip(box.offsets, box.sizes, strict=True))):
            times[place] += 1
    return all(n == 1 for n in times.values())


@given(shapes_and_boxes())
@settings(max_examples=400, deadline=None)
def test_a_cover_is_one_where_every_value_is_counted_once(case: tuple[tuple[int, ...], list[Box]]) -> None:
    shape, boxes = case
    assert (cover_problem(shape, boxes) is None) == counted(shape, boxes)


@st.composite
def grids(draw: st.DrawFn) -> tuple[tuple[int, ...], list[Box]]:
    """A shape cut along every dimension, at any places."""
    shape = tuple(draw(st.lists(st.integers(0, 6), min_size=1, max_size=3)))
    edges = [sorted({0, side, *draw(st.lists(st.integers(0, side), max_size=2))}) for side in shape]
    spans = [list(itertools.pairwise(cut)) or [(0, 0)] for cut in edges]
    cells = itertools.product(*spans)
    return shape, [Box(tuple(a for a, _ in cell), tuple(b - a for a, b in cell)) for cell in cells]


@given(grids(), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_any_cut_covers_and_no_longer_when_a_piece_goes_or_comes_twice(
    case: tuple[tuple[int, ...], list[Box]], draw: object
) -> None:
    shape, boxes = case
    assert cover_problem(shape, boxes) is None
    draw.shuffle(boxes)  # type: ignore[attr-defined]
    assert cover_problem(shape, boxes) is None
    if boxes[0].num_elements:
        assert "values" in (cover_problem(shape, boxes[1:]) or "")
        assert "overlap" in (cover_problem(shape, [*boxes, boxes[0]]) or "")
        beyond = Box(tuple(offset + side for offset, side in zip(boxes[0].offsets, shape, strict=True)), boxes[0].sizes)
        assert "lies outside" in (cover_problem(shape, [*boxes[1:], beyond]) or "")


@given(grids(), grids())
@settings(max_examples=200, deadline=None)
def test_an_overlap_holds_the_values_that_both_have(
    a: tuple[tuple[int, ...], list[Box]], b: tuple[tuple[int, ...], list[Box]]
) -> None:
    for one, other in itertools.product(a[1], b[1]):
        if len(one.sizes) != len(other.sizes):
            continue
        both = one.overlap(other)
        spans = [
            sorted(set(range(p, p + n)) & set(range(q, q + m)))
            for p, n, q, m in zip(one.offsets, one.sizes, other.offsets, other.sizes, strict=True)
        ]
        assert (both is None) == any(not span for span in spans)
        if both is not None:
            assert [list(range(o, e)) for o, e in zip(both.offsets, both.ends, strict=True)] == spans
            values = torch.arange(one.num_elements).reshape(one.sizes)
            assert values[both.within(one)].shape == both.sizes


def test_many_pieces_along_any_dimension_are_looked_at_quickly() -> None:
    for along in (0, 1):
        sizes = (1, 1000) if along == 0 else (1000, 1)
        boxes = [Box((i, 0) if along == 0 else (0, i), sizes) for i in range(20_000)]
        shape = (20_000, 1000) if along == 0 else (1000, 20_000)
        assert cover_problem(shape, boxes) is None


@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_equal_copies_are_written_once_and_evenly(world: int) -> None:
    sizes = [4096, 64, 4096, 64, 4096, 64, 8192, 1, 300]  # a weight, a bias, a weight, …

    def pieces_of(rank: int) -> dict[str, TensorPiece]:
        return {f"w{i}": TensorPiece(torch.zeros(n), (n,), (0,), rank, world) for i, n in enumerate(sizes)}

    shares = [own_share(pieces_of(rank)) for rank in range(world)]
    assert sorted(key for share in shares for key in share) == sorted(pieces_of(0))
    loads = [sum(piece.tensor.numel() for piece in share.values()) for share in shares]
    assert max(loads) - min(loads) <= max(sizes)
