"""Makes docs/bench/README.md of `docs/bench/bench.json`, and what the README quotes: `python tests/bench/readme.py`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from environment import Environment
from tables import sentences, tables

ROOT = Path(__file__).resolve().parents[2]
FIGURES = ROOT / "docs" / "bench" / "bench.json"
START, END = "<!-- bench:start -->", "<!-- bench:end -->"


def page(report: Mapping[str, Any]) -> str:
    """All figures, as Markdown."""
    lines = [
        "# Benchmarks",
        "",
        "`just bench --peers --json > docs/bench/bench.json`, then `python tests/bench/readme.py`.",
    ]
    lines += ["Profiles of single training steps: `just bench --profile CASE`.", "", *_machine(report)]
    for figures in tables(report):
        lines += [figures.markdown()]
    return "\n".join([*lines, *(f"- {line}" for line in sentences(report)), ""])


def quoted(report: Mapping[str, Any]) -> str:
    """What the README says of them."""
    (encoders,) = (figures for figures in tables(report) if figures.title.startswith("Encoder"))
    lines = [*_machine(report), encoders.markdown(), *(f"- {line}" for line in sentences(report))]
    return "\n".join([*lines, "", "All tables: [docs/bench](docs/bench/README.md).", ""])


def _machine(report: Mapping[str, Any]) -> list[str]:
    return ["```text", *Environment(**report["environment"]).lines(), "```", ""]


def with_section(readme: str, report: Mapping[str, Any]) -> str:
    """The page with the figures in their place; ValueError where it has none."""
    before, start, rest = readme.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"no place for the benchmark: the page needs the lines {START} and {END}")
    return f"{before}{START}\n{quoted(report)}{END}{after}"


def is_current() -> bool:
    """Whether both pages show the kept figures."""
    found = json.loads(FIGURES.read_text(encoding="utf-8"))
    quoting = (ROOT / "README.md").read_text(encoding="utf-8")
    whole = (FIGURES.parent / "README.md").read_text(encoding="utf-8")
    return with_section(quoting, found) == quoting and page(found) == whole


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(0 if is_current() else "the pages show other figures; write them anew: python tests/bench/readme.py")
    found = json.loads(FIGURES.read_text(encoding="utf-8"))
    (FIGURES.parent / "README.md").write_text(page(found), encoding="utf-8")
    readme = ROOT / "README.md"
    readme.write_text(with_section(readme.read_text(encoding="utf-8"), found), encoding="utf-8")
