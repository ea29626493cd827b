"""Pieces of words learned from text by sentencepiece (Kudo and Richardson, 1808.06226)."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import sentencepiece

from asr_lab.errors import DataError
from asr_lab.files import write_bytes
from asr_lab.text.vocabulary import BLANK_ID, END_ID, UnspellableError, Word

FILE = "tokenizer.model"
"""The model's name in a run's tokenizer folder."""
SPACE = "▁"
"""How sentencepiece writes the blank before a word; texts may not hold it."""
_UNKNOWN_ID = 2
_MAX_TEXT_BYTES = 1 << 20


class SentencePieceTokenizer:
    """A trained sentencepiece model: data, from which nothing executes."""

    def __init__(self, model: bytes) -> None:
        self._model = model
        try:
            self._pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
        except (RuntimeError, OSError) as error:
            raise DataError("not a sentencepiece model") from error
        ids = (self._pieces.pad_id(), self._pieces.eos_id(), self._pieces.unk_id(), self._pieces.bos_id())
        if ids != (BLANK_ID, END_ID, _UNKNOWN_ID, -1):
            raise DataError(
                f"a sentencepiece model with pad, eos, unk, bos {ids}; it must be trained with (0, 1, 2, -1)"
            )

    @staticmethod
    def read(folder: Path) -> SentencePieceTokenizer:
        """The model in a run's tokenizer folder; DataError where it is absent or damaged."""
        path = folder / FILE
        try:
            return SentencePieceTokenizer(path.read_bytes())
        except FileNotFoundError:
            raise DataError(f"{path}: no such file; a bpe or unigram tokenizer is trained by `asrlab run`") from None
        except DataError as error:
            raise DataError(f"{path}: {error}") from None

    @property
    def vocab_size(self) -> int:
        """Pieces, the blank, the end of text and sentencepiece's own `<unk>` (never given) included."""
        return int(self._pieces.vocab_size())

    def encode(self, text: str) -> list[int]:
        """The pieces of a text; UnspellableError names the characters that no piece holds."""
        try:
            tokens: list[int] = self._pieces.encode(text)
        except (UnicodeEncodeError, RuntimeError):
            tokens = [_UNKNOWN_ID]
        if _UNKNOWN_ID in tokens or SPACE in text:
            raise UnspellableError("".join(c for c in dict.fromkeys(text) if not self._spells(c)), text)
        return tokens

    def _spells(self, character: str) -> bool:
        if character == SPACE or 0xD800 <= ord(character) <= 0xDFFF:
            return False
        return _UNKNOWN_ID not in self._pieces.encode(character)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text; the blank, the end of text and `<unk>` are left out."""
        pieces = [self._pieces.id_to_piece(t) for t in tokens if t > _UNKNOWN_ID]
        return "".join(pieces).replace(SPACE, " ").removeprefix(" ")

    def words(self, tokens: Sequence[int]) -> list[Word]:
        """What begins with a blank, and the pieces that continue it."""
        words: list[Word] = []
        open_ = False
        for i, token in enumerate(tokens):
            if token <= _UNKNOWN_ID:
                continue
            piece = self._pieces.id_to_piece(token)
            # A piece that is trained within words holds the blank at its start alone.
            if piece.startswith(SPACE) or not open_:
                words.append(Word(piece.removeprefix(SPACE), i, i))
                open_ = True
            else:
                words[-1] = Word(words[-1].text + piece, words[-1].first, i)
        return [w for w in words if w.text]

    def fingerprint(self) -> str:
        """The hash of the model file."""
        return hashlib.sha256(self._model).hexdigest()


def train_pieces(texts: Iterable[str], kind: str, vocab_size: int, folder: Path) -> None:
    """Train a model of exactly `vocab_size` tokens and write it into `folder`: the same texts, the same bytes.

    Every character of the texts becomes spellable. DataError says what size the texts allow.
    """
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(t for t in texts if t),
            model_writer=model,
            model_type=kind,
            vocab_size=vocab_size,
            pad_id=BLANK_ID,
            eos_id=END_ID,
            unk_id=_UNKNOWN_ID,
            bos_id=-1,
            character_coverage=1.0,
            normalization_rule_name="identity",
            max_sentence_length=_MAX_TEXT_BYTES,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise DataError(_explain(str(error), kind, vocab_size)) from error
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / FILE, model.getvalue())


def _explain(error: str, kind: str, vocab_size: int) -> str:
    if most := re.search(r"too high \(\d+\).*<= (\d+)", error):
        return (
            f"tokenizer.vocab_size = {vocab_size} is too large: the training text gives at most {most[1]} {kind} pieces"
        )
    if least := re.search(r"smaller than required_chars. \d+ vs (\d+)", error):
        return f"tokenizer.vocab_size = {vocab_size} is too small: the training text's characters alone need {least[1]}"
    if "sentences_.empty()" in error:
        return f"no training text to learn {kind} pieces from"
    return f"sentencepiece could not learn {vocab_size} {kind} pieces: {error}"
