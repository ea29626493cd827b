"""Texts of FLEURS' languages made comparable."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from asr_lab.slots.normalizers.fleurs import FleursText
from asr_lab.text.normalizer import Normalizer


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en_us", "The [w]hile, it's 3.5 km — “done”!", "the while it's 3.5 km done"),
        ("cmn_hans_cn", "这 并 不 是 告 别 。", "这并不是告别"),
        ("yue", "這 並 不", "這並不"),
        ("zh-TW", "你好 世界", "你好世界"),
        ("jpn", "東京 タワー、daru 2", "東京タワーdaru2"),
        ("th_th", "สวัสดี ครับ", "สวัสดีครับ"),
        ("km_kh", "សួស្តី ពិភពលោក។", "សួស្តីពិភពលោក"),
        ("ko_kr", '"…입니다." 이건 작별', "입니다 이건 작별"),
        ("vi_vn", "Xin chào!", "xin chào"),
        ("tr_tr", "IĞDIR İzmir", "ığdır izmir"),
        ("az", "IŞIQ", "ışıq"),
        ("en_us", "IT", "it"),
        ("el_gr", "ΟΔΟΣ ΟΔΟσ", "οδος οδος"),
        ("uz_uz", "oʻzbek o‘zbek o'zbek", "o'zbek o'zbek o'zbek"),
        ("hi_in", "हिन्दी, भाषा।", "हिन्दी भाषा"),
        ("de_de", "ＦＬＥＵＲＳ ﬁn", "fleurs fin"),
        ("xx_yy", "你 好", "你 好"),
        ("", "你 好", "你 好"),
    ],
)
def test_a_text_in_its_language(language: str, text: str, expected: str) -> None:
    found = FleursText().build(Path())(text, language)
    assert found == unicodedata.normalize("NFC", expected)


def test_a_score_names_it_by_its_version_and_by_the_hash_of_what_decides_its_texts() -> None:
    one = FleursText().build(Path())
    assert one.name == "fleurs/1"
    assert len(one.hash) == 64
    assert len({one.hash, Normalizer(("nfc",)).hash, Normalizer(()).hash}) == 3
    assert Normalizer(("nfc",)).hash == Normalizer(("nfc",)).hash
