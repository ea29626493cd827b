"""Packed texts and rows give back what went in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_lab.data.packed import Ragged, Strings


@given(st.lists(st.text()))
def test_texts_come_back(texts: list[str]) -> None:
    packed = Strings(texts)
    assert list(packed) == texts
    assert len(packed) == len(texts)
    assert packed[:2] == texts[:2]
    for i in range(-len(texts), len(texts)):
        assert packed[i] == texts[i]
    with pytest.raises(IndexError):
        packed[len(texts)]


def test_a_million_texts_take_little_more_than_their_letters() -> None:
    packed = Strings("0123456789" for _ in range(100_000))
    assert packed.num_bytes < 100_000 * 18 + 100


@given(st.lists(st.lists(st.integers(0, 2**31 - 1))))
def test_rows_come_back(rows: list[list[int]]) -> None:
    packed = Ragged.of(rows)
    assert [packed[i].tolist() for i in range(len(packed))] == rows
    assert packed.lengths.tolist() == [len(r) for r in rows]
