"""The numbers in the README are those of the committed evaluations."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_lab.errors import DataError
from asr_lab.evaluation.evaluation_files import evaluate, evaluation_json
from asr_lab.evaluation.readme import publish, section, update_readme
from asr_lab.recognition.decoded_utterance import DecodedUtterance
from asr_lab.text.normalizer import Normalizer

ROOT = Path(__file__).resolve().parents[3]


def rows(hypothesis: str) -> list[DecodedUtterance]:
    return [DecodedUtterance(f"u{i}", "one two", hypothesis, {}, 1.0) for i in range(4)]


def test_the_readme_shows_the_committed_evaluations(tmp_path: Path) -> None:
    copy = tmp_path / "README.md"
    copy.write_text((ROOT / "README.md").read_text(encoding="utf-8"), encoding="utf-8")
    assert not update_readme(copy, ROOT / "docs" / "results", "docs/results"), (
        "write it anew: python -m asr_lab.evaluation.readme"
    )


def test_a_section_has_every_set_and_its_interval(tmp_path: Path) -> None:
    content = evaluation_json(evaluate({"a": rows("one two"), "b": rows("one")}, Normalizer(("nfc",)), 100, 0), "")
    publish(tmp_path, "small", "Small", "asrlab results small.toml", content)
    text = section(tmp_path)
    assert "**Small** (`asrlab results small.toml`)" in text
    assert "| a | 4 | 8 | 0.00 (0.00 to 36.94) |" in text
    assert "| b | 4 | 8 | 50.00 (15.70 to 84.30) |" in text
    assert "| all together | 8 | 16 | 25.00 (" in text
    assert "`nfc/" in text


def test_a_study_shows_the_mean_of_its_folds(tmp_path: Path) -> None:
    sets = {"ann": rows("one two"), "ben": rows("one")}
    content = evaluation_json(evaluate(sets, Normalizer(()), 100, 0, about={"study": "x.speaker"}), "")
    publish(tmp_path, "study", "Study", "asrlab results", content)
    assert "| mean | | | 25.00 | 28.57 |" in section(tmp_path)


def test_a_curve_is_kept_beside_the_scores_and_linked(tmp_path: Path) -> None:
    curve, readme, out = tmp_path / "curve.svg", tmp_path / "README.md", tmp_path / "docs" / "results"
    curve.write_text("<svg/>")
    readme.write_text("<!-- results:start -->\n<!-- results:end -->\n")
    content = evaluation_json(evaluate({"a": rows("one two")}, Normalizer(()), 100, 0), "")
    publish(out, "small", "Small", "asrlab results small.toml", content, curve)
    update_readme(readme, out)
    assert "(docs/results/small.svg)" in readme.read_text()
    assert (readme.parent / "docs/results/small.svg").read_text() == "<svg/>"


def test_only_what_is_between_the_markers_is_written(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- results:start -->\nold\n<!-- results:end -->\nafter\n")
    assert update_readme(readme, tmp_path / "none")
    assert readme.read_text() == "before\n<!-- results:start -->\n<!-- results:end -->\nafter\n"
    assert not update_readme(readme, tmp_path / "none")
    readme.write_text("no markers")
    with pytest.raises(DataError, match="no place for results"):
        update_readme(readme, tmp_path)
