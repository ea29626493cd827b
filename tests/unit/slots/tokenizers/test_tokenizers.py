"""Every tokenizer: texts come back, words are found, what cannot be spelled is named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_lab.errors import DataError
from asr_lab.slots.tokenizers.bpe import BPE
from asr_lab.slots.tokenizers.bytes import Bytes, ByteTokenizer
from asr_lab.slots.tokenizers.chars import Chars
from asr_lab.slots.tokenizers.unigram import Unigram
from asr_lab.text.characters import ENGLISH
from asr_lab.text.vocabulary import UnspellableError, Vocabulary, Word
from asr_lab.tokenizers import CharacterTokenizer, Tokenizer

YORUBA = "abdeẹfghijklmnoọprsṣtuwyàáèéìíòóùúǹń\u0300\u0301 "


def test_the_default_alphabet_spells_english() -> None:
    tokenizer = CharacterTokenizer()
    assert tokenizer.vocab_size == 30
    assert tokenizer.encode("a z'") == [2, 29, 27, 28]
    assert tokenizer.decode([0, 2, 0, 29, 27, 28, 1]) == "a z'"


@pytest.mark.parametrize(
    ("alphabet", "text"),
    [
        ("abcdefghijklmnopqrstuvwxyzäöüß ", "größe über maß"),
        ("абвгдеёжзийклмнопрстуфхцчшщъыьэюя ", "съешь ещё"),
        (YORUBA, "ẹ\u0300kọ\u0301 ṣe"),
        ("你好世界", "你好世界"),
    ],
)
def test_declared_alphabets_spell_their_languages(alphabet: str, text: str) -> None:
    tokenizer = Chars(alphabet=alphabet).build()
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert [w.text for w in tokenizer.words(tokenizer.encode(text))] == text.split()


@settings(deadline=None)
@given(st.text(CharacterTokenizer().alphabet))
def test_characters_come_back(text: str) -> None:
    tokenizer = CharacterTokenizer()
    assert tokenizer.decode(tokenizer.encode(text)) == text


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_bytes_come_back(text: str) -> None:
    tokenizer = ByteTokenizer()
    tokens = tokenizer.encode(text)
    assert tokenizer.decode(tokens) == text
    assert all(2 <= t < tokenizer.vocab_size for t in tokens)


@settings(deadline=None)
@given(st.lists(st.integers(0, 257)))
def test_any_tokens_decode_as_bytes_and_the_words_hold_the_same_letters(tokens: list[int]) -> None:
    tokenizer = ByteTokenizer()
    text = tokenizer.decode(tokens)
    assert " ".join(w.text for w in tokenizer.words(tokens)) == " ".join(filter(None, text.split(" ")))


def test_an_unfinished_character_is_a_replacement() -> None:
    tokenizer = ByteTokenizer()
    tokens = tokenizer.encode("aß")
    assert tokenizer.decode(tokens[:-1]) == "a\ufffd"


@pytest.mark.parametrize("tokenizer", [CharacterTokenizer(), ByteTokenizer()], ids=["chars", "bytes"])
def test_words_span_their_tokens_and_blanks_belong_to_none(tokenizer: Vocabulary) -> None:
    a, b, space = (tokenizer.encode(c)[0] for c in "ab ")
    assert tokenizer.words([space, a, 0, b, space, space, b, 1]) == [Word("ab", 1, 3), Word("b", 6, 6)]
    assert tokenizer.words([]) == []


def test_an_unspellable_character_is_named_with_its_code_point() -> None:
    with pytest.raises(UnspellableError, match=r"no token for 'ü' \(U\+00FC, LATIN SMALL LETTER U WITH DIAERESIS\)"):
        CharacterTokenizer().encode("über")
    with pytest.raises(UnspellableError, match=r"U\+DC80"):
        ByteTokenizer().encode("a\udc80")


@pytest.mark.parametrize(
    ("alphabet", "message"),
    [("", "at least one"), ("abca", "'a' more often"), ("ab\t", "no white space but the blank"), ("ab\u00a0", "blank")],
)
def test_an_alphabet_that_cannot_be_is_refused(alphabet: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Chars(alphabet=alphabet)


def test_fingerprints_tell_tokenizers_apart() -> None:
    prints = {
        CharacterTokenizer().fingerprint(),
        CharacterTokenizer("abc").fingerprint(),
        ByteTokenizer().fingerprint(),
    }
    assert len(prints) == 3
    assert CharacterTokenizer("abc").fingerprint() != CharacterTokenizer("acb").fingerprint()


@pytest.mark.parametrize(
    "section",
    [Chars(alphabet=ENGLISH), Bytes(), BPE(vocab_size=32), Unigram(vocab_size=32)],
    ids=lambda s: s.tag(),
)
def test_the_size_is_known_before_it_is_built(section: Tokenizer, tmp_path: Path) -> None:
    section.train(["hello world", "the quick brown fox jumps over the lazy dog"] * 3, tmp_path)
    tokenizer = section.build(tmp_path)
    assert tokenizer.vocab_size == section.size
    assert tokenizer.decode(tokenizer.encode("hello fox")) == "hello fox"
    assert section.learns == any(tmp_path.iterdir())


def test_an_alphabet_is_taken_from_the_training_text_by_code_point_and_kept(tmp_path: Path) -> None:
    Chars().train(["ça va", "größe", "ça va"], tmp_path / "one")
    Chars().train(["größe", "ça va"], tmp_path / "two")
    one, two = Chars().build(tmp_path / "one"), Chars().build(tmp_path / "two")
    assert one.alphabet == two.alphabet == " aegrvßçö"
    assert (tmp_path / "one" / "alphabet.txt").read_text(encoding="utf-8") == one.alphabet
    assert one.fingerprint() == Chars(alphabet=one.alphabet).build().fingerprint()
    with pytest.raises(UnspellableError, match="no token for 'x'") as caught:
        one.encode("xaxy")
    assert caught.value.characters == "xy"


def test_the_blank_is_in_every_alphabet_that_is_taken_and_halves_of_surrogates_are_in_none(tmp_path: Path) -> None:
    Chars().train(["one\udc80", "two"], tmp_path)
    assert Chars().build(tmp_path).alphabet == " enotw"


def test_no_text_gives_no_alphabet(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no training text to take an alphabet from"):
        Chars().train([], tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such file"), (b"", "at least one"), (b"aba", "'a' more often"), (b"\xff", "cannot be read")],
)
def test_a_kept_alphabet_that_is_damaged_is_named(content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "alphabet.txt").write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        Chars().build(tmp_path)
    assert "alphabet.txt" in str(caught.value)


def test_without_text_an_alphabet_counts_64_characters_and_says_so() -> None:
    assert (Chars().size, Chars(alphabet="abc").size) == (66, 5)
    assert "64 characters" in Chars().assumes
    assert Chars(alphabet="abc").assumes == ""


def test_sizes_are_bounded() -> None:
    with pytest.raises(ValueError, match="vocab_size"):
        BPE(vocab_size=3)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Chars().alphabet = "x"


def test_sections_load_without_torch_or_sentencepiece() -> None:
    code = (
        "import sys; from asr_lab.slots.tokenizers import Tokenizer; from asr_lab.slots.decoders import Decoder; "
        "Tokenizer.tags(); Decoder.tags(); sys.exit(bool({'torch', 'sentencepiece'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
