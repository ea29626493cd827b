"""A made-up recogniser whose recordings say what is spoken; makes `spelling` and `made_up` importable here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from torch.nn import functional as F

from asr_lab.models.model import SpeechModel
from asr_lab.nn.ctc import CTCHead
from asr_lab.nn.decoding import DecoderHead
from asr_lab.streaming import WHOLE, Chain, Context, Frames, Streamable
from asr_lab.tokenizers.chars import CharacterTokenizer

sys.path.insert(0, str(Path(__file__).parent))

from made_up import EverySecond

VOCAB = 32
HOP_SAMPLES = 10


@attrs.frozen
class MadeUp:
    """At 1000 samples a second: a feature frame every 10 ms, one of the encoder's every 20 ms."""

    model: SpeechModel
    features: Streamable[Any]
    vocabulary: CharacterTokenizer
    sample_rate: int = 1000

    def sample_of(self, token: int) -> float:
        """What a sample is while this token is spoken."""
        return token / VOCAB


class FirstSampleIsToken(Streamable[tuple[()]]):
    """Features of every tenth sample that say which token it is."""

    ratio = Fraction(1, HOP_SAMPLES)

    def hop_frames(self, context: Context) -> int:
        return HOP_SAMPLES

    def initial_state(self, batch: int, context: Context) -> tuple[()]:
        return ()

    def forward(self, state: tuple[()], chunk: Frames, context: Context) -> tuple[tuple[()], Frames]:
        tokens = (chunk.valid()[:, ::HOP_SAMPLES] * VOCAB).round().long()
        return state, Frames(F.one_hot(tokens, VOCAB).float(), chunk.lengths // HOP_SAMPLES, chunk.final)


@pytest.fixture
def made_up() -> Callable[..., MadeUp]:
    """A recogniser with these decoders, in this order: `made_up("attention", "ctc")`."""

    def make(*kinds: str) -> MadeUp:
        ctc = CTCHead(VOCAB, VOCAB)
        with torch.no_grad():
            ctc.output.weight.copy_(torch.eye(VOCAB))
            ctc.output.bias.zero_()
        other = DecoderHead()
        other.kind = "attention"
        heads = [ctc if kind == "ctc" else other for kind in kinds]
        taps = [1] * len(heads)
        model = SpeechModel(Chain([EverySecond()]), heads, [1.0] * len(heads), taps, [(WHOLE, 1.0)], VOCAB)
        return MadeUp(model, FirstSampleIsToken(), CharacterTokenizer())

    return make
