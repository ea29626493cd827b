"""Codecs: what compression leaves of speech."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.slots.augments import Augment

if TYPE_CHECKING:
    from asr_lab.audio.augmentation import Augmentation


Name = Literal["mu_law", "a_law", "gsm", "mp3", "vorbis", "opus"]


@section
class Codec(Augment):
    """Speech is coded and decoded by a drawn codec; mu_law, a_law and gsm at the telephone's 8 kHz."""

    codecs: tuple[Name, ...] = attrs.field(
        default=("mu_law", "a_law", "gsm", "mp3", "vorbis", "opus"), validator=v.min_len(1)
    )
    """Codecs to draw from."""
    probability: float = attrs.field(default=0.5, validator=v.all_of(v.ge(0), v.le(1)))
    """Share of utterances that are coded."""
    compression: tuple[float, float] = attrs.field(default=(0.5, 1.0), validator=v.rising(0, 1))
    """Least and greatest share of the strongest compression of mp3, vorbis and opus; drawn uniformly."""

    @property
    def idle(self) -> dict[str, str]:
        found = {} if self.probability else {"probability": "0 codes nothing"}
        if self.compression != (0.5, 1.0) and not {"mp3", "vorbis", "opus"} & set(self.codecs):
            found["compression"] = "is used by mp3, vorbis and opus alone"
        return found

    def build(self, root: Path = Path()) -> Augmentation:
        from asr_lab.audio.augmentation.codec import CodecLoss

        return CodecLoss(self.codecs, self.probability, self.compression)
