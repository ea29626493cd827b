"""What each normalising step keeps and what it takes, in the languages that trip it."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_lab.text.normalizer import Normalizer, Step
from asr_lab.text.word_marks import BETWEEN_DIGITS, GERESH, GERSHAYIM, JOINERS, is_tone

USUAL: tuple[Step, ...] = ("nfc", "lower", "strip_punctuation")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Well-known, isn't it?", "well known isn't it"),
        ("the dogs’ bowl -- ‘quoted’ O’Neil's", "the dogs bowl quoted o'neil's"),
        ("L’homme d'aujourd’hui, qu'est-ce ?", "l'homme d'aujourd'hui qu'est ce"),
        ("Straßenbahn – „Über“ (früh)", "straßenbahn über früh"),
        ("Во-первых, «съешь» ещё…", "во первых съешь ещё"),
        ("Об’єднання, п'ять, пʼять", "об'єднання п'ять п'ять"),
        ("3.5 km, 1,000 at 10:30. In 2020.", "3.5 km 1,000 at 10 30 in 2020"),
        ("-5 % & $3 + a_b #x", "5 3 a b x"),
        ("¿Qué? ¡No!", "qué no"),
        ("你好，世界。「東京」", "你好 世界 東京"),
        ("カタカナ・テスト ラーメン", "カタカナ テスト ラーメン"),
        ("नमस्ते, दुनिया।", "नमस्ते दुनिया"),
        ("Ẹ̀kọ́ o'dára", "ẹ̀kọ́ o'dára"),
        ("o\u0301'a", "ó'a"),
        ("می\u200cروم soft\u00adhyphen \ufeffbom", "می\u200cروم softhyphen bom"),
        ("tab\tand\nline\u00a0here", "tab and line here"),
        ("' '' a' 'b", "a b"),
        ("?!…", ""),
        ("", ""),
    ],
)
def test_the_usual_steps(text: str, expected: str) -> None:
    assert Normalizer(USUAL)(text) == unicodedata.normalize("NFC", expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("café Ångström ñandú", "cafe Angstrom nandu"),
        ("ёж йод", "еж иод"),
        ("ẹ̀kọ́", "eko"),
        ("smørrebrød łódź ß", "smørrebrød łodz ß"),
        ("がぎぐ 한국 हिन्दी", "がぎぐ 한국 हिन्दी"),
    ],
)
def test_accents_go_and_other_marks_stay(text: str, expected: str) -> None:
    assert Normalizer(["strip_accents"])(text) == expected


def test_digits_of_any_script_go() -> None:
    assert Normalizer(["strip_digits"])("room 101 ٣٤ x2y") == "room x y"


def test_nfkc_makes_variants_plain() -> None:
    assert Normalizer(["nfkc"])("ＡＢＣ ﬁne") == "ABC fine"


def test_without_steps_only_white_space_is_reduced() -> None:
    assert Normalizer([])("  A \u3000 b\n") == "A b"


def test_the_name_tells_the_steps_and_the_version() -> None:
    assert Normalizer(USUAL).name == "nfc+lower+strip_punctuation/2"
    assert Normalizer([]).name == "none/2"


@settings(deadline=None)
@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    normalizer = Normalizer(("nfkc", "strip_punctuation"))
    once = normalizer(text)
    assert normalizer(once) == once or unicodedata.normalize("NFKC", once) != once


@settings(deadline=None)
@given(st.text())
def test_no_punctuation_is_left_but_within_words_and_numbers(text: str) -> None:
    inner = f"{BETWEEN_DIGITS}·:{GERESH}{GERSHAYIM}{JOINERS} "
    for c in Normalizer(["strip_punctuation"])(text):
        assert c in inner or is_tone(c) or unicodedata.category(c)[0] in "LMN"
