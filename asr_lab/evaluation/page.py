"""A run on one page, `report.html`: its curve and its scores, in one file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from asr_lab.data.left_out import trained_on
from asr_lab.errors import LabError
from asr_lab.evaluation.evaluation_files import read_evaluation
from asr_lab.evaluation.percentages import rate_and_span
from asr_lab.evaluation.plots import Series, draw_training
from asr_lab.evaluation.rates import MAIN, rates
from asr_lab.files import number_of, read_jsonl, write_text

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1a202c; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: .6rem 0 1.4rem; }
th, td { padding: .2rem .8rem; text-align: right; border-bottom: 1px solid #e2e8f0; }
th:first-child, td:first-child { text-align: left; }
caption { text-align: left; font-weight: 600; }
svg { max-width: 100%; height: auto; }
.note { color: #4a5568; }
"""

TRAINED = "trained"
"""The state that ends training, with the reason."""
CURVE = "curve.svg"
"""A run's losses and validation scores, drawn."""


def write_report(run: Path) -> Path:
    """Draw a run's directory anew: `curve.svg` and `report.html` from what stands in it; the page's path.

    Reads `metrics.jsonl` (loss by step), `events.jsonl` (validations) and `eval/*.json`; each may be absent.
    """
    loss, valid = training_curves(run)
    picture = draw_training(loss, valid, f"{run.name}: training")
    evaluations = []
    for path in sorted((run / "eval").glob("*.json")):
        try:
            evaluations.append((path.stem, read_evaluation(path)))
        except LabError:
            continue  # a damaged file is reported where it is asked for; the page shows the rest
    write_text(run / CURVE, picture)
    page = run / "report.html"
    write_text(page, render(run.name, picture, evaluations, *_end_of_training(run), _validation_by_language(run)))
    return page


def training_curves(run: Path) -> tuple[Series, Series | None]:
    """Loss by step, and the error rate of each validation where there was one."""
    metrics = [r for r in read_jsonl(run / "metrics.jsonl") if _has_numbers(r, "loss") and not r.get("skipped")]
    loss = Series("loss per token (nats)", *_columns(metrics, "loss"))
    valid = _validations(run)
    if not valid:
        return loss, None
    metric = str(valid[-1].get("metric", "wer")).upper()
    return loss, Series(f"{metric} on the validation sets", *_columns(valid, "value"), as_percent=True)


def _validations(run: Path) -> list[dict[str, Any]]:
    """The records of a run's validations, by step; of one that was made again the later."""
    events = read_jsonl(run / "events.jsonl")
    found = {e["step"]: e for e in events if e.get("kind") == "valid" and _has_numbers(e, "value")}
    return [found[step] for step in sorted(found)]


def _validation_by_language(run: Path) -> str:
    """A table of each language's error rate in the best validation and the last; "" where none had several."""
    valid = _validations(run)
    if not valid:
        return ""
    last = valid[-1]
    best = next((one for one in valid if one["step"] == last.get("best_step")), last)
    at_best, at_last = (one.get("languages") for one in (best, last))
    if not isinstance(at_best, dict) or not isinstance(at_last, dict) or not at_best:
        return ""
    known = {name: [number_of(rates.get(name)) for rates in (at_best, at_last)] for name in sorted(at_best | at_last)}
    rows = [[name, *("-" if n is None else f"{100 * n:.2f}" for n in found)] for name, found in known.items()]
    label = _label(str(last.get("metric", MAIN)))
    heads = ["language", f"{label} at step {best['step']:,}, the best", f"at step {last['step']:,}, the last"]
    return _table("validation by language", heads, rows)


def _end_of_training(run: Path) -> tuple[str, str]:
    """Why training ended and what it had, where the run's events say so."""
    ends = [e for e in read_jsonl(run / "events.jsonl") if e.get("state") == TRAINED]
    if not ends:
        return "", ""
    utterances = ends[-1].get("utterances")
    return str(ends[-1].get("reason") or ""), trained_on(utterances if isinstance(utterances, dict) else {})


def _has_numbers(record: Mapping[str, Any], key: str) -> bool:
    """Whether a record has a step, and a number under the key."""
    step = record.get("step")
    return isinstance(step, int) and number_of(step) is not None and number_of(record.get(key)) is not None


