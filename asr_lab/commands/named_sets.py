"""Sets that a word names: FLEURS by language, LibriSpeech by part, and what is published of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asr_lab.config.hints import did_you_mean
from asr_lab.config.structure import structure
from asr_lab.config.words import toml
from asr_lab.data.fleurs_languages import BY_CODE, LANGUAGES
from asr_lab.errors import DataError
from asr_lab.evaluation.languages import SetFacts
from asr_lab.slots.datasets import Dataset

LIBRISPEECH = {
    **{"train-clean-100": 28_539, "train-clean-360": 104_014, "train-other-500": 148_688},
    **{"dev-clean": 2_703, "dev-other": 2_864, "test-clean": 2_620, "test-other": 2_939},
}
"""Utterances of each part."""


FLEURS_SCORE = 'score.normalizer={ type = "fleurs" }'
"""What FLEURS is scored by, unless the command line says otherwise."""


def fleurs_sets(languages: str, root: Path) -> list[str]:
    """The test sets of `all` languages, of those that are `there`, or of codes with commas: inline tables of a recipe.

    DataError for a code that is none of FLEURS'.
    """
    if languages == "all":
        codes = [one.code for one in LANGUAGES]
    elif languages == "there":
        codes = [one.code for one in LANGUAGES if _is_there(one.code, root)]
        if not codes:
            raise DataError(f"--fleurs there: no language of FLEURS has its test set below {root.resolve()}/fleurs")
    else:
        codes = _listed("--fleurs", languages, list(BY_CODE), "all, there, or codes with commas: en_us,de_de")
    return [toml(_fleurs(code)) for code in codes]


def librispeech_sets(parts: str) -> list[str]:
    """Parts of LibriSpeech with commas, `test-clean,test-other`: inline tables of a recipe; DataError for another."""
    names = _listed("--librispeech", parts.replace(".", "-"), list(LIBRISPEECH), "parts with commas")
    return [toml({"type": "librispeech", "name": name, "splits": [name]}) for name in names]


def facts_of(name: str, type: str) -> SetFacts:
    """What is published of a set of a dataset's type."""
    if type == "fleurs" and name in BY_CODE:
        one = BY_CODE[name]
        return SetFacts(one.name, one.family, one.script, "wer" if one.is_spaced else "cer", one.num_test)
    if type == "librispeech" and name in LIBRISPEECH:
        return SetFacts("English", "", "Latn", "wer", LIBRISPEECH[name])
    return SetFacts()


def names_of_language(name: str) -> frozenset[str]:
    """What the language of a FLEURS set is called by models that name it."""
    one = BY_CODE.get(name)
    return frozenset() if one is None else frozenset((one.code, one.iso639, one.iso639_3))


def _fleurs(code: str) -> dict[str, Any]:
    return {"type": "fleurs", "name": code, "languages": [code], "splits": ["test"]}


def _is_there(code: str, root: Path) -> bool:
    try:
        structure(_fleurs(code), Dataset).read(root)
    except DataError:
        return False
    return True


def _listed(option: str, text: str, known: Sequence[str], takes: str) -> list[str]:
    names = [one.strip() for one in text.split(",") if one.strip()]
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known) or f" (have: {', '.join(known)})"
            raise DataError(f"{option} takes {takes}; there is no {name!r}{hint}")
    if not names:
        raise DataError(f"{option} takes {takes}; it names none")
    return list(dict.fromkeys(names))
