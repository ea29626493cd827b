"""What the three families share: a configuration of the sections a recipe has, and the model of it."""

from __future__ import annotations

from typing import Any

import attrs

from asr_lab.compiler.model import build_parts
from asr_lab.models.model import SpeechModel
from asr_lab.recipe import Encoder
from asr_lab.slots.decoders import Decoder
from asr_lab.slots.features import Features
from asr_lab.slots.features.log_mel import LogMel
from asr_lab.streaming import Streamable
from asr_lab.text.characters import CharacterTokenizer


@attrs.frozen(kw_only=True)
class FamilyConfig:
    """A model as a recipe's sections; `vocab_size` is by default the character tokenizer's."""

    features: Features = LogMel()
    encoder: Encoder
    decoder: tuple[Decoder, ...]
    vocab_size: int = attrs.field(factory=lambda: CharacterTokenizer().vocab_size)


class FamilyModel(SpeechModel):
    """A model built from a family's configuration; features (B, T, F) in, tokens out."""

    def __init__(self, config: FamilyConfig) -> None:
        super().__init__(*build_parts(config.features, config.encoder, config.decoder, config.vocab_size))
        self.config = config

    def feature_extractor(self) -> Streamable[Any]:
        """The layer that makes this model's features from a waveform."""
        return self.config.features.build()


def sizes(vocab_size: int | None) -> dict[str, int]:
    """The `vocab_size` argument of a configuration, or nothing for its default."""
    return {} if vocab_size is None else {"vocab_size": vocab_size}
