"""Marks inside words and numbers, script by script: what stays one word, what becomes two, what goes."""

from __future__ import annotations

import unicodedata

import pytest

from asr_lab.text import word_marks
from asr_lab.text.normalizer import Normalizer, Step

USUAL: tuple[Step, ...] = ("nfc", "lower", "strip_punctuation")

ONE_WORD = [
    ("Catalan", "col·lecció col•lecció COL‧LECCIÓ", "col·lecció col·lecció col·lecció"),
    ("Occitan and Gascon", "des·har in·hèrn", "des·har in·hèrn"),
    ("Hebrew gershayim", "צה״ל צה\"ל צה''ל צה׳׳ל צה”ל", "צה״ל צה״ל צה״ל צה״ל צה״ל"),
    ("Hebrew geresh", "ג׳ירפה ג'ירפה ג’ירפה", "ג׳ירפה ג׳ירפה ג׳ירפה"),
    ("Hebrew geresh at the end", "קולג׳ קולג' ורד", "קולג׳ קולג׳ ורד"),
    ("Hebrew with points", "צַהַ״ל", "צַהַ״ל"),
    ("Yiddish", "ס'איז", "ס׳איז"),
    ("Arabic decimals", "٣٫٥ و ١٬٠٠٠", "٣٫٥ و ١٬٠٠٠"),
    ("Persian decimals", "۳٫۵ ۱۲٬۰۰۰", "۳٫۵ ۱۲٬۰۰۰"),
    ("Arabic comma in a number", "١،٥", "١،٥"),
    ("Arabic vowels", "مُدَرِّسَةٌ", "مُدَرِّسَةٌ"),
    ("Persian joiners", "می\u200cروم", "می\u200cروم"),
    ("a joiner typed twice", "می\u200c\u200cروم", "می\u200cروم"),
    ("Hindi", "हिन्दी में क्\u200dष", "हिन्दी में क्\u200dष"),
    ("Bengali", "বাংলা র\u200d্যাব", "বাংলা র\u200d্যাব"),
    ("Tamil", "தமிழ் மொழி", "தமிழ் மொழி"),
    ("Thai", "น้ำ ที่นี่", "น้ำ ที่นี่"),
    ("Khmer", "ភាសាខ្មែរ", "ភាសាខ្មែរ"),
    ("Burmese", "မြန်မာ", "မြန်မာ"),
    ("Tibetan vowels", "བོད", "བོད"),
    ("Armenian", "Ինչո՞ւ ո՛չ", "ինչու ոչ"),
    ("Swedish and Finnish", "EU:s USA:n", "eu:s usa:n"),
    ("Ukrainian", "п'ять п’ять пʼять", "п'ять п'ять п'ять"),
    ("Uzbek", "oʻzbek o‘zbek o'zbek oʼzbek o`zbek", "o'zbek o'zbek o'zbek o'zbek o'zbek"),
    ("Hawaiian", "ʻokina Hawaiʻi", "ʻokina hawai'i"),
    ("Navajo", "dooʼ", "dooʼ"),
    ("French", "l’homme aujourd‛hui l′eau", "l'homme aujourd'hui l'eau"),
    ("Armenian apostrophe", "ա՚բ", "ա'բ"),
    ("Swiss thousands", "1'000 1’000", "1'000 1'000"),
    ("a fraction", "1⁄2", "1⁄2"),
    ("full-width digits", "３．５ １，０００", "３．５ １，０００"),
    ("tones of the IPA", "ma˥˩ma", "ma˥˩ma"),
    (
        "soft hyphens and controls of direction",
        "Donau\u00addampf a\u200fb \u202bc\u202cd \u2066e\u2069f",
        "donaudampf ab cd ef",
    ),
    ("a mark through a soft hyphen", "l\u00ad’eau", "l'eau"),
    ("word joiner and byte order mark", "a\u2060b \ufeffc", "ab c"),
    ("Mongolian with a selector", "ᠮᠣᠩ\u180bᠭᠣᠯ", "ᠮᠣᠩᠭᠣᠯ"),
]
PARTED = [
    ("hyphens of all kinds", "a-b a‐b a‑b a–b a—b בֵּית־סֵפֶר", "a b a b a b a b a b בֵּית סֵפֶר"),
    ("Katakana", "カタカナ・テスト カタカナ･テスト", "カタカナ テスト カタカナ テスト"),
    ("Chinese names", "约翰·史密斯 3：5", "约翰 史密斯 3 5"),
    ("Devanagari", "नमस्ते, दुनिया। डॉ॰", "नमस्ते दुनिया डॉ"),
    ("Arabic", "نعم،لا؟ ٪٥", "نعم لا ٥"),
    ("Urdu", "ہاں۔نہیں", "ہاں نہیں"),
    ("Ethiopic", "ሰላም፡ዓለም።", "ሰላም ዓለም"),
    ("Hebrew in quotes", "'שלום' \"עולם\" 'שלום רב'", "שלום עולם שלום רב"),
    ("a list of numbers", "1;2 10:30", "1 2 10 30"),
    ("feet and minutes", "5′30″", "5 30"),
    ("a bullet", "one•two a·1", "one two a 1"),
    ("abbreviations", "e.g. U.S.A. z.B. т.е.", "e g u s a z b т е"),
    ("marks at the edge of words", "dogs’ ‘n’ a· :b l·", "dogs n a b l"),
    ("doubled apostrophes", "a''b", "a b"),
    ("emoji", "❤️ 1️⃣ 👩\u200d💻 ok", "1 ok"),
    ("a mark on nothing", "\u0301 a", "a"),
    ("joiners at the edge", "\u200cab\u200d c", "ab c"),
]


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in ONE_WORD], ids=[case[0] for case in ONE_WORD])
def test_marks_inside_words_and_numbers_keep_them_whole(text: str, expected: str) -> None:
    assert Normalizer(USUAL)(text) == expected
    assert Normalizer(USUAL)(expected) == expected


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in PARTED], ids=[case[0] for case in PARTED])
def test_what_is_punctuation_parts_words(text: str, expected: str) -> None:
    assert Normalizer(USUAL)(text) == expected
    assert Normalizer(USUAL)(expected) == expected


def test_the_classes_are_unicodes() -> None:
    regex = pytest.importorskip("regex", reason="knows each character's Word_Break class")

    def unicode(*classes: str) -> set[str]:
        pattern = regex.compile("|".join(rf"\p{{WB={name}}}" for name in classes))
        return {chr(c) for c in range(0x110000) if pattern.match(chr(c))}

    semicolons, armenian_stop = set(";\u037e\ufe54\uff1b\ufe14"), {"\u0589"}
    numbers = set(word_marks.BETWEEN_DIGITS) - {"\u066b", "\ufe10"}  # Numeric itself; a comma of vertical text
    assert numbers == unicode("MidNum", "MidNumLet", "Single_Quote") - semicolons - armenian_stop
    letters = set(word_marks.MIDDLE_DOTS + word_marks.COLONS) | {word_marks.GERSHAYIM, "\u055f"}
    assert letters == unicode("MidLetter")
    alphabetic = regex.compile(r"[\p{WB=ALetter}\p{WB=Hebrew_Letter}]")
    named = [c for c in map(chr, range(0x110000)) if c.isalpha() and unicodedata.name(c, "")]
    other = [c for c in named if word_marks.is_alphabetic(c) != bool(alphabetic.match(c))]
    assert [unicodedata.name(c) for c in other if "ITERATION MARK" not in unicodedata.name(c)] == []
