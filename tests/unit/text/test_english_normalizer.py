"""English after Whisper's rules, held equal to openai-whisper's own; and the leaderboard's rules on top of them."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from asr_lab.errors import DataError, MissingPackageError
from asr_lab.text import english, number_words, open_asr, spelling_tables
from asr_lab.text.basic import BasicNormalizer
from asr_lab.text.number_words import numbers_to_digits

PUBLISHED = """
two|thirty one|five twenty four|nineteen ninety nine|twenty nineteen|two point five million|four point two billions
200 thousand|200 thousand dollars|$20 million|€52.4 million|£77 thousands|two double o eight
three thousand twenty nine|forty three thousand two hundred sixty|forty three thousand two hundred and sixty
nineteen fifties|thirty first|thirty three thousand and three hundred and thirty third|three billion|millions
july third twenty twenty|august twenty sixth twenty twenty one|3 14|3.14|3 point 2|3 point 14|fourteen point 4
two point two five dollars|two hundred million dollars|$20.1 million|ninety percent|seventy six per cent
double oh seven|double zero seven|nine one one|nine double one|one triple oh one|two thousandth|thirty two thousandth
minus 500|positive twenty thousand|two dollars and seventy cents|3 cents|$0.36|three euros and sixty five cents
three and a half million|forty eight and a half dollars|b747|10 th|10th|mobilisation|cancelation
Let's|he's like|she's been like|10km|10mm|RC232|Mr. Park visited Assoc. Prof. Kim Jr.
"""
"""The sentences that Whisper's own tests hold its normaliser to."""
OTHERS = """
a an the and half um uh it's he's don't won't i'ma y'all mrs st dr. gen 5% [noise] (aside) café ß œuvre a.m. u.s.
isn't she'd they've i'm we'll 's 't -5 +3 £7 ¢9 1,000 . , ' — 0 007 1 1s 2nd state-of-the-art x y ٣ ２ ½ ²
12.5.6 .5 $ % 'd been 's got 'd done colour realise travelogue
"""


@pytest.fixture(scope="module")
def oracles() -> tuple[object, object]:
    from whisper.normalizers import BasicTextNormalizer, EnglishTextNormalizer

    return EnglishTextNormalizer(), BasicTextNormalizer


@pytest.fixture
def whisper_like(tmp_path: Path) -> english.EnglishNormalizer:
    return english.whisper_english(tmp_path)


def test_whispers_published_sentences_come_out_as_from_whisper(
    oracles: tuple[object, object], whisper_like: english.EnglishNormalizer
) -> None:
    sentences = PUBLISHED.strip().replace("\n", "|").split("|")
    assert len(sentences) == 60
    for sentence in sentences:
        assert whisper_like(sentence) == " ".join(oracles[0](sentence).split()), sentence  # type: ignore[operator]


def test_random_sentences_come_out_as_from_whisper(
    oracles: tuple[object, object], whisper_like: english.EnglishNormalizer
) -> None:
    rng = random.Random(5)
    words = [*sorted(number_words.WORDS), *OTHERS.split()]
    for _ in range(3000):
        text = " ".join(rng.choices(words, k=rng.randint(1, 9))).replace("  ", rng.choice([" and a half ", "-", ", "]))
        assert whisper_like(text) == " ".join(oracles[0](text).split()), text  # type: ignore[operator]


@pytest.mark.parametrize("strip_accents", [False, True])
def test_random_texts_of_many_scripts_come_out_as_from_whispers_basic_one(
    oracles: tuple[object, object], strip_accents: bool
) -> None:
    ours, theirs = BasicNormalizer(strip_accents), oracles[1](strip_accents)  # type: ignore[operator]
    rng = random.Random(6)
    spans = ((32, 0x24F), (0x370, 0x1000), (0x3000, 0x30FF), (0x4E00, 0x4F00), (0x28, 0x29), (0x3C, 0x3E))
    for _ in range(3000):
        text = "".join(chr(rng.randint(*rng.choice(spans))) for _ in range(rng.randint(0, 14)))
        assert ours(text) == " ".join(theirs(text).split()), ascii(text)


def test_numbers_that_python_refuses_to_spell_stay_words() -> None:
    long = "9" * 5000
    assert numbers_to_digits(f"{long} million dollars") == f"{long} $1000000"
    assert numbers_to_digits(f"one point {long}").endswith(long)


def test_the_table_is_found_in_a_folder_or_a_package_and_told_apart_by_its_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = spelling_tables.whisper_spelling(tmp_path)
    assert packaged["mobilisation"] == "mobilization"
    monkeypatch.setattr(spelling_tables, "PACKAGES", ())
    with pytest.raises(MissingPackageError, match=r"pip install 'asr-lab\[scoring\]', or\n.*curl -L -o .*english.json"):
        spelling_tables.whisper_spelling(tmp_path)
    (tmp_path / "english.json").write_text("{}")
    with pytest.raises(DataError, match=r"english.json is not the table that scores are made with \(SHA-256 44136fa3"):
        spelling_tables.whisper_spelling(tmp_path)


LEADERBOARD = """
import os; os.makedirs("{mark}")
english_spelling_normalizer = {{"ok": "okay", "colour": "color"}}
english_name_normalizer = {{"jon": "john"}}
english_compound_normalizer = {{r"\\bwi\\s+fi\\b": "wifi"}}
"""


@pytest.fixture
def leaderboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> english.EnglishNormalizer:
    text = LEADERBOARD.format(mark=tmp_path / "ran")
    (tmp_path / "english_abbreviations.py").write_text(text)
    monkeypatch.setattr(spelling_tables, "LEADERBOARD_SHA256", hashlib.sha256(text.encode()).hexdigest())
    return open_asr.open_asr_normalizer(tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("John's dog; it's Jon's.", "john s dog it is john s"),
        ("The B B C on 5 G wi-fi", "the bbc on 5g wifi"),
        ("a b see a i m", "a b see aim"),
        ("ehehe, OK, a colour, uhuh", "okay a color"),
        ("won't I'm there's $2 and ¢7", "will not i am there is $2.07"),
    ],
)
def test_the_leaderboards_rules(leaderboard: english.EnglishNormalizer, text: str, expected: str) -> None:
    assert leaderboard(text) == expected


def test_the_leaderboards_file_is_read_and_not_run(leaderboard: english.EnglishNormalizer, tmp_path: Path) -> None:
    assert leaderboard("ok") == "okay"
    assert not (tmp_path / "ran").exists()


def test_the_leaderboards_tables_of_another_commit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"tables are not at .*english_abbreviations.py; get them with\n  mkdir -p .*d1e99b2"
    ):
        open_asr.open_asr_normalizer(tmp_path)
    (tmp_path / "english_abbreviations.py").write_text("x = 1")
    with pytest.raises(DataError, match="is not the table that scores are made with"):
        open_asr.open_asr_normalizer(tmp_path)
