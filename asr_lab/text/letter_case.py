"""Letter case as languages have it; Unicode's own, without a language, is `str.lower` and `str.upper`.

The conditions are those of SpecialCasing.txt for tr, az and lt; Greek's final sigma is spelled by its place.
"""

from __future__ import annotations

import re
import unicodedata

DOT_ABOVE = "\u0307"
_ABOVE = 230
"""The combining class of marks that stand above a letter."""
_FINAL = re.compile(r"(?<=\w)σ(?![\w\u0300-\u036f])")


def lower_turkic(text: str) -> str:
    """Turkish and Azeri: `I` to `ı` and `İ` to `i`, where `str.lower` gives `i` and `i` with a dot above it."""
    return text.replace("I" + DOT_ABOVE, "i").replace("İ", "i").replace("I", "ı").lower()


def upper_turkic(text: str) -> str:
    """Turkish and Azeri: `i` to `İ` and `ı` to `I`, where `str.upper` gives `I` for both."""
    return text.replace("i", "İ").upper()


def lower_lithuanian(text: str) -> str:
    """Lithuanian: the dot of `i`, `j` and `į` stays below another accent (`Ì` to `i̇̀`), in composed characters (NFC)."""
    parts = unicodedata.normalize("NFD", text)
    dotted = "".join(c + DOT_ABOVE * _keeps_dot(parts, i) for i, c in enumerate(parts))
    return unicodedata.normalize("NFC", dotted.lower())


def _keeps_dot(parts: str, i: int) -> bool:
    if parts[i] not in "IJ":
        return False
    for mark in parts[i + 1 : i + 9]:
        if (place := unicodedata.combining(mark)) == _ABOVE:
            return mark != DOT_ABOVE
        if not place:
            return False
    return False


def lower_greek(text: str) -> str:
    """Greek: `ς` at the end of a word and `σ` elsewhere, also where the text has it otherwise (`οδοσ` to `οδος`)."""
    return _FINAL.sub("ς", text.lower().replace("ς", "σ"))
