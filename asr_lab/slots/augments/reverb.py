"""Reverberation: rooms, simulated or measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.slots.augments import Augment

if TYPE_CHECKING:
    from asr_lab.audio.augmentation import Augmentation


@section
class Reverb(Augment):
    """Speech in a drawn room: images of the speaker in its walls (Allen and Berkley, JASA 1979), or a measured one."""

    probability: float = attrs.field(default=0.5, validator=v.all_of(v.ge(0), v.le(1)))
    """Share of utterances that are in a room."""
    t60_s: tuple[float, float] = attrs.field(default=(0.1, 0.6), validator=v.rising(0.05, 2.0))
    """Least and greatest time in which sound falls by 60 dB, in seconds; drawn uniformly."""
    room_m: tuple[float, float] = attrs.field(default=(3.0, 10.0), validator=v.rising(2.0, 50.0))
    """Least and greatest length and width of a room, in metres; drawn uniformly. It is 2.4 to 4 m high."""
    recordings: str | None = None
    """A folder of measured impulse responses in place of simulated ones, such as RIRS_NOISES; under ASRLAB_DATA."""

    @property
    def idle(self) -> dict[str, str]:
        found = {} if self.probability else {"probability": "0 leaves all as it is"}
        if self.recordings is not None:
            rooms = (("t60_s", self.t60_s == (0.1, 0.6)), ("room_m", self.room_m == (3.0, 10.0)))
            found |= {key: "is not used with recordings" for key, is_default in rooms if not is_default}
        return found

    def build(self, root: Path = Path()) -> Augmentation:
        from asr_lab.audio.augmentation.reverb import Reverberation

        folder = None if self.recordings is None else root / self.recordings
        return Reverberation(self.probability, self.t60_s, self.room_m, folder)
