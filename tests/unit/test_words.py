"""The field's words, everywhere a person reads: names, docstrings, comments, messages, tables, pages, recipes, docs."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INSTEAD = {
    r"heard|hears?|hearing|listens?|unheard": "decoded, recognised, streamed; offline; unseen sentences and speakers",
    r"settled|settles?|settling": "final",
    r"story|somebody|nobody|speaks": "status, a process, no process, the decoder used",
    r"looked ahead": "lookahead",
    r"behind one another|by hand|at hand": "after, own, available",
    r"to offline": "delta vs offline, pp",
    r"not live|heard live|hear live": "cannot stream, streams",
    r"U > T": "too short for its text: 17 tokens need 0.69 s, it has 0.51 s",
    r"said": "reference, or what the file says",
}
"""What is not written, as whole words, and what is written in its place."""
CLASSES = re.compile(r"\bclass \w*(Hear[A-Z]|Heard|Hears|Listening|Story|Settled)\w*")
"""Names of classes, whose words no underscore parts."""
BANNED = {re.compile(rf"(?<![^\W_])(?:{words})(?![^\W_])", re.IGNORECASE): way for words, way in INSTEAD.items()}
READ = ("asr_lab/**/*.py", "cli/*.py", "asr_lab/serving/static/*", "README.md", "CONTRIBUTING.md", "docs/**/*.md")
READ += ("recipes/**/*.toml", "justfile")
ALLOWED: dict[str, str] = {}
"""A file's line, as it stands, that may hold a word, with the reason."""
HEADINGS = {
    "heard",
    "said",
    "wrong",
    "missing",
    "extra",
    "to offline",
    "wait",
    "most",
    "read",
    "settled",
    "changed",
    "who",
}
"""No column of a table is called so."""


def texts() -> Iterator[tuple[str, str]]:
    """Every file that people read, by its path in the repository."""
    for pattern in READ:
        for path in sorted(ROOT.glob(pattern)):
            if path.is_file():
                yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def found(name: str, text: str) -> list[str]:
    classes = [f"{name}: {match[0]} is not the field's word" for match in CLASSES.finditer(text)]
    return classes + [
        f"{name}:{number}: {match[0]!r} is not the field's word; write: {way}: {line.strip()}"
        for number, line in enumerate(text.splitlines(), start=1)
        for pattern, way in BANNED.items()
        if (match := pattern.search(line)) and line.strip() not in ALLOWED
    ]


def test_the_fields_words_are_used() -> None:
    every = [problem for name, text in texts() for problem in found(name, text)]
    assert not every, f"{len(every)} lines:\n" + "\n".join(every[:40])


@pytest.mark.parametrize(
    "line", ["class HeardWord:", "def hear(self):", "words_settled = 3", "# nobody reads it", '"heard" : 1', "(U > T)"]
)
def test_a_word_is_found_in_names_comments_and_messages(line: str) -> None:
    assert found("x.py", line)


def test_no_column_of_a_table_has_an_old_name() -> None:
    pattern = re.compile(r'add_column\(\s*"([^"]*)"|Table\(\s*((?:"[^"]*",?\s*)+)')
    for name, text in texts():
        for match in pattern.finditer(text):
            columns = [match[1]] if match[1] is not None else re.findall(r'"([^"]*)"', match[2])
            assert not HEADINGS & {c.lower() for c in columns}, f"{name}: {columns}"


def test_help_texts_use_them_too() -> None:
    import sys

    done = subprocess.run([sys.executable, "-m", "cli.main", "--help"], capture_output=True, text=True, cwd=ROOT)
    assert not found("asrlab --help", done.stdout)
