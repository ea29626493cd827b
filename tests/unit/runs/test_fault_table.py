"""docs/faults.md promises nothing that no test injects, and no message that the code does not have."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[3]
LEAST = 25
"""Kinds of faults that the table has at least."""


class Row(NamedTuple):
    fault: str
    test: str
    seen: str
    lost: str


def rows() -> list[Row]:
    lines = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("|")]
    return [Row(*row) for row in cells if row[0] != "fault" and not row[0].startswith("---")]


def texts_of(node: ast.AST) -> Iterator[str]:
    """The texts of a file, what is filled in given as `…`."""
    for part in ast.walk(node):
        if isinstance(part, ast.JoinedStr):
            filled = [v.value if isinstance(v, ast.Constant) and isinstance(v.value, str) else "…" for v in part.values]
            yield re.sub("…+", "…", "".join(filled))
        elif isinstance(part, ast.Constant) and isinstance(part.value, str | bytes):
            yield part.value if isinstance(part.value, str) else part.value.decode("utf-8", "replace")


@pytest.fixture(scope="module")
def messages() -> list[str]:
    files = [*(ROOT / "asr_lab").rglob("*.py"), *(ROOT / "cli").glob("*.py")]
    return [text for file in files for text in texts_of(ast.parse(file.read_text(encoding="utf-8")))]


def test_there_are_enough_kinds_each_with_a_test_and_a_loss() -> None:
    found = rows()
    assert len({row.fault for row in found}) == len(found) >= LEAST
    assert all(row.test and row.seen and row.lost for row in found)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.fault[:40])
def test_each_fault_is_injected_by_a_test_that_exists(row: Row) -> None:
    path, _, name = row.test.strip("`").partition("::")
    tree = ast.parse((ROOT / "tests" / "unit" / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("row", [row for row in rows() if row.seen != "–"], ids=lambda row: row.fault[:40])
def test_each_message_is_the_codes_own(row: Row, messages: list[str]) -> None:
    assert re.fullmatch(r"`[^`]+`", row.seen), "a message stands in backticks, or – for none"
    assert any(row.seen.strip("`") in text for text in messages), f"no such message in the code: {row.seen}"


def test_a_message_that_is_not_there_is_found(messages: list[str]) -> None:
    assert not any("step … is skipped because: …" in text for text in messages)
