"""What a report prints of one utterance."""

from __future__ import annotations

from asr_lab.evaluation.report import align
from asr_lab.evaluation.scoring import Scored
from asr_lab.recognition.decoded_utterance import DecodedUtterance


def test_a_line_separator_in_a_text_ends_no_line() -> None:
    texts = ("one\u2028two three", "one\u2028two tree")
    shown = align(Scored(DecodedUtterance("u", *texts), *texts, {}))
    assert [line.strip()[:4] for line in shown.split("\n")] == ["REF:", "HYP:", "S"]
