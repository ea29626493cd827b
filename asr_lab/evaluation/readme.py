"""Numbers that are shown: evaluations kept beside the documentation, and the README's table made from them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asr_lab.errors import DataError

MARKER = "results"
KEPT = ("wer", "cer", "normaliser", "utterances", "audio_s", "hash", "interval", "skipped", "about")
KEPT_OF_A_SET = ("name", "wer", "cer", "utterances", "hash")
STUDY = "study"
"""What an evaluation of several runs says about itself: its sets are runs, of which a mean makes sense."""
RATES = ("wer", "cer")


def publish(
    folder: Path, name: str, title: str, command: str, content: Mapping[str, Any], curve: Path | None = None
) -> Path:
    """Keep an evaluation's JSON as `<name>.json` in a folder, without its tables and hypotheses; the file's path.

    `title` says what was evaluated, `command` how to do it again; `curve` is an SVG of the training, kept beside it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kept = {key: content[key] for key in KEPT}
    kept["sets"] = [{key: one[key] for key in KEPT_OF_A_SET} for one in content["sets"]]
    path = folder / f"{name}.json"
    if curve is not None:
        shutil.copyfile(curve, path.with_suffix(".svg"))
    path.write_text(json.dumps({"title": title, "command": command, **kept}, indent=1, ensure_ascii=False) + "\n")
    return path


def section(folder: Path, link: str = "") -> str:
    """The Markdown made from all published evaluations: a table with an interval to every rate.

    Curves are linked where `link` says how the folder is reached from the page.
    """
    lines = []
    for path in sorted(folder.glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
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
    readme.write_text(page, encoding="utf-8")
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
    head = "| set | utterances | words | WER | CER |"
    lines = [f"**{content['title']}** (`{content['command']}`)", "", head, "|---|---|---|---|---|"]
    lines += [_row(one["name"], one) for one in content["sets"]]
    if len(content["sets"]) > 1:
        if content["about"].get(STUDY):
            means = [
                _percent(sum(one[key]["value"] for one in content["sets"]) / len(content["sets"])) for key in RATES
            ]
            lines.append(f"| mean | | | {' | '.join(means)} |")
        else:
            lines.append(_row("all together", content))
    interval = content["interval"]
    lines += [
        "",
        f"Normalised by `{content['normaliser']}`; {interval['resamples']:,} resamples of {interval['resampled']}s.",
        "",
    ]
    return lines


def _row(name: str, one: Mapping[str, Any]) -> str:
    rates = [f"{_percent(r['value'])} ({_percent(r['low'])} to {_percent(r['high'])})" for r in (one[k] for k in RATES)]
    return f"| {name} | {one['utterances']:,} | {one['wer']['reference']:,} | {' | '.join(rates)} |"


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"


if __name__ == "__main__":
    update_readme(Path("README.md"), Path("docs/results"))
