"""Letter case by language: what Unicode's plain mapping does otherwise, and that the rest is as it has it."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_lab.text.normalizer import Normalizer, Step

DOT = "\u0307"


@pytest.mark.parametrize(
    ("step", "text", "expected"),
    [
        ("lower", "İstanbul Isparta", f"i{DOT}stanbul isparta"),
        ("lower:tr", "İstanbul Isparta", "istanbul ısparta"),
        ("lower:az", "İSTİRAHƏT QIZIL", "istirahət qızıl"),
        ("lower:tr", f"I{DOT}zmir ISPARTA", "izmir ısparta"),
        ("upper", "istanbul ısparta", "ISTANBUL ISPARTA"),
        ("upper:tr", "istanbul ısparta", "İSTANBUL ISPARTA"),
        ("upper:az", "qızıl istirahət", "QIZIL İSTİRAHƏT"),
        ("lower", "ÌŽ", "ìž"),
        ("lower:lt", "Ì Í Ĩ", f"i{DOT}\u0300 i{DOT}\u0301 i{DOT}\u0303"),
        ("lower:lt", "J\u0303 Į\u0303 Įlanka ŽEMĖ İ", f"j{DOT}\u0303 į{DOT}\u0303 įlanka žemė i{DOT}"),
        ("lower", "ΟΔΟΣ ΣΟΦΟΣ", "οδος σοφος"),
        ("lower", "οδοσ", "οδοσ"),
        ("lower:el", "ΟΔΟΣ σοφοσ Σ ςα ΌΣΟΣ-ΌΣΟΣ", "οδος σοφος σ σα όσος-όσος"),
        ("lower", "GROẞ ǄABA ФЁДОР ԲԱՐԵՎ", "groß ǆaba фёдор բարեվ"),
    ],
)
def test_each_language_has_its_case(step: Step, text: str, expected: str) -> None:
    assert Normalizer([step])(text) == expected


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="iIjJİıΣσςĮ")))
def test_what_no_language_changes_is_unicodes_plain_case(text: str) -> None:
    text = unicodedata.normalize("NFC", text)
    for language in ("tr", "az", "el"):
        assert Normalizer([f"lower:{language}"])(text) == Normalizer(["lower"])(text)  # type: ignore[list-item]
    assert Normalizer(["upper:tr"])(text) == Normalizer(["upper"])(text)


@settings(deadline=None)
@given(st.text(st.sampled_from("iIİıaA b")))
def test_turkish_lower_undoes_upper(text: str) -> None:
    lower = Normalizer(["nfc", "lower:tr"])(text)
    assert Normalizer(["upper:tr", "lower:tr"])(lower) == lower
