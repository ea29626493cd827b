"""Languages as rows of numbers, for the terminal, CSV and the page alike."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

import attrs

from asr_lab.evaluation.evaluation_files import Evaluation
from asr_lab.evaluation.identification import identification
from asr_lab.evaluation.languages import ByLanguage, SetFacts
from asr_lab.evaluation.percentages import with_span
from asr_lab.evaluation.rates import MAIN, rates
from asr_lab.evaluation.scoring import Rate, SetScore

CSV_RATES = ("wer", "cer")


@attrs.frozen
class LanguageRow:
    """One set with everything that is shown of it."""

    score: SetScore
    facts: SetFacts
    real_time_factor: float | None
    """Seconds of computing for a second of audio; None where it was not measured."""

    @property
    def counted(self) -> Rate:
        """The rate that counts for its script."""
        return self.score.rates[self.facts.counts]

    @property
    def label(self) -> str:
        """What tables call that rate: `CER`."""
        return rates()[self.facts.counts].label

    @property
    def is_partial(self) -> bool:
        """Whether it has fewer utterances than were published."""
        return self.facts.is_partial(self.score.utterances)

    @property
    def other(self) -> Rate | None:
        """The character error rate beside a word error rate; None where words mean nothing."""
        return self.score.rates["cer"] if self.facts.counts == MAIN else None


def language_rows(evaluation: Evaluation, speeds: Mapping[str, float]) -> list[LanguageRow]:
    """The rows of an evaluation over languages, in the order of its sets."""
    assert evaluation.languages is not None
    facts = evaluation.languages.facts
    return [LanguageRow(one, facts[one.name], speeds.get(one.name)) for one in evaluation.sets]


def by_family(rows: list[LanguageRow]) -> dict[str, list[LanguageRow]]:
    """The rows of each family, the best first; those of none under ""."""
    found: dict[str, list[LanguageRow]] = {}
    for row in rows:
        found.setdefault(row.facts.family, []).append(row)
    return {family: sorted(own, key=lambda r: (r.counted.value, r.score.name)) for family, own in found.items()}


def csv_text(evaluation: Evaluation, speeds: Mapping[str, float]) -> str:
    """A line for each set, rates as fractions, with a header."""
    heads = ["set", "language", "family", "script", "counts", "utterances", "published", "partial", "audio_s"]
    heads += [f"{name}_{what}" for name in CSV_RATES for what in ("", "low", "high", "errors", "of")]
    heads += ["unspellable", "identified", "real_time_factor"]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([head.rstrip("_") for head in heads])
    for row in language_rows(evaluation, speeds):
        facts, score = row.facts, row.score
        cells = [score.name, facts.language, facts.family, facts.script, facts.counts, score.utterances]
        cells += ["" if facts.published is None else facts.published, int(row.is_partial), round(score.audio_s, 3)]
        for name in CSV_RATES:
            rate = score.rates[name]
            cells += [f"{n:.6f}" for n in (rate.value, rate.low, rate.high)]
            cells += [rate.errors, rate.reference]
        cells += [facts.unspellable, "" if facts.identified is None else facts.identified]
        cells.append("" if row.real_time_factor is None else f"{row.real_time_factor:.5f}")
        writer.writerow(cells)
    return file.getvalue()


def remarks(evaluation: Evaluation) -> list[str]:
    """What has to be known beside the numbers: partial sets, what cannot be spelled, languages named rightly."""
    found: ByLanguage | None = evaluation.languages
    assert found is not None
    lines = []
    sizes = {one.name: one.utterances for one in evaluation.sets}
    partial = [f"{n} {sizes[n]:,} of {f.published:,}" for n, f in found.facts.items() if f.is_partial(sizes[n])]
    if partial:
        lines.append(f"partial, fewer utterances than published (*): {_some(partial)}")
    more = [n for n, f in found.facts.items() if f.published is not None and sizes[n] > f.published]
    if more:
        lines.append(f"more utterances than published: {_some(more)}")
    shares = {n: f.unspellable / sizes[n] for n, f in found.facts.items() if f.unspellable}
    if shares:
        worst = sorted(shares, key=lambda n: (-shares[n], n))
        named = [f"{n} {shares[n]:.0%} ({found.facts[n].characters[:5]})".replace("%", " %") for n in worst]
        lines.append(f"the tokenizer cannot spell references of {len(shares)} sets: {_some(named)}")
    if (by_model := identification(evaluation.score)) is not None:
        total = by_model.total
        accuracy = with_span(total.value, total.low, total.high)
        lines.append(f"languages named rightly, in %: {accuracy} of {total.utterances:,} utterances")
        return lines
    told = {n: f.identified for n, f in found.facts.items() if f.identified is not None}
    if told:
        share = sum(told.values()) / sum(sizes[n] for n in told)
        lines.append(f"languages named rightly: {100 * share:.2f} % of the utterances of {len(told)} languages")
    return lines


def _some(names: list[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more, in the CSV" if len(names) > most else "")
