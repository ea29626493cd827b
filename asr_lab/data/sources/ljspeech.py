"""LJSpeech: one table without quoting, one folder of recordings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from asr_lab.data.sources.rows import Found, counted, tried
from asr_lab.data.sources.text_lines import read_lines
from asr_lab.data.utterance import Utterance

PUBLISHED = 13100
BOOKS = {"dev": ("LJ048",), "test": ("LJ049", "LJ050")}
"""Held out here, as the corpus has no splits; train is the rest."""


def ljspeech_rows(base: Path, split: str, normalized: bool) -> Iterator[Found]:
    """The utterances of a split, `all` being every one; columns speaker, book, language, split."""
    rows = _rows(base, split, normalized)
    yield from counted(rows, "LJSpeech", PUBLISHED if split == "all" else None)


def split_of(book: str) -> str:
    """The split that a book's utterances are in."""
    return next((split for split, books in BOOKS.items() if book in books), "train")


def _rows(base: Path, split: str, normalized: bool) -> Iterator[Found]:
    table = base / "metadata.csv"
    for number, line, problem in read_lines(table):
        if not line.strip() and not problem:
            continue
        name, *texts = line.split("|", 2)
        book = name.partition("-")[0]
        if split not in ("all", split_of(book)) and not problem:
            continue
        problem = problem or ("" if texts else "row has no text")

        def make(name: str = name, texts: list[str] = texts, book: str = book) -> Utterance:
            columns = {"speaker": "LJ", "book": book, "language": "en", "split": split_of(book)}
            text = texts[-1] if normalized else texts[0]  # the normalised one is absent where it would be the same
            return Utterance(name, str(base / "wavs" / f"{name}.wav"), None, text, columns=columns)

        yield tried(f"{table.name}:{number}", table, problem, make, texts[-1 if normalized else 0] if texts else None)
