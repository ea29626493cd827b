"""`--set key=a,b,c`: what parts values, and the grid that they span."""

from __future__ import annotations

import random

import pytest
import tomli

from asr_lab.config.grid import MAX_POINTS, axes, grid, short_names, split_values
from asr_lab.errors import RecipeError


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1e-3,3e-4", ("1e-3", "3e-4")),
        ("1e-3", ("1e-3",)),
        (" 1 , 2 ", ("1", "2")),
        ("[1,2],[3]", ("[1,2]", "[3]")),
        ('{type="muon", peak_lr=1e-3},{type="adamw"}', ('{type="muon", peak_lr=1e-3}', '{type="adamw"}')),
        ('"a,b",c', ('"a,b"', "c")),
        ("'a,b', c", ("'a,b'", "c")),
        (r'"a\",b",c', (r'"a\",b"', "c")),
        (r"'a\',b", (r"'a\'", "b")),
        ('"""a,b""",c', ('"""a,b"""', "c")),
        ('["]",1],2', ('["]",1]', "2")),
        ("[{a=[1,2]},3],4", ("[{a=[1,2]},3]", "4")),
        ("it's,so", ("it's", "so")),
        ("1],2", ("1]", "2")),
        ('"a,b', ('"a,b',)),
        ("[1,2", ("[1,2",)),
        ("", ("",)),
        ("1,", ("1", "")),
    ],
)
def test_commas_outside_brackets_and_quotes_part_values(text: str, values: tuple[str, ...]) -> None:
    assert split_values(text) == values


def value(draw: random.Random, depth: int = 0) -> str:
    """Any value of TOML on one line."""
    texts = ['"a,b"', "'[,'", r'"\",{"', '"it\'s"', "'\"'", '"""x,\'y"""', '""']
    kind = draw.randrange(6 if depth < 3 else 3)
    if kind < 2:
        return draw.choice(["1", "-2.5e-3", "true", "1_000", "inf"])
    if kind == 2:
        return draw.choice(texts)
    inside = [value(draw, depth + 1) for _ in range(draw.randrange(4))]
    if kind < 5:
        return f"[{', '.join(inside)}]"
    return "{" + ", ".join(f"{key} = {one}" for key, one in zip("abcd", inside, strict=False)) + "}"


def test_whatever_values_are_joined_by_commas_come_apart_again() -> None:
    draw = random.Random(0)
    for _ in range(3000):
        values = [value(draw) for _ in range(draw.randrange(1, 5))]
        for one in values:
            tomli.loads(f"v = {one}")  # the test writes TOML
        assert split_values(",".join(values)) == tuple(values)


def test_a_grid_holds_every_combination_the_last_key_fastest() -> None:
    points = grid(["optimizer.peak_lr=1e-3,3e-4", "train.max_steps=4", "seed=1,2,3"], "x.toml")
    assert [list(point.values.values()) for point in points] == [
        [lr, seed] for lr in ("1e-3", "3e-4") for seed in ("1", "2", "3")
    ]
    assert points[1].overrides == ("optimizer.peak_lr=1e-3", "train.max_steps=4", "seed=2")
    assert grid(["seed=1"], "x.toml")[0].values == {}


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["seed"], "--set #1  must be KEY=VALUE or KEY=VALUE,VALUE"),
        (["seed=1,,2"], "--set #1  seed: has an empty value between its commas"),
        (["seed=1,"], "--set #1  seed: has an empty value"),
        (["a..b=1,2"], "--set #1  'a..b' is not a path"),
        (["seed=1,1"], "--set #1  seed: has the value 1 twice"),
        (["seed=1,2", "seed=3"], "--set #1  seed: is set by --set #2 too"),
        ([f"seed={','.join(map(str, range(40)))}", f"a={','.join(map(str, range(40)))}"], "span 1,600 points"),
    ],
)
def test_what_spans_no_grid_is_told_with_its_place(texts: list[str], says: str) -> None:
    with pytest.raises(RecipeError) as found:
        grid(texts, "x.toml")
    assert says in str(found.value)


def test_all_that_is_wrong_with_a_grid_is_told_at_once() -> None:
    with pytest.raises(RecipeError, match=r"x\.toml: 2 problems"):
        axes(["seed", "a=1,,2", "b=1"], "x.toml")


def test_one_key_may_be_set_again_where_it_does_not_vary() -> None:
    assert grid(["seed=1", "seed=2"], "x.toml")[0].overrides == ("seed=1", "seed=2")
    assert MAX_POINTS == 1000


def test_names_are_as_short_as_tells_them_apart() -> None:
    keys = ["optimizer.peak_lr", "seed", "encoder.block.a.dim", "decoder[0].dim"]
    assert short_names(keys) == {
        "optimizer.peak_lr": "peak_lr",
        "seed": "seed",
        "encoder.block.a.dim": "a.dim",
        "decoder[0].dim": "decoder[0].dim",
    }
    assert short_names(["dim", "encoder.dim"]) == {"dim": "dim", "encoder.dim": "encoder.dim"}
