"""From untrusted files to documents."""

from __future__ import annotations

import os
from pathlib import Path

import attrs
import pytest

from asr_lab.config import validators as v
from asr_lab.config.load import MAX_BYTES, load, loads
from asr_lab.config.section import section
from asr_lab.errors import Problem, RecipeError


@section
class Child:
    """A table in a list."""

    size: int = attrs.field(default=1, validator=v.ge(1))


@section
class Parent:
    """The root."""

    seed: int = 0
    child: tuple[Child, ...] = ()


def refused(path: Path) -> Problem:
    with pytest.raises(RecipeError) as caught:
        load(path, Parent)
    (problem,) = caught.value.problems
    assert problem.file == str(path)
    return problem


def test_a_document_holds_the_text_the_data_and_the_overrides(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_bytes(b"\xef\xbb\xbfseed = 3 # a mark at the front\r\n")
    document = load(file, Parent, ["child=[{ size = 2 }]"])
    assert document.value == Parent(seed=3, child=(Child(size=2),))
    assert document.data == {"seed": 3, "child": [{"size": 2}]}
    assert document.overrides == ("child=[{ size = 2 }]",)
    assert document.text == "seed = 3 # a mark at the front\r\n"


def test_a_problem_stands_at_its_key_or_at_the_nearest_table_above() -> None:
    document = loads("\nseed = 1\n[[child]]\nsize = 2\n", Parent, "x.toml")
    assert document.problem("seed", "m") == Problem("seed", "m", "x.toml", 2)
    assert document.problem("child[0].size", "m").where == "x.toml:4"
    assert document.problem("child[0].other.thing", "m").where == "x.toml:3"
    assert document.problem("other", "m").where == "x.toml"


def test_a_problem_of_an_override_names_it() -> None:
    document = loads("[[child]]\nsize = 2\n", Parent, "x.toml", ["seed=2", "child[0].size=3", "seed=4"])
    assert document.problem("seed", "m").where == "--set #3"
    assert document.problem("child[0].size", "m").where == "--set #2"
    assert document.problem("child[0]", "m").where == "x.toml:1"


def test_whether_a_key_is_written() -> None:
    document = loads("[[child]]\nsize = 2\n", Parent, overrides=["seed=2"])
    assert [document.has(p) for p in ("seed", "child[0].size", "child[1]", "child[0].other")] == [
        True,
        True,
        False,
        False,
    ]


def test_problems_of_file_and_overrides_come_in_one_report() -> None:
    with pytest.raises(RecipeError) as caught:
        loads("sed = 1\n[[child]]\nsize = 0\n", Parent, "x.toml", ["child[0].size=x", "nothing", "child[3].size=1"])
    assert [p.where for p in caught.value.problems] == ["x.toml:1", "--set #1", "--set #2", "--set #3"]
    assert str(caught.value).splitlines()[:2] == [
        "x.toml: 4 problems",
        "  x.toml:1  sed: unknown key; did you mean 'seed'?",
    ]


def test_a_syntax_error_has_its_line_and_column() -> None:
    with pytest.raises(RecipeError) as caught:
        loads("a = 1\nb = what\n", Parent, "x.toml")
    (problem,) = caught.value.problems
    assert problem.where == "x.toml:2:5"


def test_an_absent_file_is_named_with_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "digits.toml").write_text("")
    assert refused(tmp_path / "digit.toml").message == f"there is no such file; did you mean '{tmp_path}/digits.toml'?"
    assert refused(tmp_path / "nowhere" / "x.toml").message == "there is no such file"


def test_what_is_no_recipe_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path).message == "is a folder, not a recipe"
    assert refused(Path("/dev/zero")).message == "is not a regular file"
    os.mkfifo(tmp_path / "pipe")
    assert refused(tmp_path / "pipe").message == "is not a regular file"
    (tmp_path / "large").write_bytes(b"#" * (MAX_BYTES + 1))
    assert refused(tmp_path / "large").message == "is larger than 256 KiB, so it is no recipe"


def test_bytes_that_are_no_text_are_refused_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"seed = 1\n# caf\xe9\n")
    assert refused(tmp_path / "latin") == Problem(
        "", "is not UTF-8: byte 0xe9; save the file as UTF-8", str(tmp_path / "latin"), 2
    )
    (tmp_path / "audio").write_bytes(b"RIFF\x00\x00\x00\x00WAVE")
    assert refused(tmp_path / "audio").message.startswith("not TOML: ")


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000,
        "a = " + "[" * 100 + "]" * 100,
        "a = " + "{ a = " * 100 + "1" + "}" * 100,
        ".".join(["a"] * 100) + " = 1",
        "[" + ".".join(["a"] * 5000) + "]",
        "a = " + "1" * 5000,
        "a = 0x" + "f" * 5000,
        "a = " + "9" * 300 + ".0",
    ],
    ids=lambda t: t[:12],
)
def test_a_malicious_recipe_is_refused_and_not_choked_on(text: str) -> None:
    with pytest.raises(RecipeError):
        loads(text, Parent)


@pytest.mark.parametrize(
    "override", ["seed=" + "[" * 390 + "]" * 390, ".".join("a" * 2000) + "=1", "seed=" + "[" * 9999]
)
def test_a_malicious_override_is_refused_and_not_choked_on(override: str) -> None:
    with pytest.raises(RecipeError):
        loads("", Parent, overrides=[override])
