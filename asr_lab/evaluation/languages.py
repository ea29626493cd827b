"""Scores of many languages beside one another: which rate counts for each, and averages over them with intervals.

Macro averages weigh languages alike, micro averages utterances. A language's resamples are drawn from its own
utterances alone, so that an average's interval holds for these languages, not for some drawn from a larger number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from asr_lab.evaluation.bootstrap import LEVEL, Floats, resample_totals, resampling_units
from asr_lab.evaluation.rates import MAIN
from asr_lab.evaluation.scoring import SetScore

CHARACTERS = "cer"
AVERAGED = (MAIN, CHARACTERS)


@attrs.frozen
class SetFacts:
    """What is known of a set beside its score."""

    language: str = ""
    """Its name in English; "" for a set of no language in particular."""
    family: str = ""
    script: str = ""
    """ISO 15924."""
    counts: str = MAIN
    """The rate that counts for the script: `wer`, or `cer` where it sets no spaces between words."""
    published: int | None = None
    """Utterances that the corpus has; None where nothing is published."""
    unspellable: int = 0
    """References that the tokenizer cannot spell."""
    characters: str = ""
    """Some of the characters that it has no token for."""
    identified: int | None = None
    """Utterances whose language the model named rightly; None where it names none."""

    def is_partial(self, utterances: int) -> bool:
        """Whether so many are fewer than were published."""
        return self.published is not None and utterances < self.published


@attrs.frozen
class Average:
    """A rate over several sets, with the central 95 % of its resamples."""

    value: float
    low: float
    high: float
    sets: int


@attrs.frozen
class FamilyAverage:
    """Macro averages over the languages of a family."""

    languages: int
    counted: Average
    """Of the rate that counts for each."""
    cer: Average


@attrs.frozen
class ByLanguage:
    """Facts and averages of an evaluation over languages."""

    facts: Mapping[str, SetFacts]
    """By the name of the set."""
    macro: Mapping[str, Average]
    """`counted`: of the rate that counts for each; `cer`: over all; `wer`: over those where it counts."""
    micro: Mapping[str, Average]
    """`cer` over all utterances, `wer` over those of languages where it counts."""
    families: Mapping[str, FamilyAverage]


def by_language(sets: Sequence[SetScore], facts: Mapping[str, SetFacts]) -> ByLanguage:
    """The averages over sets; each of them must have its facts."""
    drawn = {one.name: _Drawn.of(one) for one in sets}
    counted = {one.name: (drawn[one.name], facts[one.name].counts) for one in sets}
    cer = [(one, CHARACTERS) for one in drawn.values()]
    wer = [pair for pair in counted.values() if pair[1] == MAIN]
    macro = {"counted": _macro(counted.values()), "cer": _macro(cer), **({MAIN: _macro(wer)} if wer else {})}
    micro = {"cer": _micro(cer), **({MAIN: _micro(wer)} if wer else {})}
    families = {}
    for family in dict.fromkeys(fact.family for fact in facts.values() if fact.family):
        names = [one.name for one in sets if facts[one.name].family == family]
        own = [(drawn[name], CHARACTERS) for name in names]
        families[family] = FamilyAverage(len(names), _macro([counted[name] for name in names]), _macro(own))
    return ByLanguage(dict(facts), macro, micro, families)


def language_json(found: ByLanguage) -> dict[str, Any]:
    """The keys that an evaluation's JSON has beside those of every evaluation."""
    averages = attrs.asdict(attrs.evolve(found, facts={}))
    del averages["facts"]
    return {"languages": {name: attrs.asdict(one) for name, one in found.facts.items()}, "averages": averages}


@attrs.frozen(eq=False)
class _Drawn:
    """Errors and units of a set, and those of its resamples."""

    errors: dict[str, int]
    units: dict[str, int]
    resamples: dict[str, tuple[Floats, Floats]]

    @classmethod
    def of(cls, one: SetScore) -> _Drawn:
        counts = np.array(
            [[n for name in AVERAGED for n in (s.errors[name].errors, s.errors[name].reference)] for s in one.scored],
            dtype=np.int64,
        )
        units = resampling_units([s.transcript.columns.get("speaker") for s in one.scored])
        # A seed of its own: the same draws for sets of one size would make their errors look related.
        own = hashlib.sha256(f"{one.seed} {one.name}".encode()).digest()
        drawn = resample_totals(units.total(counts), one.resamples, int.from_bytes(own[:8]))
        total = counts.sum(0).tolist()
        places = {name: 2 * i for i, name in enumerate(AVERAGED)}
        return cls(
            {name: total[at] for name, at in places.items()},
            {name: total[at + 1] for name, at in places.items()},
            {name: (drawn[:, at], drawn[:, at + 1]) for name, at in places.items()},
        )


def _macro(sets: Iterable[tuple[_Drawn, str]]) -> Average:
    pairs = list(sets)
    values = [one.errors[rate] / max(1, one.units[rate]) for one, rate in pairs]
    drawn = [errors / np.maximum(1, units) for errors, units in (one.resamples[rate] for one, rate in pairs)]
    return _average(sum(values) / len(values), np.mean(drawn, axis=0), len(pairs))


def _micro(sets: Iterable[tuple[_Drawn, str]]) -> Average:
    pairs = list(sets)
    errors = sum(one.errors[rate] for one, rate in pairs)
    units = sum(one.units[rate] for one, rate in pairs)
    drawn_errors = np.sum([one.resamples[rate][0] for one, rate in pairs], axis=0)
    drawn_units = np.sum([one.resamples[rate][1] for one, rate in pairs], axis=0)
    return _average(errors / max(1, units), drawn_errors / np.maximum(1, drawn_units), len(pairs))


def _average(value: float, drawn: Floats, sets: int) -> Average:
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Average(value, min(value, float(low)), max(value, float(high)), sets)
