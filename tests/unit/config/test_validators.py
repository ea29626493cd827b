"""A field's demands: what they accept, what they say, and that they hold where a section is made in Python."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from asr_lab.config import validators as v
from asr_lab.config.section import section


@section
class Ranged:
    share: float = attrs.field(default=0.5, validator=v.all_of(v.ge(0), v.lt(1)))
    limit: int | None = attrs.field(default=None, validator=v.optional(v.gt(0), v.le(9)))
    from_: str = attrs.field(default="a", validator=v.matches_re("[a-z]+"))
    even: int = attrs.field(default=0, validator=v.checked_by(lambda n: "must be even" if n % 2 else None))


@pytest.mark.parametrize(
    ("bound", "right", "wrong", "words", "problem"),
    [
        (v.ge(2), 2, 1, "at least 2", "must be at least 2, got 1"),
        (v.gt(2), 3, 2, "above 2", "must be above 2, got 2"),
        (v.le(2), 2, 3, "at most 2", "must be at most 2, got 3"),
        (v.lt(2), 1, 2, "below 2", "must be below 2, got 2"),
        (v.min_len(1), (1,), (), "not empty", "must not be empty"),
        (v.min_len(2), (1, 2), (1,), "of at least 2 elements", "must be of at least 2 elements, got [1]"),
        (v.max_len(1), "a", "ab", "of at most 1 elements", "must be of at most 1 elements, got 'ab'"),
        (v.matches_re("[a-z]+"), "ab", "ab!", "of the form [a-z]+", "must be of the form [a-z]+, got 'ab!'"),
        (v.in_(["x", "y"]), "y", "z", "one of x, y", "must be one of x, y, got 'z'"),
        (v.rising(), (-2, -2), (1, 0), "not falling", "must not fall, got [1, 0]"),
        (v.rising(0), (0, 9), (-1, 9), "rising from 0 or more", "must rise from 0 or more, got [-1, 9]"),
        (v.rising(0, 9), (0, 9), (0, 10), "rising within 0 and 9", "must rise within 0 and 9, got [0, 10]"),
    ],
    ids=lambda one: one.kind if isinstance(one, v.Bound) else "",
)
def test_a_bound_accepts_and_refuses_and_says_why(
    bound: v.Bound, right: Any, wrong: Any, words: str, problem: str
) -> None:
    assert bound.problem(right, right) is None
    assert bound.problem(wrong, wrong) == problem
    assert str(bound) == words


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"share": 1.0}, "share: must be below 1, got 1.0"),
        ({"share": -0.1}, "share: must be at least 0, got -0.1"),
        ({"limit": 10}, "limit: must be at most 9, got 10"),
        ({"from_": "A"}, "from: must be of the form [a-z]+, got 'A'"),
        ({"even": 3}, "even: must be even"),
    ],
)
def test_a_section_made_in_python_is_held_to_them_too(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(v.KeyProblem) as caught:
        Ranged(**keys)
    assert str(caught.value) == message


def test_none_passes_where_a_key_is_optional() -> None:
    assert Ranged(limit=None) == Ranged()
    assert Ranged(limit=9).limit == 9
