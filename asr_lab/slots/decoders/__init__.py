"""Slot `[[decoder]]`: from the encoder's frames to tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import Slot, section

if TYPE_CHECKING:
    from asr_lab.nn.decoder import DecoderHead


@section
class Decoder(Slot):
    """A loss and a search over the encoder's frames; several are weighted together."""

    at_several_layers: ClassVar[bool] = False
    """Whether there may be several of this kind; the deepest is used, the others help to train the layers below."""

    weight: float = attrs.field(default=1.0, validator=v.between(1e-6, 1e6))
    """Share of the loss; the weights of all decoders are divided by their sum."""
    tap: int | None = attrs.field(default=None, validator=v.optional(v.between(1, 10_000)))
    """Read the frames after this many layers of the stack; default: after the last."""

    @property
    def named_languages(self) -> tuple[str, ...]:
        """Languages of which it names one before each text; training data must then tell each utterance's."""
        return ()

    def dim_problems(self, dim: int) -> list[tuple[str, str]]:
        """What does not fit the stack's dimension: (key path below this table, message)."""
        return []

    def fits(self, num_frames: int, tokens: Sequence[int]) -> bool:
        """Whether a text can be learned from so many encoder frames; an utterance that does not fit is left out."""
        return num_frames > 0

    def num_parameters(self, dim: int, vocab_size: int) -> int:
        """Parameters of the head, known without building it; 0 where a choice of your own does not say."""
        return 0

    def build(self, dim: int, vocab_size: int, dropout: float) -> DecoderHead:
        """The head over (B, T, dim) frames; token 0 is the blank, token 1 the end of text."""
        raise NotImplementedError
