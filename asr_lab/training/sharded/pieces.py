"""A tensor in pieces: which part of the whole each one is, and whether they make up the whole."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
from torch import Tensor

from asr_lab.errors import shown_name

MOST_ELEMENTS = 2**63 - 1
"""No side of a tensor is longer: torch counts in int64."""


@attrs.frozen
class Box:
    """A part of a tensor: where it starts and how far it goes, by dimension."""

    offsets: tuple[int, ...]
    sizes: tuple[int, ...]

    @classmethod
    def whole(cls, shape: Sequence[int]) -> Box:
        """All of a tensor."""
        return cls((0,) * len(shape), tuple(shape))

    @property
    def ends(self) -> tuple[int, ...]:
        """The first place behind it, by dimension."""
        return tuple(offset + size for offset, size in zip(self.offsets, self.sizes, strict=True))

    @property
    def shown(self) -> str:
        """For a message."""
        return f"a piece of {shown_name(str(self.sizes))} at {shown_name(str(self.offsets))}"

    @property
    def num_elements(self) -> int:
        """How many values it holds; 1 without dimensions."""
        return math.prod(self.sizes)

    def lies_in(self, shape: Sequence[int]) -> bool:
        """Whether a tensor of that shape has it."""
        if not len(self.offsets) == len(self.sizes) == len(shape):
            return False
        return all(o >= 0 and n >= 0 and o + n <= of for o, n, of in zip(self.offsets, self.sizes, shape, strict=True))

    def overlap(self, other: Box) -> Box | None:
        """What two parts of one tensor have in common; None where that is nothing."""
        starts = tuple(map(max, self.offsets, other.offsets))
        ends = tuple(map(min, self.ends, other.ends))
        if any(start >= end for start, end in zip(starts, ends, strict=True)):
            return None
        return Box(starts, tuple(end - start for start, end in zip(starts, ends, strict=True)))

    def within(self, outer: Box) -> tuple[slice, ...]:
        """Where it lies in a tensor that holds `outer` alone."""
        return tuple(slice(a - b, a - b + n) for a, n, b in zip(self.offsets, self.sizes, outer.offsets, strict=True))


@attrs.frozen(eq=False)
class TensorPiece:
    """What a process has of a tensor."""

    tensor: Tensor
    shape: tuple[int, ...]
    """Of the whole."""
    offsets: tuple[int, ...]
    """Where this part starts in the whole."""
    copy: int = 0
    """Which it is of the equal copies of this part that processes have."""
    num_copies: int = 1

    @property
    def box(self) -> Box:
        """The part of the whole that it is."""
        return Box(self.offsets, tuple(self.tensor.shape))


def cover_problem(shape: Sequence[int], boxes: Sequence[Box]) -> str | None:
    """Why parts don't make up the whole of a shape, each value once; None where they do."""
    for box in boxes:
        if not box.lies_in(shape):
            return f"{box.shown} lies outside {shown_name(str(tuple(shape)))}"
    if clash := _first_overlap(boxes):
        return f"{clash[0].shown} and {clash[1].shown} overlap"
    found, wanted = sum(box.num_elements for box in boxes), math.prod(shape)
    return None if found == wanted else f"its pieces hold {found:,} of {wanted:,} values"


def _first_overlap(boxes: Sequence[Box]) -> tuple[Box, Box] | None:
    """Two parts that have something in common; they are swept along the dimension that tells most of them apart."""
    filled = [box for box in boxes if box.num_elements]
    if len(filled) < 2:
        return None
    if not filled[0].sizes:
        return filled[0], filled[1]
    along = max(range(len(filled[0].sizes)), key=lambda d: len({box.offsets[d] for box in filled}))
    open_boxes: list[Box] = []
    for box in sorted(filled, key=lambda b: b.offsets[along]):
        open_boxes = [b for b in open_boxes if b.ends[along] > box.offsets[along]]
        if clash := next((b for b in open_boxes if b.overlap(box)), None):
            return clash, box
        open_boxes.append(box)
    return None
