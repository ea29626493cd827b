"""Texts of many languages made comparable: each in its own letter case, without punctuation, and without spaces where
its script sets none between words."""

from __future__ import annotations

from collections.abc import Collection

from asr_lab.text.normalizer import Normalizer, Step, TextNormalizer

LOWER: dict[str, Step] = {"tr": "lower:tr", "az": "lower:az", "lt": "lower:lt", "el": "lower:el"}
"""Languages whose lower case is not Unicode's own."""
_NO_BRACKETS = str.maketrans("", "", "[]")


class FleursNormalizer(TextNormalizer):
    """NFKC, lower case, no punctuation (`strip_punctuation`), brackets around letters gone without a blank.

    White space goes altogether in languages that `unspaced` names, so that their error rate is that of characters.
    A language is named by FLEURS' code, or by ISO 639 alone (`cmn_hans_cn`, `cmn`, `tr`); one that is not known, or not
    given, is taken for one that sets spaces.
    """

    def __init__(self, unspaced: Collection[str]) -> None:
        self._unspaced = frozenset(unspaced)
        self._steps = {step: Normalizer(("nfkc", step, "strip_punctuation")) for step in ("lower", *LOWER.values())}

    @property
    def id(self) -> str:
        return "fleurs"

    @property
    def version(self) -> str:
        return "1"

    @property
    def settings(self) -> dict[str, object]:
        return {"unspaced": sorted(self._unspaced), "steps": self._steps["lower"].name}

    def __call__(self, text: str, language: str = "") -> str:
        code = language.lower().replace("-", "_")
        short = code.partition("_")[0]
        text = self._steps[LOWER.get(short, "lower")](text.translate(_NO_BRACKETS))
        return "".join(text.split()) if code in self._unspaced or short in self._unspaced else text
