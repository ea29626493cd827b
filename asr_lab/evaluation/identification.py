"""How often a model that names languages named the right one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from asr_lab.evaluation.bootstrap import rate_interval, resampling_units
from asr_lab.evaluation.scoring import Scored, SetScore
from asr_lab.recognition.decoded_utterance import IDENTIFIED


@attrs.frozen
class Accuracy:
    """The share of utterances whose language was named rightly, with its 95 % interval."""

    value: float
    low: float
    high: float
    utterances: int


@attrs.frozen
class Identification:
    """Accuracies over the utterances whose language is known, where the model named one."""

    total: Accuracy
    languages: dict[str, Accuracy]
    """By the language as the manifest has it."""


def identification(score: SetScore) -> Identification | None:
    """The accuracy over a score's utterances and over those of each language; None where no language was named.

    An utterance counts where its manifest says the language and the model named one; resampled as error rates are.
    """
    known = [one for one in score.scored if _language(one) and one.transcript.columns.get(IDENTIFIED)]
    if not known:
        return None
    by_language: dict[str, list[Scored]] = {}
    for one in known:
        by_language.setdefault(_language(one), []).append(one)
    each = {name: _accuracy(by_language[name], score) for name in sorted(by_language)}
    return Identification(_accuracy(known, score), each)


def identification_json(score: SetScore) -> dict[str, Any]:
    """What an evaluation's JSON has of it: `value low high utterances`, and the same for each of `languages`."""
    found = identification(score)
    if found is None:
        return {}
    each = {name: attrs.asdict(one) for name, one in found.languages.items()}
    return {"identification": {**attrs.asdict(found.total), "languages": each}}


def _accuracy(rows: Sequence[Scored], score: SetScore) -> Accuracy:
    wrong = np.array([[int(_language(one) != str(one.transcript.columns[IDENTIFIED]))] for one in rows])
    units = resampling_units([_speaker(one) for one in rows])
    ((low, high),) = rate_interval(units.total(wrong), units.total(np.ones_like(wrong)), score.resamples, score.seed)
    return Accuracy(1 - float(wrong.mean()), 1 - high, 1 - low, len(rows))


def _language(one: Scored) -> str:
    return str(one.transcript.columns.get("language") or "")


def _speaker(one: Scored) -> str | None:
    speaker = one.transcript.columns.get("speaker")
    return None if speaker in (None, "", "unknown") else str(speaker)
