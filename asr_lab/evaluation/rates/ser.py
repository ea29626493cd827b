"""Sentence error rate: utterances with an error."""

from __future__ import annotations

from asr_lab.evaluation.rates import ErrorRate, UnitErrors


class SentenceErrorRate(ErrorRate):
    """Utterances whose text is not the reference, over all utterances; each is one substitution at most."""

    label = "SER"
    unit = "sentences"

    def count(self, reference: str, hypothesis: str) -> UnitErrors:
        return UnitErrors(int(reference.split() != hypothesis.split()), 0, 0, 1)

    def count_merged(self, reference: str, hypothesis: str) -> UnitErrors:
        from asr_lab.evaluation.merged_words import merged_word_errors

        return UnitErrors(int(merged_word_errors(reference.split(), hypothesis.split()).errors > 0), 0, 0, 1)
