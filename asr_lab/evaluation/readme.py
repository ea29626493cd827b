"""Numbers that are shown: evaluations kept beside the documentation, and the README's table made from them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asr_lab.config.stored import read_json
from asr_lab.data.left_out import trained_on
from asr_lab.errors import DataError
from asr_lab.evaluation.percentages import NONE, percent, with_span
from asr_lab.evaluation.rates import MAIN, rates
from asr_lab.files import write_json, write_text

MARKER = "results"
KEPT = (
    "rates",
    "normaliser",
    "normaliser_hash",
    "scorer",
    "utterances",
    "audio_s",
    "hash",
    "interval",
    "unreadable",
    "about",
)
KEPT_OF_A_SET = ("name", "rates", "utterances", "hash")
STUDY = "study"
"""What an evaluation of several runs says about itself: its sets are runs, of which a mean makes sense."""
SHOWN = ("wer", "cer")
"""Rates of the README's table; the JSON holds all."""


def publish(
    folder: Path,
    name: str,
    title: str,
    command: str,
    content: Mapping[str, Any],
    curve: Path | None = None,
    version: str = "",
) -> Path:
    """Keep an evaluation's JSON as `<name>.json` in a folder, without its tables and hypotheses; the file's path.

    `title` says what was evaluated, `command` how to do it again, `version` which version of the
    package made it; `curve` is an SVG of the training, kept beside it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kept = {key: content[key] for key in KEPT if key in content}
    kept["sets"] = [{key: one[key] for key in KEPT_OF_A_SET} for one in content["sets"]]
    path = folder / f"{name}.json"
    if curve is not None:
        shutil.copyfile(curve, path.with_suffix(".svg"))
    write_json(path, {"title": title, "command": command, "version": version, **kept})
    return path


def section(folder: Path, link: str = "") -> str:
    """The Markdown made from all published evaluations: a table with an interval to every rate.

    Curves are linked where `link` says how the folder is reached from the page.
    """
    lines = []
    for path in sorted(folder.glob("*.json")):
        content = read_json(path)
        lines += _part(content)
        if link and (curve := path.with_suffix(".svg")).exists():
            lines += [f"![How {content['title']} was trained]({link}/{curve.name})", ""]
    if not lines:
        return ""
    note = "WER and CER in %, in brackets the central 95 % of the resamples."
    return "\n".join([*lines, note, ""])


def update_readme(readme: Path, folder: Path, link: str = "") -> bool:
    """Put the section between the README's markers; whether that changed it. DataError without the markers.

    `link` is how the page reaches the folder, by default the way there from the file.
    """
    link = link or Path(os.path.relpath(folder.resolve(), readme.resolve().parent)).as_posix()
    return replace_section(readme, MARKER, section(folder, link))


def replace_section(readme: Path, marker: str, fresh: str) -> bool:
    """Put `fresh` between a page's lines `<!-- marker:start -->` and `<!-- marker:end -->`; whether that changed it.

    DataError when they are not there.
    """
    text = readme.read_text(encoding="utf-8")
    page = with_section(text, marker, fresh, str(readme))
    if page == text:
        return False
    write_text(readme, page)
    return True


def with_section(page: str, marker: str, fresh: str, name: str) -> str:
    """A page with `fresh` between its lines of a marker; DataError, which calls it `name`, when they are not there."""
    opening, closing = f"<!-- {marker}:start -->", f"<!-- {marker}:end -->"
    before, start, rest = page.partition(opening)
    _, end, after = rest.partition(closing)
    if not (start and end):
        raise DataError(f"{name} has no place for {marker}: it needs the lines {opening} and {closing}")
    return f"{before}{opening}\n{fresh}{closing}{after}"


def _part(content: Mapping[str, Any]) -> list[str]:
    columns = ["set", "utterances", rates()[MAIN].unit, *(rates()[name].label for name in SHOWN)]
    lines = [f"**{content['title']}** (`{content['command']}`)", ""]
    lines += [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    lines += [_row(one["name"], one) for one in content["sets"]]
    if len(content["sets"]) > 1:
        if content["about"].get(STUDY):
            every = [one["rates"] for one in content["sets"]]
            means = [percent(sum(one[key]["value"] for one in every) / len(every), unit="") for key in SHOWN]
            lines.append(f"| mean | | | {' | '.join(means)} |")
        else:
            lines.append(_row("all together", content))
    interval = content["interval"]
    lines += [
        "",
        f"Normalised by `{content['normaliser']}`; {interval['resamples']:,} resamples of {interval['resampled']}s; "
        f"made by version {content['version']}{_trained_on(content['about'])}.",
        "",
    ]
    return lines


def _trained_on(about: Mapping[str, Any]) -> str:
    found = trained_on(about.get("trained_on") or {})
    return f"; {found}" if found else ""


def _row(name: str, one: Mapping[str, Any]) -> str:
    found = [one["rates"][key] for key in SHOWN]
    cells = [with_span(r["value"], r["low"], r["high"]) if r["reference"] else NONE for r in found]
    return f"| {name} | {one['utterances']:,} | {one['rates'][MAIN]['reference']:,} | {' | '.join(cells)} |"


if __name__ == "__main__":
    update_readme(Path("README.md"), Path("docs/results"))
