"""Makes docs/bench/README.md of `docs/bench/bench.json`, and what the README quotes: `python tests/bench/readme.py`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from environment import Environment
from tables import sentences, tables

from asr_lab.evaluation.published import replace_section, with_section

ROOT = Path(__file__).resolve().parents[2]
FIGURES = ROOT / "docs" / "bench" / "bench.json"
README, PAGE = ROOT / "README.md", FIGURES.parent / "README.md"
MARKER = "bench"


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


def is_current(report: Mapping[str, Any]) -> bool:
    """Whether both pages show these figures."""
    readme = README.read_text(encoding="utf-8")
    quotes = with_section(readme, MARKER, quoted(report), README.name) == readme
    return quotes and PAGE.read_text(encoding="utf-8") == page(report)


if __name__ == "__main__":
    found = json.loads(FIGURES.read_text(encoding="utf-8"))
    if "--check" in sys.argv:
        sys.exit(
            0 if is_current(found) else "the pages show other figures; write them anew: python tests/bench/readme.py"
        )
    PAGE.write_text(page(found), encoding="utf-8")
    replace_section(README, MARKER, quoted(found))
