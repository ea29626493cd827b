"""`--set`: paths, values, and the messages about wrong ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_lab.config.override import apply
from asr_lab.config.paths import parse, spell

DATA: dict[str, Any] = {"seed": 1, "encoder": {"dim": 8, "stack": [{"blocks": ["a", "b"]}, {"repeat": 2}]}}


def overridden(*texts: str) -> dict[str, Any]:
    data, _, problems = apply(DATA, texts)
    assert not problems
    return data


def complaint(text: str) -> str:
    data, _, problems = apply(DATA, [text])
    assert data == DATA
    (problem,) = problems
    assert problem.file == "--set #1"
    return problem.message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("seed=2", 2),
        ("seed = 2", 2),
        ("seed=2.5", 2.5),
        ("seed=true", True),
        ("seed=True", "True"),
        ("seed=word", "word"),
        ("seed=two words", "two words"),
        ("seed=runs/a-1b/x=y", "runs/a-1b/x=y"),
        ('seed="2"', "2"),
        ("seed='a b'", "a b"),
        ("seed=[1, 2]", [1, 2]),
        ('seed={ a = 1, b.c = "x" }', {"a": 1, "b": {"c": "x"}}),
        ("seed=1 # no comment", "1 # no comment"),
        ("seed=1, 2", "1, 2"),
        ("seed=1]\nx = [1", "1]\nx = [1"),
        ('seed=""', ""),
    ],
)
def test_a_value_is_toml_and_a_bare_word_is_text(text: str, value: Any) -> None:
    assert overridden(text)["seed"] == value


@pytest.mark.parametrize(
    "path", ["encoder.stack[0].blocks[1]", "encoder.stack.0.blocks.1", 'encoder."stack"[0].blocks.1']
)
def test_list_indices_are_written_either_way(path: str) -> None:
    assert overridden(f"{path}=c")["encoder"]["stack"][0]["blocks"] == ["a", "c"]


def test_the_last_one_wins_and_the_data_given_stays_as_it_was() -> None:
    assert overridden("seed=2", "seed=3")["seed"] == 3
    assert DATA["seed"] == 1


def test_tables_on_the_way_are_made() -> None:
    assert overridden("train.max_steps=5", "train.batch_s=6")["train"] == {"max_steps": 5, "batch_s": 6}


def test_an_override_may_build_on_one_before_it() -> None:
    assert overridden("x=[{ a = 1 }]", "x[0].a=2")["x"] == [{"a": 2}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed", "must be KEY=VALUE, got 'seed'"),
        ("seed=", 'has no value; an empty text is written KEY=""'),
        ("=3", "the path is empty"),
        ("a..b=3", "'a..b' is not a path: it goes wrong at '..b'"),
        (".a=3", "'.a' is not a path: it goes wrong at '.a'"),
        ("a.=3", "'a.' is not a path: it goes wrong at '.'"),
        ("a[x]=3", "'a[x]' is not a path: it goes wrong at '[x]'"),
        ("[0]=3", "'[0]' is not a path: it goes wrong at '[0]'"),
        ("seed=[1", "'[1' is not a TOML value: Unclosed array"),
        ('seed="x', "'\"x' is not a TOML value: Unterminated string"),
        ("seed.x=1", "seed is 1, nothing stands below it"),
        ("encoder[0]=1", "encoder is a table, not a list"),
        ("encoder.stack.x=1", "encoder.stack is a list: take an element of it, encoder.stack[0].x"),
        ("encoder.stack[2].repeat=1", "there is no encoder.stack[2]: it has 2, from [0] on"),
        ("decoder[0].weight=1", "the recipe does not write decoder: set the whole list, decoder=[…]"),
    ],
)
def test_a_wrong_override_is_told_what_is_wrong(text: str, message: str) -> None:
    assert complaint(text) == message


@given(
    st.lists(st.text(max_size=4) | st.integers(0, 99), min_size=1, max_size=5).filter(lambda p: isinstance(p[0], str))
)
def test_a_path_is_read_as_it_is_spelt(path: list[str | int]) -> None:
    assert parse(spell(tuple(path))) == tuple(path)


def test_a_key_with_a_control_character_is_spelt_so_that_it_can_be_read() -> None:
    assert spell(("a", "\x7f\n")) == 'a."\\u007f\\n"'
    assert parse('a."\\u007f\\n"') == ("a", "\x7f\n")
