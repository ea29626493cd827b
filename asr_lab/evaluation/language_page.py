"""An evaluation over languages on one page: a chart with intervals and a table that sorts, in a file by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from asr_lab.evaluation.evaluation_files import Evaluation
from asr_lab.evaluation.language_rows import LanguageRow, by_family, language_rows, remarks
from asr_lab.evaluation.languages import Average
from asr_lab.evaluation.percentages import NONE, percent, span
from asr_lab.evaluation.plots import BLUE, GREY, ORANGE, paper, svg_text

COLOURS = (BLUE, ORANGE, "#2f855a", "#805ad5", "#b83280", "#744210", "#0987a0")
ROW_INCHES, EDGE_INCHES = 0.17, 1.0
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1a202c; max-width: 66rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: .6rem 0 1.4rem; font-size: 14px; }
th, td { padding: .15rem .7rem; text-align: right; border-bottom: 1px solid #e2e8f0; white-space: nowrap; }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
thead th { position: sticky; top: 0; background: #fff; }
th button { all: unset; cursor: pointer; font-weight: 600; }
th[aria-sort=ascending] button::after { content: " ▲"; }
th[aria-sort=descending] button::after { content: " ▼"; }
caption { text-align: left; font-weight: 600; }
svg { max-width: 100%; height: auto; }
.note { color: #4a5568; }
"""
SORT = """
for (const table of document.querySelectorAll("table.sorts")) {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((head, column) => head.firstChild.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const value = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
    const order = (a, b) => a !== "" && b !== "" && !isNaN(a) && !isNaN(b) ? a - b : a.localeCompare(b);
    const rows = [...body.rows].sort((a, b) => order(value(a), value(b)) * (up ? 1 : -1));
    body.append(...rows);
  }));
}
"""
TEXT = ("set", "language", "family", "script", "rate")
HEADS = (*TEXT, "utterances", "published", "of", "%", "low", "high", "WER", "CER", "RTF", "unspellable")


def render(title: str, evaluation: Evaluation, speeds: Mapping[str, float]) -> str:
    """The page's HTML."""
    rows = language_rows(evaluation, speeds)
    score, about = evaluation.score, evaluation.about
    what = f"{about.get('run', '')}, {about.get('checkpoint', '')}".strip(", ")
    note = (
        f"{score.utterances:,} utterances, {score.audio_s / 3600:.2f} hours. Normalised by {score.normaliser} "
        f"({score.normaliser_hash[:12]}), scored by {score.scorer}. Intervals: the central 95 % of "
        f"{score.resamples:,} resamples of utterances. Set {score.hash[:12]}."
    )
    parts = [f"<h1>{escape(what or title)}</h1>", f'<p class="note">{escape(note)}</p>']
    parts += [f"<p>{escape(line[0].upper() + line[1:])}.</p>" for line in remarks(evaluation)]
    parts += [_averages(evaluation), "<h2>By family</h2>", draw_languages(rows), "<h2>By set</h2>", _table(rows)]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    lines = ["<!doctype html>", '<html lang="en">', f"<head>{head}<style>{STYLE}</style></head>", "<body>"]
    return "\n".join([*lines, *parts, f"<script>{SORT}</script>", "</body>", "</html>", ""])


def draw_languages(rows: Sequence[LanguageRow]) -> str:
    """An SVG: a bar for each set, the rate that counts with its interval; by family, the best first."""
    from matplotlib.ticker import PercentFormatter

    families = by_family(list(rows))
    placed, at = [], 0.0
    for colour, (family, members) in zip(_colours(len(families)), families.items(), strict=True):
        placed += [(at + i, colour, family if i == 0 else "", row) for i, row in enumerate(members)]
        at += len(members) + 1.6 * (len(families) > 1)
    with paper((7.6, EDGE_INCHES + ROW_INCHES * at)) as (figure, axes):
        axes.grid(visible=False, axis="y")
        for y, colour, family, row in placed:
            rate = row.counted
            axes.barh(y, rate.value, color=colour, height=0.72)
            axes.plot([rate.low, rate.high], [y, y], color="#1a202c", linewidth=1.1)
            if family:
                axes.text(0, y - 0.75, family, fontsize=8, fontweight="bold", color=colour, va="bottom")
        axes.set_yticks([y for y, *_ in placed], [_name(row) for *_, row in placed], fontsize=7)
        axes.set_ylim(at - 0.4, -1.9)
        axes.set_xlim(left=0)
        axes.set_xlabel("error rate, that which counts for the script (CER: marked)", color=GREY)
        axes.xaxis.set_major_formatter(PercentFormatter(xmax=1.0, decimals=None, symbol=" %"))
        return svg_text(figure)


def _colours(count: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(count)]


def _name(row: LanguageRow) -> str:
    marks = f"{' (CER)' if row.facts.counts == 'cer' else ''}{' *' if row.is_partial else ''}"
    return f"{row.facts.language or row.score.name}{marks}"


def _averages(evaluation: Evaluation) -> str:
    found = evaluation.languages
    assert found is not None
    rows = [
        [family, f"{one.languages}", *_cells(one.counted), *_cells(one.cer)] for family, one in found.families.items()
    ]
    rows.append(
        [
            "all, sets alike (macro)",
            f"{found.macro['cer'].sets}",
            *_cells(found.macro["counted"]),
            *_cells(found.macro["cer"]),
        ]
    )
    wer = _cells(found.micro["wer"]) if "wer" in found.micro else (NONE, NONE)
    rows.append(["all, utterances alike (micro), WER where it counts", "", *wer, *_cells(found.micro["cer"])])
    heads = ["average", "sets", "rate that counts", "95 % interval", "CER", "95 % interval"]
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>"


def _cells(average: Average) -> tuple[str, str]:
    return percent(average.value), span(average.low, average.high)


def _table(rows: Sequence[LanguageRow]) -> str:
    heads = "".join(f"<th{' class=text' * (head in TEXT)}><button>{escape(head)}</button></th>" for head in HEADS)
    lines = "\n".join(f"<tr>{''.join(_row(row))}</tr>" for row in rows)
    return f'<table class="sorts"><thead><tr>{heads}</tr></thead>\n<tbody>{lines}</tbody></table>'


def _row(row: LanguageRow) -> list[str]:
    facts, score, rate = row.facts, row.score, row.counted
    texts = [score.name, facts.language, facts.family, facts.script, row.label]
    published = NONE if facts.published is None else f"{facts.published:,}"
    counts = [
        (score.utterances, f"{score.utterances:,}{'*' if row.is_partial else ''}"),
        (facts.published or -1, published),
        (rate.reference, f"{rate.reference:,}"),
    ]
    shown: list[tuple[float | None, str]] = [(n, text) for n, text in counts]
    measured = [rate.value, rate.low, rate.high]
    shown += [(value, percent(value, unit="") if rate.reference else NONE) for value in measured]
    wer = score.rates["wer"].value if row.other is not None else None
    shown += [(value, NONE if value is None else percent(value, unit="")) for value in (wer, score.rates["cer"].value)]
    speed = row.real_time_factor
    shown += [(speed, NONE if speed is None else f"{speed:.3f}"), (facts.unspellable, f"{facts.unspellable:,}")]
    cells = [f'<td class="text">{escape(text)}</td>' for text in texts]
    return cells + [f'<td data-value="{-1 if n is None else n}">{escape(text)}</td>' for n, text in shown]
