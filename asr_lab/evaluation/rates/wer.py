"""Word error rate: edits over words, which white space separates; the same as jiwer's."""

from __future__ import annotations

from asr_lab.evaluation.rates import ErrorRate, UnitErrors, edit_errors


class WordErrorRate(ErrorRate):
    """Substituted, deleted and inserted words over the words of the references."""

    label = "WER"
    unit = "words"

    def count(self, reference: str, hypothesis: str) -> UnitErrors:
        return edit_errors(reference.split(), hypothesis.split())

    def count_merged(self, reference: str, hypothesis: str) -> UnitErrors:
        from asr_lab.evaluation.merged_words import merged_word_errors

        return merged_word_errors(reference.split(), hypothesis.split())
