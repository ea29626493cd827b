"""A metric is one file: everything that counts, shows, compares or selects finds it by itself."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from asr_lab.evaluation import rates as package
from asr_lab.evaluation.comparison import compare
from asr_lab.evaluation.evaluation_files import Evaluation, evaluate, evaluation_json, read_evaluation, write_evaluation
from asr_lab.evaluation.page import write_report
from asr_lab.evaluation.rates import UnitErrors, names, rates
from asr_lab.evaluation.report import print_evaluation
from asr_lab.recognition.decoded_utterance import DecodedUtterance
from asr_lab.text.normalizer import Normalizer

LETTERS = '''
"""Errors in the first letters of words."""

from asr_lab.evaluation.rates import ErrorRate, UnitErrors, edit_errors


class FirstLetterErrorRate(ErrorRate):
    """Edits over the first letter of each word."""

    label = "FLER"
    unit = "first letters"

    def count(self, reference: str, hypothesis: str) -> UnitErrors:
        return edit_errors([w[0] for w in reference.split()], [w[0] for w in hypothesis.split()])
'''


@pytest.fixture
def fler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A rate of its own, in one file."""
    (tmp_path / "rates").mkdir()
    (tmp_path / "rates" / "fler.py").write_text(LETTERS)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path / "rates")])
    names.cache_clear()
    rates.cache_clear()
    yield
    monkeypatch.undo()
    names.cache_clear()
    rates.cache_clear()


def evaluation(*hypotheses: str) -> Evaluation:
    rows = [DecodedUtterance(f"u{i}", "one two", h, {"speaker": f"s{i}"}, 1.0) for i, h in enumerate(hypotheses)]
    return evaluate({"x": rows}, Normalizer(("nfc",)), 100, 0)


def test_the_usual_rates_come_first() -> None:
    assert names()[:3] == ("wer", "cer", "ser")
    assert [rate.label for rate in rates().values()][:3] == ["WER", "CER", "SER"]


@pytest.mark.usefixtures("fler")
def test_a_rate_in_one_file_is_counted_shown_written_and_compared(tmp_path: Path) -> None:
    a, b = evaluation("one six", "ace two"), evaluation("one two", "ace two")
    score = a.score.rates["fler"]
    assert (score.substitutions, score.reference, score.value) == (2, 4, 0.5)
    assert evaluation_json(a, "")["sets"][0]["rates"]["fler"]["substitutions"] == 2
    console = Console(width=120, record=True, file=io.StringIO())
    print_evaluation(console, a)
    text = console.export_text()
    assert "first letters (FLER)" in text
    assert text.count("FLER") >= 2  # the table by speaker has it too
    paths = [write_evaluation(one, tmp_path / "eval", name) for one, name in ((a, "a"), (b, "b"))]
    found = compare(*map(read_evaluation, paths))
    assert found.rates["fler"].difference == pytest.approx(-0.25)
    assert "first letters (FLER)" in write_report(tmp_path).read_text()
    assert (
        json.loads((tmp_path / "eval" / "a.jsonl").read_text().splitlines()[0])["errors"]["fler"]["substitutions"] == 1
    )


def test_counts_are_those_of_edits() -> None:
    assert rates()["wer"].count("a b c", "a x c d") == UnitErrors(1, 0, 1, 3)
    assert rates()["cer"].count("ab c", "abc") == UnitErrors(0, 1, 0, 4)
    assert rates()["ser"].count("a  b", "a b") == UnitErrors(0, 0, 0, 1)
    assert UnitErrors(1, 2, 3, 9).errors == 6