def render(
    title: str,
    picture: str,
    evaluations: Sequence[tuple[str, Mapping[str, Any]]],
    ended: str = "",
    of: str = "",
    languages: str = "",
) -> str:
    """The page's HTML; `ended` says what ended training, `of` what it had; `languages` is its table of them."""
    parts = [f"<h1>{escape(title)}</h1>", "<h2>Training</h2>", picture]
    parts += [f'<p class="note">Training ended by {escape(ended)}.</p>'] if ended else []
    parts += [f'<p class="note">{escape(of[0].upper() + of[1:])}.</p>'] if of else []
    parts += [languages] if languages else []
    parts += [part for name, content in evaluations for part in _evaluation(name, content)]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    lines = ["<!doctype html>", '<html lang="en">', f"<head>{head}<style>{STYLE}</style></head>", "<body>"]
    return "\n".join([*lines, *parts, "</body>", "</html>", ""])


def _evaluation(stem: str, content: Mapping[str, Any]) -> list[str]:
    interval = content["interval"]
    own_page = f'<p><a href="eval/{escape(stem)}.html">set by set</a></p>' if content.get("languages") else ""
    shown = [*content["sets"], content] if len(content["sets"]) > 1 and not own_page else [content]
    rows = []
    for one in shown:
        for name, rate in one["rates"].items():
            counts = [rate[count] for count in ("substitutions", "deletions", "insertions", "reference")]
            label = f"{one['name']}: {_unit(name)} ({_label(name)})"
            rows.append([label, *_rate(rate), *(f"{count:,}" for count in counts)])
    heads = ["errors in", "rate", "95 % interval", "sub", "del", "ins", "of"]
    note = (
        f"{content['utterances']:,} utterances, {content['audio_s'] / 60:.1f} minutes. Interval: "
        f"{interval['resamples']:,} resamples of {interval['units']:,} {interval['resampled']}s. "
        f"Normalised by {content['normaliser']}. Set {content['hash'][:12]}."
    )
    parts = [
        f"<h2>Evaluation: {escape(stem)}</h2>",
        own_page,
        _table("", heads, rows),
        f'<p class="note">{escape(note)}</p>',
    ]
    for group, members in content["tables"].items():
        if len(members) > 1:
            others = [name for name in members[0]["rates"] if name != MAIN]
            lines = [
                [
                    *(m["label"], f"{m['utterances']:,}", *_rate(m["rates"][MAIN])),
                    *(_rate(m["rates"][name])[0] for name in others),
                ]
                for m in members
            ]
            columns = [group, "utterances", _label(MAIN), "95 % interval", *map(_label, others)]
            parts.append(_table(f"by {group}", columns, lines))
    if named := content.get("identification"):
        lines = [[name, f"{one['utterances']:,}", *_accuracy(one)] for name, one in named["languages"].items()]
        lines.append(["all", f"{named['utterances']:,}", *_accuracy(named)])
        heads = ["language", "utterances", "named rightly", "95 % interval"]
        parts.append(_table("languages named by the model", heads, lines))
    unreadable = content["unreadable"]
    if unreadable["utterances"]:
        lines = [[f"{cut['set']}: {cut['id']}", cut["reason"]] for cut in unreadable["utterances"]]
        what = "their words count as deleted" if unreadable["policy"] == "deleted" else "not in the score"
        parts.append(_table(f"could not be read, {what}", ["utterance", "reason"], lines))
    return parts


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><caption>{escape(caption)}</caption>\n<tr>{head}</tr>\n{body}\n</table>"


def _label(name: str) -> str:
    """What tables call a rate, known here or not."""
    return rates()[name].label if name in rates() else name.upper()


def _unit(name: str) -> str:
    return rates()[name].unit if name in rates() else "units"


def _rate(rate: Mapping[str, Any]) -> list[str]:
    return list(rate_and_span(rate["value"], rate["low"], rate["high"], rate["reference"]))


def _accuracy(one: Mapping[str, Any]) -> list[str]:
    return list(rate_and_span(one["value"], one["low"], one["high"], one["utterances"]))


def _columns(records: Sequence[Mapping[str, Any]], key: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(float(r["step"]) for r in records), tuple(float(r[key]) for r in records)
