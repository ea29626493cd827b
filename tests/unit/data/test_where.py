"""`where` keeps what it says."""

from __future__ import annotations

from typing import Any

import pytest

from asr_lab.data.where import Where
from asr_lab.errors import DataError

ROWS: list[dict[str, Any]] = [
    {"speaker": "anna", "age": "6", "split": "train", "path": "a[1].wav"},
    {"speaker": "ben", "age": "41", "split": "test", "path": "a1.wav"},
    {"speaker": "carl", "age": "6", "split": "train", "path": "b.wav", "noisy": True},
]


def kept(**conditions: Any) -> str:
    where = Where(conditions)
    found = "".join(r["speaker"][0] for r in ROWS if where.fits_columns(f"id-{r['speaker']}", "hello", r))
    where.check_columns()
    return found


@pytest.mark.parametrize(
    ("conditions", "wanted"),
    [
        ({}, "abc"),
        ({"split": "train"}, "ac"),
        ({"split": "!train"}, "b"),
        ({"split": ["train", "test"]}, "abc"),
        ({"speaker": ["!anna", "!ben"]}, "c"),
        ({"speaker": ["*n*", "!ben"]}, "a"),
        ({"speaker": "?en"}, "b"),
        ({"age": 6}, "ac"),
        ({"age": 6.0, "speaker": "!carl"}, "a"),
        ({"age": [6, 41]}, "abc"),
        ({"noisy": True}, "c"),
        ({"noisy": "!true"}, "ab"),
        ({"path": "a[1]*"}, "a"),
        ({"id": "id-b*"}, "b"),
        ({"text": "hello"}, "abc"),
        ({"split": ""}, ""),
    ],
)
def test_conditions_keep_what_fits(conditions: dict[str, Any], wanted: str) -> None:
    assert kept(**conditions) == wanted


def test_durations_are_within_both_ends() -> None:
    where = Where({"min_s": 1, "max_s": 2.5})
    assert [d for d in (0.9, 1.0, 2.5, 2.6) if where.fits_duration(d)] == [1.0, 2.5]


def test_an_unknown_column_is_named_with_those_there_are() -> None:
    with pytest.raises(DataError, match=r"no column 'spaker'; did you mean 'speaker'\? \(have: age, noisy, path"):
        kept(spaker="anna")


@pytest.mark.parametrize(
    ("conditions", "hint"),
    [
        ({"min_s": "1"}, "must be seconds"),
        ({"max_s": True}, "must be seconds"),
        ({"split": []}, "empty list"),
        ({"split": {"a": 1}}, "must be a text"),
        ({"split": [["a"]]}, "must be a text"),
    ],
)
def test_conditions_that_make_no_sense_are_refused(conditions: dict[str, Any], hint: str) -> None:
    with pytest.raises(DataError, match=hint):
        Where(conditions, "train[0].where")


def test_the_values_there_are_can_be_told() -> None:
    where = Where({"split": "dev"})
    for row in ROWS:
        where.fits_columns("", "", row)
    assert where.describe_values() == "split is train (2), test (1)"
