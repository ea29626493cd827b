"""Sentencepiece models: trained the same each time, exact in both directions, clear when they cannot be."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_lab.errors import DataError
from asr_lab.text.sentencepiece import FILE, SentencePieceTokenizer, train_pieces
from asr_lab.text.vocabulary import UnspellableError, Word

TEXTS = [
    "the quick brown fox jumps over the lazy dog",
    "das ist ein schöner größerer übungssatz",
    "съешь же ещё этих мягких французских булок",
    "ẹ̀kọ́ ni ìmọ̀ ọ̀rọ̀ yorùbá",
    "我们 都 喜欢 北京 大学",
    "l'homme d'aujourd'hui 3.5",
    "they think that this thing is the other brother of the weather",
    "there is nothing that they think of the fox and the brown brother",
] * 4
SIZE = 90
LETTERS = "".join(sorted(set("".join(TEXTS)) - {" "}))


@pytest.fixture(scope="module", params=["bpe", "unigram"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def tokenizer(kind: str, tmp_path_factory: pytest.TempPathFactory) -> SentencePieceTokenizer:
    folder = tmp_path_factory.mktemp(kind) / "tokenizer"
    train_pieces(iter(TEXTS), kind, SIZE, folder)
    return SentencePieceTokenizer.read(folder)


def test_training_again_gives_the_same_bytes(kind: str, tokenizer: SentencePieceTokenizer, tmp_path: Path) -> None:
    train_pieces(TEXTS, kind, SIZE, tmp_path)
    assert SentencePieceTokenizer.read(tmp_path).fingerprint() == tokenizer.fingerprint()
    assert [p.name for p in tmp_path.iterdir()] == [FILE]


def test_the_size_is_exact(tokenizer: SentencePieceTokenizer) -> None:
    assert tokenizer.vocab_size == SIZE


@pytest.mark.parametrize("text", sorted(set(TEXTS)))
def test_training_texts_come_back(tokenizer: SentencePieceTokenizer, text: str) -> None:
    tokens = tokenizer.encode(text)
    assert all(2 < t < tokenizer.vocab_size for t in tokens)
    assert tokenizer.decode(tokens) == text
    assert tokenizer.decode([0, *tokens, 1, 2]) == text


def test_any_text_of_known_characters_comes_back_and_falls_into_its_words(tokenizer: SentencePieceTokenizer) -> None:
    @settings(deadline=None)
    @given(st.lists(st.text(LETTERS, min_size=1, max_size=8), max_size=5))
    def check(words: list[str]) -> None:
        text = " ".join(words)
        tokens = tokenizer.encode(text)
        assert tokenizer.decode(tokens) == text
        found = tokenizer.words(tokens)
        assert [w.text for w in found] == words
        for before, after in itertools.pairwise(found):
            assert before.first <= before.last < after.first

    check()


def test_words_span_their_pieces(tokenizer: SentencePieceTokenizer) -> None:
    tokens = tokenizer.encode("the lazyfox")
    words = tokenizer.words([0, *tokens, 1])
    assert [w.text for w in words] == ["the", "lazyfox"]
    assert words[0].first == 1
    assert words[-1].last == len(tokens)
    assert tokenizer.words([]) == []


@pytest.mark.parametrize("text", ["the zebra ж ω", "a▁b", "a\ud800"])
def test_an_unknown_character_is_named(tokenizer: SentencePieceTokenizer, text: str) -> None:
    with pytest.raises(UnspellableError, match=r"U\+03C9|U\+2581|U\+D800"):
        tokenizer.encode(text)


@pytest.mark.parametrize(("size", "message"), [(10_000, "too large: .* at most"), (20, "too small: .* alone need")])
def test_a_size_that_the_text_does_not_allow(kind: str, size: int, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        train_pieces(TEXTS, kind, size, tmp_path)


def test_no_text_is_an_error(kind: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no training text"):
        train_pieces(["", ""], kind, SIZE, tmp_path)


def test_a_missing_or_damaged_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        SentencePieceTokenizer.read(tmp_path)
    (tmp_path / FILE).write_bytes(b"not a model")
    with pytest.raises(DataError, match="not a sentencepiece model"):
        SentencePieceTokenizer.read(tmp_path)


def test_word_is_what_the_protocol_says(tokenizer: SentencePieceTokenizer) -> None:
    assert isinstance(tokenizer.words(tokenizer.encode("fox"))[0], Word)
