"""Makes docs/bench/README.md of the runs in docs/bench, and what the README quotes: `python tests/bench/readme.py`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from environment import Environment
from tables import sentences, tables

from asr_lab.evaluation.readme import replace_section, with_section

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "bench"
README, PAGE = ROOT / "README.md", FOLDER / "README.md"
MARKER = "bench"
RUNS = {
    "bench.json": "just bench --peers --json",
    "live.json": "just bench --only live,live_twin,live_peer --peers --json",
    "scale.json": "just bench --only parallel,loop,checkpoints --threads 1 --json",
}
"""Files and the commands that fill them; what stands in a later one was measured anew and counts no longer before."""

QUOTED = 2
"""How many of these the README has."""

Report = Mapping[str, Any]


def reports() -> list[Report]:
    """The runs, none with a case that a later one has."""
    found = [json.loads((FOLDER / name).read_text(encoding="utf-8")) for name in RUNS]
    return [
        _without(report, {case for later in found[i + 1 :] for case in later["figures"]})
        for i, report in enumerate(found)
    ]


def _without(report: Report, cases: set[str]) -> Report:
    figures = {case: of for case, of in report["figures"].items() if case not in cases}
    ratios = {name: ratio for name, ratio in report["ratios"].items() if name.split(" at ")[0] not in cases}
    return {**report, "figures": figures, "ratios": ratios}


def page(runs: Sequence[Report]) -> str:
    """All figures, as Markdown."""
    commands = [f"`{command} > docs/bench/{name}`" for name, command in RUNS.items()]
    lines = ["# Benchmarks", "", f"{', '.join(commands)}, then `python tests/bench/readme.py`."]
    lines += ["Profiles of single training steps: `just bench --profile CASE`.", ""]
    for report in runs:
        lines += [*_machine(report), *(figures.markdown() for figures in tables(report))]
        lines += [*(f"- {line}" for line in sentences(report)), ""]
    return "\n".join(lines)


def quoted(runs: Sequence[Report]) -> str:
    """What the README says of them."""
    lines = []
    for report in runs[:QUOTED]:
        lines += _machine(report)
        lines += [figures.markdown() for figures in tables(report) if figures.title.startswith("Encoder")]
        lines += [*(f"- {line}" for line in sentences(report)), ""]
    return "\n".join([*lines, "All tables: [docs/bench](docs/bench/README.md).", ""])


def _machine(report: Report) -> list[str]:
    return ["```text", *Environment(**report["environment"]).lines(), "```", ""]


def is_current(runs: Sequence[Report]) -> bool:
    """Whether both pages show these figures."""
    readme = README.read_text(encoding="utf-8")
    quotes = with_section(readme, MARKER, quoted(runs), README.name) == readme
    return quotes and PAGE.read_text(encoding="utf-8") == page(runs)


if __name__ == "__main__":
    found = reports()
    if "--check" in sys.argv:
        sys.exit(
            0 if is_current(found) else "the pages show other figures; write them anew: python tests/bench/readme.py"
        )
    PAGE.write_text(page(found), encoding="utf-8")
    replace_section(README, MARKER, quoted(found))
