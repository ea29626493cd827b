"""Speech made on the spot by eSpeak NG: no download, the same bits each time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.slots.datasets import Dataset

if TYPE_CHECKING:
    from asr_lab.data.utterance import Source


@section
class Synthetic(Dataset):
    """Sentences spoken by many voices; splits share neither sentences nor voices.

    Kept in ASRLAB_CACHE (default ~/.cache/asrlab). Columns: speaker, language, split, rate_wpm, pitch. Needs the
    extra `demo` (eSpeak NG is GPL).
    """

    split: Literal["train", "valid", "test"] = "train"
    """Which sentences and voices; what they are does not depend on the seed."""
    num_utterances: int = attrs.field(default=1000, validator=v.between(1, 10_000_000))
    """Utterances to make."""
    grammar: Literal["everyday", "numbers", "digits", "digit"] = "everyday"
    """English sentences: of everyday life (over 200 words), numbers up to 9999, strings of 1 to 7 digits, or one digit
    alone, where splits share the ten words and differ in voices."""
    sentences: str | None = None
    """A text file with a sentence a line instead of the grammar; a relative path is under ASRLAB_DATA."""
    language: str = attrs.field(default="en-us", validator=v.sized(1, 50))
    """eSpeak NG's name of the language or accent: `en-us`, `en-gb-scotland`, `de`, `fr`, …"""
    voices: int | None = attrs.field(default=None, validator=v.optional(v.between(1, 1000)))
    """Speakers, drawn from the split's own; default: all of them."""
    rate_wpm: tuple[int, int] = attrs.field(default=(140, 200), validator=v.rising(80, 450))
    """Slowest and fastest speech, in words a minute; drawn uniformly."""
    pitch: tuple[int, int] = attrs.field(default=(30, 70), validator=v.rising(0, 99))
    """Lowest and highest pitch, 50 being the voice's own; drawn uniformly."""
    sample_rate: int = attrs.field(default=16000, validator=v.all_of(v.ge(8000), v.le(48000)))
    """Hertz that it is stored at."""
    seed: int = attrs.field(default=0, validator=v.between(0, 2**63 - 1))
    """What sentences, voices, rates and pitches are drawn from."""

    @property
    def is_made(self) -> bool:
        return True

    def places(self, root: Path) -> tuple[Path, ...]:
        return () if self.sentences is None else (root / self.sentences,)

    def read(self, root: Path) -> Source:
        from asr_lab.audio.keyed_random import mixed, text_key
        from asr_lab.data.sources.sentences import draw_sentences, pick_sentences
        from asr_lab.data.sources.synthesis import Speech, speak, voices_of
        from asr_lab.data.utterance import Source

        key = mixed(self.seed, text_key(self.split))
        if self.sentences is not None:
            texts = pick_sentences(root / self.sentences, self.split, self.num_utterances, key)
        else:
            texts = draw_sentences(self.grammar, self.split, self.num_utterances, key)
        voices = voices_of(self.split, self.voices, self.seed)
        speech = Speech(self.language, self.split, voices, self.rate_wpm, self.pitch, self.sample_rate, self.seed)
        return Source(speak(speech, texts))
