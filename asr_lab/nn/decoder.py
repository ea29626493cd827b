"""What every decoder head can do: a loss over frames, and a search for text in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import attrs
import torch
from torch import Tensor, nn

from asr_lab.streaming import Frames


class Targets(NamedTuple):
    """Token numbers of a batch, padded on the right."""

    tokens: Tensor  # (B, U) int64, no blank, no end of text
    lengths: Tensor  # (B,) int64
    languages: Tensor | None = None  # (B,) int64, places in a decoder's `languages`; None = it identifies them itself

    def each(self, change: Callable[[Tensor], Tensor]) -> Targets:
        """The same with every tensor changed: moved to a device, or some rows of it."""
        languages = None if self.languages is None else change(self.languages)
        return Targets(change(self.tokens), change(self.lengths), languages)

    @classmethod
    def of(cls, texts: Sequence[Sequence[int]], device: torch.device | str) -> Targets:
        """Some texts as a batch, as wide as the longest."""
        tokens = torch.zeros(len(texts), max(map(len, texts), default=0), dtype=torch.int64)
        for row, text in enumerate(texts):
            tokens[row, : len(text)] = torch.tensor(text, dtype=torch.int64)
        lengths = torch.tensor([len(text) for text in texts], dtype=torch.int64)
        return cls(tokens.to(device), lengths.to(device))


@attrs.frozen
class SearchOptions:
    """How a search goes about it."""

    beam: int = 1
    """Hypotheses kept; 1 is greedy."""
    length_penalty: float = 0.6
    """Power on the length that attention scores are divided by."""
    max_tokens_per_frame: float = 1.0
    """An attention search ends after this many tokens per encoder frame (plus 10)."""
    max_interim_frames: int = 64
    """A CTC beam search decides for its best prefix what was emitted this many encoder frames ago."""
    language: str = ""
    """That of all utterances, for a decoder that names languages; "" = it identifies each one's."""


class Emission(NamedTuple):
    """A token with its place in time."""

    token: int
    frame: int
    """The encoder frame that emitted it, counted from the row's first."""
    confidence: float
    """Its probability in that frame, 0 to 1."""


@attrs.frozen
class Hypothesis:
    """A text found in one utterance's frames."""

    tokens: tuple[int, ...]
    """Token numbers, without blank or end of text."""
    score: float
    """Natural logarithm of its probability (length-penalised for attention)."""
    frames: tuple[int, ...] | None = None
    """The encoder frame at which each token was emitted, where the search knows it (CTC)."""
    language: str | None = None
    """The language that the decoder identified; None where it names none, or was told."""


class DecoderHead(nn.Module):
    """A decoder over the encoder's frames (B, T, D)."""

    kind: str
    """The decoder's tag: `ctc`, `attention`."""
    languages: tuple[str, ...] = ()
    """Those that it can name before a text; none where it names none."""

    def logits(self, frames: Frames, targets: Targets) -> Tensor:
        """What the loss is taken of, before any softmax: (B, T or U + 1, V).

        Also run on meta tensors, to count its cost.
        """
        raise NotImplementedError

    def loss(self, frames: Frames, targets: Targets) -> Tensor:
        """Negative log-likelihood of each utterance's targets, summed over its tokens: (B,) float32.

        An utterance that cannot be aligned has loss infinity; the data layer skips those before they get here.
        """
        raise NotImplementedError

    def search(self, frames: Frames, options: SearchOptions) -> list[list[Hypothesis]]:
        """The best hypotheses of each utterance, best first, at most `options.beam`."""
        raise NotImplementedError

    def identify(self, frames: Frames) -> Tensor:
        """The likeliest language of each utterance, its place in `languages`, (B,) int64; for a head that has some."""
        raise NotImplementedError

    def score(self, frames: Frames, targets: Targets) -> Tensor:
        """Log-probability of given tokens, (B,) float32: for rescoring another decoder's hypotheses."""
        return -self.loss(frames, targets)
