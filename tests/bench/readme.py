"""Puts the figures of `docs/bench/bench.json` between the README's markers: `python tests/bench/readme.py`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from environment import Environment
from tables import sentences, tables

ROOT = Path(__file__).resolve().parents[2]
FIGURES = ROOT / "docs" / "bench" / "bench.json"
START, END = "<!-- bench:start -->", "<!-- bench:end -->"


def section(report: Mapping[str, Any]) -> str:
    """The Markdown made from a benchmark's JSON."""
    machine = Environment(**report["environment"]).lines()
    lines = ["```text", *machine, "```", ""]
    for figures in tables(report):
        lines += [figures.markdown()]
    return "\n".join([*lines, *(f"- {line}" for line in sentences(report)), ""])


def with_section(readme: str, report: Mapping[str, Any]) -> str:
    """The page with the figures in their place; ValueError where it has none."""
    before, start, rest = readme.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"no place for the benchmark: the page needs the lines {START} and {END}")
    return f"{before}{START}\n{section(report)}{END}{after}"


if __name__ == "__main__":
    page = ROOT / "README.md"
    page.write_text(with_section(page.read_text(encoding="utf-8"), json.loads(FIGURES.read_text())), encoding="utf-8")
