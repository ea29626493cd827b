"""How text is found in the frames that decoders read."""

from __future__ import annotations

import attrs

TWO_PASSES = {"joint": ("attention", "ctc"), "rescoring": ("ctc", "attention")}
"""Ways to decode with two decoders: which one gives the hypotheses, and which one scores them again."""


@attrs.frozen
class DecodeOptions:
    """Which decoder is used, and how it searches."""

    decoder: str = "auto"
    """A decoder's kind or one of `TWO_PASSES`; auto = the attention decoder if any."""
    beam: int = 1
    """Hypotheses kept; 1 is greedy."""
    length_penalty: float = 0.6
    """Power on the length that attention scores are divided by."""
    ctc_weight: float = 0.3
    """Share of CTC in `joint` and `rescoring`."""

    language: str = ""
    """That of all utterances, for an attention decoder that names languages; "" = it identifies each one's."""

    def by(self, decoder: str) -> DecodeOptions:
        """The same by another decoder."""
        return attrs.evolve(self, decoder=decoder)
