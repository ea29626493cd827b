"""Face: tokenizers by the names that the Python API promises."""

from asr_lab.slots.tokenizers import Tokenizer
from asr_lab.text.characters import CharacterTokenizer

__all__ = ["CharacterTokenizer", "Tokenizer"]
