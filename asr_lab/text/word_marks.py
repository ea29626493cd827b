"""Marks that stand inside words and numbers of some script, and are no punctuation there.

After Unicode's default word boundaries (UAX 29): the classes are those of WordBreakProperty.txt, version 16.
"""

from __future__ import annotations

import functools
import re
import unicodedata

APOSTROPHE_LETTERS = "ʼʻ"
"""Apostrophes that are letters to Unicode: they stay at the edge of a word too."""
APOSTROPHES = "'’‘‛＇`´′՚" + APOSTROPHE_LETTERS
"""What is typed for an apostrophe."""
PRIME = "′"
"""Between digits it is minutes or feet."""
DOUBLE_QUOTES = '"“”„‟″＂'
"""What is typed for a gershayim."""
GERESH, GERSHAYIM = "\u05f3", "\u05f4"
MIDDLE_DOT = "·"
MIDDLE_DOTS = MIDDLE_DOT + "\u0387\u2027"
"""MidLetter that is a dot at half height; U+2027 is what some write for it."""
BULLETS = "•∙⋅"
"""What is typed for the middle dot of Catalan's l·l."""
COLONS = ":\ufe13\ufe55\uff1a"
"""MidLetter that is a colon: Swedish `EU:s`, Finnish `USA:n`."""
BETWEEN_DIGITS = ".,\u060c\u060d\u066b\u066c\u07f8\u2024\u2044\ufe10\ufe50\ufe52\uff0c\uff0e" + "'’‘＇"
"""MidNum and MidNumLet, without semicolons, which part the numbers of a list."""
SILENT = "\u055b\u055c\u055e\u055f"
"""Marks within a word that spell nothing: Armenian's stress, exclamation, question and abbreviation."""
JOINERS = "\u200c\u200d"
"""Zero width non-joiner and joiner: Persian and the Indic scripts spell with them."""

_UNPARTED = (
    *("CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "HALFWIDTH KATAKANA", "HENTAIGANA", "VERTICAL KANA", "TANGUT"),
    *("KHITAN", "NUSHU", "THAI", "LAO ", "KHMER", "MYANMAR", "TAI ", "NEW TAI", "AHOM"),
)
"""Scripts without blanks between words: their letters are not ALetter, and a mark between two of them parts words."""
_OPENING = re.compile(rf"(?<!\w)[{re.escape(APOSTROPHES)}]\w")


def inner_mark(text: str, i: int) -> str | None:
    """What stands for the mark at `text[i]` where it is part of a word or number; None where it is not."""
    c = text[i]
    if c in SILENT:
        return ""
    before, after = _before(text, i), _after(text, i)
    if c in BETWEEN_DIGITS and before.isdecimal() and after.isdecimal():
        return "'" if c in APOSTROPHES else c
    if _is_apostrophe(c):
        return _apostrophe(text, i, before, after)
    if c in DOUBLE_QUOTES or c == GERSHAYIM:
        return GERSHAYIM if _is_hebrew(before) and _is_hebrew(after) else None
    if c in MIDDLE_DOTS or c in COLONS:
        inside = is_alphabetic(before) and is_alphabetic(after)
        return (MIDDLE_DOT if c in MIDDLE_DOTS else ":") if inside else None
    if c in BULLETS:
        return MIDDLE_DOT if before.lower() == after.lower() == "l" else None
    return None


def in_word(text: str, i: int) -> bool:
    """Whether letters or digits stand on both sides of `text[i]`."""
    return bool(_before(text, i) and _after(text, i))


def follows_letter(text: str, i: int) -> bool:
    """Whether a letter or digit stands before `text[i]`."""
    return bool(_before(text, i))


def _apostrophe(text: str, i: int, before: str, after: str) -> str | None:
    c = text[i]
    if _is_hebrew(before):
        if _is_apostrophe(text[i + 1 : i + 2]) and _is_hebrew(_after(text, i + 1)):
            return GERSHAYIM  # two typed for one
        if _is_hebrew(after) or c == GERESH or (not after and _ends_as_geresh(text)):
            return GERESH
    if _is_hebrew(after) and _is_apostrophe(text[max(0, i - 1) : i]) and _is_hebrew(_before(text, i - 1)):
        return ""
    if c == GERESH:
        return None
    if before and after and (c != PRIME or (before.isalpha() and after.isalpha())):
        return "'"
    return c if c in APOSTROPHE_LETTERS and (before or after) else None


def _is_apostrophe(c: str) -> bool:
    return bool(c) and (c in APOSTROPHES or c == GERESH)


def _ends_as_geresh(text: str) -> bool:
    """Whether an apostrophe behind a Hebrew word is a geresh, and does not close what one before a word opens."""
    return _OPENING.search(text) is None


def _before(text: str, i: int) -> str:
    """The letter or digit right before a place, marks and invisible characters passed over (rule WB4); or ""."""
    for c in reversed(text[max(0, i - 16) : i]):
        if not _is_attached(c):
            return c if unicodedata.category(c)[0] in "LN" else ""
    return ""


def _after(text: str, i: int) -> str:
    """The letter or digit right after a place, in the same way."""
    for c in text[i + 1 : i + 17]:
        if not _is_attached(c):
            return c if unicodedata.category(c)[0] in "LN" else ""
    return ""


def is_tone(c: str) -> bool:
    """Whether a symbol is ALetter: a tone or another modifier that stands behind letters."""
    return unicodedata.category(c) == "Sk" and unicodedata.name(c).startswith("MODIFIER LETTER")


def _is_attached(c: str) -> bool:
    return unicodedata.category(c) in ("Cf", "Mn", "Me", "Mc") or is_tone(c)


def _is_hebrew(c: str) -> bool:
    return "\u05d0" <= c <= "\u05f2" or "\ufb1d" <= c <= "\ufb4f"


@functools.lru_cache(4096)
def is_alphabetic(c: str) -> bool:
    """Whether a character is ALetter or Hebrew_Letter."""
    return bool(c) and c.isalpha() and not unicodedata.name(c, "").startswith(_UNPARTED)
