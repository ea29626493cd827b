"""English as Whisper's normaliser has it (Radford et al., 2022, appendix C), and the rules that others change in it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from asr_lab.text.normalizer import TextNormalizer
from asr_lab.text.number_words import numbers_to_digits
from asr_lab.text.spelling_tables import WHISPER_SHA256, whisper_spelling

WHISPER_FILLERS = ("hmm", "mm", "mhm", "mmm", "uh", "um")
FULL_FORMS = {
    "won't": "will not",
    "can't": "can not",
    "let's": "let us",
    "ain't": "aint",
    "y'all": "you all",
    "wanna": "want to",
    "gotta": "got to",
    "gonna": "going to",
    "i'ma": "i am going to",
    "imma": "i am going to",
    "woulda": "would have",
    "coulda": "could have",
    "shoulda": "should have",
    "ma'am": "madam",
}
"""Contractions that stand for themselves."""
TITLES = {
    "mr": "mister",
    "mrs": "missus",
    "st": "saint",
    "dr": "doctor",
    "prof": "professor",
    "capt": "captain",
    "gov": "governor",
    "ald": "alderman",
    "gen": "general",
    "sen": "senator",
    "rep": "representative",
    "pres": "president",
    "rev": "reverend",
    "hon": "honorable",
    "asst": "assistant",
    "assoc": "associate",
    "lt": "lieutenant",
    "col": "colonel",
    "jr": "junior",
    "sr": "senior",
    "esq": "esquire",
}
PERFECTS = ("'d been", "'s been", "'d gone", "'s gone", "'d done", "'s got")
"""Before these participles `'d` is had and `'s` is has."""
ENDINGS = {
    **{"n't": " not", "'re": " are", "'s": " is", "'d": " would"},
    **{"'ll": " will", "'t": " not", "'ve": " have", "'m": " am"},
}

LETTERS = {
    **{"œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE", "ß": "ss", "ẞ": "SS", "đ": "d", "Đ": "D"},
    **{"ð": "d", "Ð": "D", "þ": "th", "Þ": "th", "ł": "l", "Ł": "L"},
}
"""Letters that Unicode does not take apart."""
NUMERIC = ".%$¢€£"
"""Symbols that numbers need."""


@attrs.frozen
class EnglishRules:
    """What differs between the normalisers of this kind."""

    fillers: Sequence[str] = WHISPER_FILLERS
    """Words that count for nothing."""
    is_after: Sequence[str] = ()
    """Words after which `'s` is `is`; none = after any."""
    spelling: Mapping[str, str] = attrs.field(factory=dict)
    """British words, and others, with what they are spelled as."""
    names: Mapping[str, str] = attrs.field(factory=dict)
    """Spellings of names, with the one that stands for them."""
    compounds: Mapping[str, str] = attrs.field(factory=dict)
    """Patterns over plain text, with what is written for them."""
    joins_letters: bool = False
    """Letters spelled out are written as one word: `b b c` to `bbc`."""


class EnglishNormalizer(TextNormalizer):
    """Lower case, no fillers, brackets, accents and punctuation; contractions in full, numbers in digits, American
    spelling."""

    def __init__(self, id: str, version: str, rules: EnglishRules, tables: Mapping[str, str]) -> None:
        """`tables` names the SHA-256 of what the rules were read from."""
        self._id, self._version, self._rules, self._tables = id, version, rules, dict(tables)
        self._fillers = re.compile(rf"\b({'|'.join(rules.fillers)})\b")
        self._contractions = [(re.compile(pattern), full) for pattern, full in _contractions(rules.is_after)]
        self._compounds = [(re.compile(pattern), joined) for pattern, joined in rules.compounds.items()]

    @property
    def id(self) -> str:
        return self._id

    @property
    def version(self) -> str:
        return self._version

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"tables": self._tables}

    def __call__(self, text: str, language: str = "") -> str:
        text = without_brackets(text.lower())
        text = self._fillers.sub("", text)
        text = re.sub(r"\s+'", "'", text)
        for pattern, full in self._contractions:
            text = pattern.sub(full, text)
        text = re.sub(r"(\d),(\d)", r"\1\2", text)
        text = re.sub(r"\.([^0-9]|$)", r" \1", text)
        text = without_symbols_and_accents(text, keep=NUMERIC)
        for pattern, joined in self._compounds:
            text = pattern.sub(joined, text)
        words = numbers_to_digits(text).split()
        words = [self._rules.spelling.get(word, word) for word in words]
        words = [self._rules.names.get(word, word) for word in words]
        text = " ".join(joined_letters(words) if self._rules.joins_letters else words)
        # What is left of the symbols stands beside no number.
        text = re.sub(r"[.$¢€£]([^0-9])", r" \1", text)
        text = re.sub(r"([^0-9])%", r"\1 ", text)
        return " ".join(text.split())


def whisper_english(folder: Path) -> EnglishNormalizer:
    """Whisper's English normaliser; its table of spellings from `folder` or an installed package (`whisper_spelling`).

    MissingPackageError where that is nowhere.
    """
    rules = EnglishRules(spelling=whisper_spelling(folder))
    return EnglishNormalizer("english", "1", rules, {"spelling": WHISPER_SHA256})


def without_brackets(text: str) -> str:
    """The text without what stands in brackets of any kind but braces: notes on noises, and asides."""
    return re.sub(r"\(([^)]+?)\)", "", re.sub(r"[<\[][^>\]]*[>\]]", "", text))


def without_symbols_and_accents(text: str, keep: str = "") -> str:
    """Accents off, other marks and symbols and punctuation to blanks, but for what is in `keep` (NFKD)."""
    return "".join(_plain(c, keep) for c in unicodedata.normalize("NFKD", text))


def joined_letters(words: Sequence[str]) -> list[str]:
    """Runs of single letters and digits as one word; a run with `a` or `i` in it only from three on."""
    found: list[str] = []
    run: list[str] = []
    for word in (*words, ""):
        if len(word) == 1 and word.isalnum():
            run.append(word)
            continue
        least = 3 if {"a", "i"} & set(run) else 2
        found += ["".join(run)] if len(run) >= least else run
        run = []
        found += [word] if word else []
    return found


def _plain(c: str, keep: str) -> str:
    if c in keep:
        return c
    if c in LETTERS:
        return LETTERS[c]
    category = unicodedata.category(c)
    if category == "Mn":
        return ""
    return " " if category[0] in "MSP" else c


def _contractions(is_after: Sequence[str]) -> list[tuple[str, str]]:
    """Patterns in the order in which they are applied."""
    perfects = [(one, one.replace("'d", " had").replace("'s", " has")) for one in PERFECTS]
    endings = [(rf"{one}\b", full) for one, full in ENDINGS.items()]
    if is_after:
        endings[list(ENDINGS).index("'s")] = (rf"\b({'|'.join(is_after)})'s\b", r"\1 is")
    return [
        *((rf"\b{one}\b", full) for one, full in FULL_FORMS.items()),
        *((rf"\b{one}\b", f"{full} ") for one, full in TITLES.items()),
        *((rf"{one}\b", full) for one, full in perfects),
        *endings,
    ]
