"""Features and an encoder that learned nothing: every sample says which token is spoken."""

from __future__ import annotations

from fractions import Fraction

from torch.nn import functional as F

from asr_lab.streaming import Context, Frames, Streamable


class SampleIsToken(Streamable[tuple[()]]):
    """A feature frame a sample, one-hot: sample n / vocab_size is token n."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.vocab_size = vocab_size

    def initial_state(self, batch: int, context: Context) -> tuple[()]:
        return ()

    def forward(self, state: tuple[()], chunk: Frames, context: Context) -> tuple[tuple[()], Frames]:
        tokens = (chunk.valid() * self.vocab_size).round().long().clamp(0, self.vocab_size - 1)
        return state, chunk.with_x(F.one_hot(tokens, self.vocab_size).float())


class EverySecond(Streamable[tuple[()]]):
    """An encoder that looks at every second frame, and at none before its chunk is whole."""

    ratio = Fraction(1, 2)

    def hop_frames(self, context: Context) -> int | None:
        return context.chunk_frames

    def initial_state(self, batch: int, context: Context) -> tuple[()]:
        return ()

    def forward(self, state: tuple[()], chunk: Frames, context: Context) -> tuple[tuple[()], Frames]:
        return state, Frames(chunk.x[:, ::2], (chunk.lengths + 1) // 2, chunk.final)
