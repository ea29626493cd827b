"""CTC: a token or a blank in every frame, frames independent of one another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from asr_lab.config.section import section
from asr_lab.slots.decoders import Decoder
from asr_lab.slots.parameters import linear, norm
from asr_lab.text.vocabulary import BLANK_ID, END_ID

if TYPE_CHECKING:
    from asr_lab.nn.ctc.head import CTCHead


@section
class CTC(Decoder):
    """Connectionist temporal classification (Graves et al., ICML 2006).

    A second one at a lower `tap` makes lower layers learn sooner (intermediate CTC, arXiv 2102.03216).
    """

    at_several_layers = True

    def fits(self, num_frames: int, tokens: Sequence[int]) -> bool:
        """A frame for each token, and one between equal neighbours."""
        from asr_lab.nn.ctc.alignment import required_frames

        return num_frames >= max(1, required_frames(tokens))

    def num_parameters(self, dim: int, vocab_size: int) -> int:
        return norm(dim) + linear(dim, vocab_size)

    def build(self, dim: int, vocab_size: int, dropout: float) -> CTCHead:
        from asr_lab.nn.ctc.head import CTCHead

        return CTCHead(dim, vocab_size, BLANK_ID, END_ID)
