"""What every tokenizer owes, whichever file it stands in."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from asr_lab.slots.tokenizers import Tokenizer
from asr_lab.text.vocabulary import Vocabulary

TEXTS = [
    "the quick brown fox jumps over the lazy dog",
    "they think that the other brother isn't there",
    "there is nothing that they think of the fox",
]
REQUIRED = {"vocab_size": 40}
"""Values of keys that have no default."""


@pytest.fixture(params=Tokenizer.tags())
def built(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Tokenizer, Vocabulary]:
    choice = Tokenizer.choices()[request.param]
    keys = [f.name for f in attrs.fields(choice) if f.default is attrs.NOTHING]
    section = choice(**{key: REQUIRED[key] for key in keys})
    if section.learns:
        section.train(TEXTS * 3, tmp_path)
    return section, section.build(tmp_path)


def test_texts_come_back(built: tuple[Tokenizer, Vocabulary]) -> None:
    for text in ["", *TEXTS]:
        assert built[1].decode(built[1].encode(text)) == text


def test_tokens_lie_between_the_end_of_text_and_the_size(built: tuple[Tokenizer, Vocabulary]) -> None:
    section, vocabulary = built
    assert section.assumes or vocabulary.vocab_size == section.size
    assert all(1 < t < vocabulary.vocab_size for text in TEXTS for t in vocabulary.encode(text))


def test_blank_and_end_of_text_decode_to_nothing(built: tuple[Tokenizer, Vocabulary]) -> None:
    tokens = built[1].encode(TEXTS[0])
    assert built[1].decode([0, *tokens[:3], 0, *tokens[3:], 1]) == TEXTS[0]


def test_words_are_those_of_the_text_and_point_at_their_tokens(built: tuple[Tokenizer, Vocabulary]) -> None:
    for text in TEXTS:
        tokens = built[1].encode(text)
        words = built[1].words(tokens)
        assert [w.text for w in words] == text.split()
        for word in words:
            assert built[1].decode(tokens[word.first : word.last + 1]).strip() == word.text


def test_any_tokens_decode(built: tuple[Tokenizer, Vocabulary]) -> None:
    vocabulary = built[1]
    for step in (1, 7, 11):
        tokens = [i * step % vocabulary.vocab_size for i in range(vocabulary.vocab_size)]
        assert isinstance(vocabulary.decode(tokens), str)
        vocabulary.words(tokens)


def test_building_again_gives_the_same_fingerprint(built: tuple[Tokenizer, Vocabulary], tmp_path: Path) -> None:
    section, vocabulary = built
    assert section.build(tmp_path).fingerprint() == vocabulary.fingerprint()
