"""Character error rate: edits over code points; the same as jiwer's."""

from __future__ import annotations

from asr_lab.evaluation.rates import ErrorRate, UnitErrors, edit_errors


class CharacterErrorRate(ErrorRate):
    """As the word error rate over characters; the blank between two words is one, so a lost word boundary counts."""

    label = "CER"
    unit = "characters"

    def count(self, reference: str, hypothesis: str) -> UnitErrors:
        return edit_errors(reference, hypothesis)
