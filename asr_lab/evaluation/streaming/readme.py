"""Comparisons of streaming that are shown: kept beside the documentation, and the README's tables made from them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from asr_lab.config.stored import read_json
from asr_lab.evaluation.percentages import percent, with_span
from asr_lab.evaluation.readme import replace_section
from asr_lab.files import write_json
from asr_lab.units import s_to_ms

MARKER = "streaming"
KEPT_OF_A_ROW = (
    *("label", "kind", "decoder", "trained", "rates", "differences", "delay", "latency", "speed"),
    *("state_bytes", "reencoded_s_per_s"),
)
HEAD = (
    *("context", "WER", "delta vs offline, pp", "CER", "delay ms", "finalisation delay P50 / P90 / P95 ms"),
    *("RTF", "chunk P50 / P99 ms", "KiB"),
)


def publish_streaming(
    folder: Path, name: str, title: str, command: str, content: Mapping[str, Any], curve: Path, version: str = ""
) -> Path:
    """Keep a comparison's JSON as `<name>.json` in a folder, and its curve, without its paths; the file's path.

    `curve` is a picture without its suffix: the SVG and the PNG are kept. `version` says which version of the package
    made it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    checks = content["proof"]["checks"]
    worst = {
        dtype: max(c["relative"] for c in checks if c["dtype"] == dtype)
        for dtype in dict.fromkeys(c["dtype"] for c in checks)
    }
    kept = {
        "title": title,
        "command": command,
        "version": version,
        "proof": {key: content["proof"][key] for key in ("holds", "decisions", "num_differing", "audio_s")}
        | {"utterances": len(content["proof"]["utterances"]), "largest_difference": worst},
        "rows": [{key: row[key] for key in KEPT_OF_A_ROW} for row in content["rows"]],
        "set": content["set"],
        "timed": content["timed"],
    }
    path = folder / f"{name}.json"
    for suffix in (".svg", ".png"):
        shutil.copyfile(curve.with_suffix(suffix), path.with_suffix(suffix))
    write_json(path, kept)
    return path


def streaming_section(folder: Path, link: str = "") -> str:
    """The Markdown made from all kept comparisons; `link` says how the folder is reached from the page."""
    lines: list[str] = []
    for path in sorted(folder.glob("*.json")):
        content = read_json(path)
        curve = f"![Word errors by delay: {content['title']}]({link}/{path.with_suffix('.svg').name})"
        lines += [*_part(content), curve, ""]
    return "\n".join(lines)


def update_streaming(readme: Path, folder: Path) -> bool:
    """Put the section between the README's markers; whether that changed it. DataError without the markers."""
    link = Path(os.path.relpath(folder.resolve(), readme.resolve().parent)).as_posix()
    return replace_section(readme, MARKER, streaming_section(folder, link))


def _part(content: Mapping[str, Any]) -> Iterator[str]:
    proof, about = content["proof"], content["set"]
    yield from (f"**{content['title']}** (`{content['command']}`)", "")
    apart = ", ".join(f"{value:.0e} in {dtype}" for dtype, value in proof["largest_difference"].items())
    holds = "holds" if proof["holds"] else "FAILS"
    yield (
        f"The proof {holds}: over {proof['utterances']:,} utterances ({proof['audio_s']:.0f} s), in every context, "
        f"frames differ by at most {apart}, {proof['num_differing']:,} of {proof['decisions']:,} tokens differ."
    )
    yield from ("", f"| {' | '.join(HEAD)} |", f"|---|{'---:|' * (len(HEAD) - 1)}")
    for row in content["rows"]:
        yield f"| {' | '.join(_cells(row))} |"
    interval = about["interval"]
    yield ""
    yield (
        f"{about['utterances']:,} utterances, {about['audio_s'] / 60:.1f} minutes; rates in %, in brackets the central "
        f"95 % of {interval['resamples']:,} resamples, differences paired by utterance. Delay: a chunk, the window and "
        "the lookahead. Finalisation delay: from a word's end in a forced alignment until it is final. Costs of one "
        f"stream, {content['timed']['threads']} thread(s). \\* not trained in this context. Made by version "
        f"{content['version']}."
    )
    yield ""


def _cells(row: Mapping[str, Any]) -> Iterator[str]:
    yield row["label"] if row["trained"] else f"{row['label']} \\*"
    rate = row["rates"]["wer"]
    yield with_span(rate["value"], rate["low"], rate["high"])
    change = None if row["differences"] is None else row["differences"]["wer"]
    yield "" if change is None else with_span(change["difference"], change["low"], change["high"], "+")
    yield percent(row["rates"]["cer"]["value"], unit="")
    yield "" if row["delay"] is None else f"{row['delay']['worst_ms']:.0f}"
    words = row["latency"]["words"]
    final = None if words is None else words["final"]
    yield "" if final is None else " / ".join(f"{s_to_ms(final[key]):,.0f}" for key in ("p50_s", "p90_s", "p95_s"))
    speed = row["speed"]
    yield f"{speed['real_time_factor']:.3f}"
    yield f"{speed['chunk_p50_ms']:.1f} / {speed['chunk_p99_ms']:.1f}"
    yield "" if row["state_bytes"] is None else f"{row['state_bytes'] / 1024:,.0f}"


if __name__ == "__main__":
    update_streaming(Path("README.md"), Path("docs/streaming"))
