"""One token per byte of UTF-8: every text of every language, in 258 tokens."""

from __future__ import annotations

from pathlib import Path

from asr_lab.config.section import section
from asr_lab.slots.tokenizers import Tokenizer
from asr_lab.text.utf8 import FIRST_ID, ByteTokenizer


@section
class Bytes(Tokenizer):
    """One token per byte of UTF-8: spells everything, with longer sequences outside the Latin script."""

    @property
    def size(self) -> int:
        return 256 + FIRST_ID

    def build(self, folder: Path | None = None) -> ByteTokenizer:
        return ByteTokenizer()
