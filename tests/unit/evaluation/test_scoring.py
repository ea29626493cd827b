"""Scores: jiwer's definition, our intervals."""

from __future__ import annotations

import io
import math

import jiwer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from asr_lab.evaluation.bootstrap import exact_interval, rate_interval, resampling_units
from asr_lab.evaluation.error_counts import count_errors
from asr_lab.evaluation.evaluation_files import Evaluation, evaluation_json
from asr_lab.evaluation.page import render
from asr_lab.evaluation.report import print_evaluation
from asr_lab.evaluation.scoring import SetScore, score, set_hash
from asr_lab.recognition.decoded_utterance import DecodedUtterance
from asr_lab.text.normalizer import Normalizer

TEXT = st.lists(st.sampled_from(["a", "be", "sea", "straße", "été", "Ω"]), max_size=8).map(" ".join)


def transcripts(pairs: list[tuple[str, str]], **columns: list[str]) -> list[DecodedUtterance]:
    rows = []
    for i, (reference, hypothesis) in enumerate(pairs):
        rows.append(DecodedUtterance(f"u{i}", reference, hypothesis, {k: v[i] for k, v in columns.items()}, 1.5))
    return rows


def scored(pairs: list[tuple[str, str]], **columns: list[str]) -> SetScore:
    return score(transcripts(pairs, **columns), Normalizer(("nfc", "lower")), bootstrap=200, seed=3, name="x")


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6))
def test_counts_are_those_of_jiwer(pairs: list[tuple[str, str]]) -> None:
    references, hypotheses = zip(*pairs, strict=True)
    counts = count_errors(references, hypotheses)
    words = jiwer.process_words(list(references), list(hypotheses))
    characters = jiwer.process_characters(list(references), list(hypotheses))
    for ours, theirs in ((counts["wer"], words), (counts["cer"], characters)):
        assert ours.sum(0).tolist() == [
            theirs.substitutions,
            theirs.deletions,
            theirs.insertions,
            theirs.substitutions + theirs.deletions + theirs.hits,
        ]


def test_the_rate_is_that_of_jiwer() -> None:
    pairs = [("one two three", "one too three four"), ("five", ""), ("six seven", "six seven")]
    found = scored(pairs)
    references, hypotheses = map(list, zip(*pairs, strict=True))
    assert found.rates["wer"].value == pytest.approx(jiwer.wer(references, hypotheses))
    assert found.rates["cer"].value == pytest.approx(jiwer.cer(references, hypotheses))
    assert (
        found.rates["wer"].substitutions,
        found.rates["wer"].deletions,
        found.rates["wer"].insertions,
        found.rates["wer"].reference,
    ) == (1, 1, 1, 6)
    assert found.rates["wer"].low <= found.rates["wer"].value <= found.rates["wer"].high


def test_both_texts_are_normalised_and_the_score_says_how() -> None:
    found = scored([("One", "ONE  ")])
    assert found.rates["wer"].errors == 0
    assert found.normaliser == "nfc+lower/2"


def test_words_against_an_empty_reference_are_insertions() -> None:
    found = scored([("", "hello there"), ("", ""), ("yes", "yes")])
    assert (found.rates["wer"].insertions, found.rates["wer"].reference, found.rates["wer"].value) == (2, 1, 2.0)
    assert scored([("", "")]).rates["wer"].value == 0
    assert scored([("", "a b")]).rates["wer"].value == jiwer.wer([""], ["a b"])


def test_a_set_without_a_word_in_its_references_has_counts_and_no_rate() -> None:
    for pairs in ([("", "hello there"), (" ", "")], [("", "")], [("", "")] * 20):
        found = scored(pairs)
        for rate in found.rates.values():
            assert all(math.isfinite(value) for value in (rate.value, rate.low, rate.high))
        assert found.rates["wer"].insertions == sum(len(hypothesis.split()) for _, hypothesis in pairs)
        console = Console(file=io.StringIO(), width=200)
        print_evaluation(console, Evaluation(found, (found,)))
        page = render("x", "", [("test", evaluation_json(Evaluation(found, (found,)), ""))])
        (row,) = (line for line in console.file.getvalue().splitlines() if "(WER)" in line)  # type: ignore[attr-defined]
        assert row.split()[2:4] == ["–", "–"]
        assert "references hold no word" in console.file.getvalue()  # type: ignore[attr-defined]
        assert "x: words (WER)</td><td>–</td><td>–</td>" in page


def test_no_error_in_few_words_is_not_taken_for_perfection() -> None:
    found = scored([("yes", "yes")] * 20)
    assert (found.rates["wer"].value, found.rates["wer"].low) == (0, 0)
    assert found.rates["wer"].high == pytest.approx(1 - 0.025 ** (1 / 20))


def test_the_exact_interval_covers_one_utterance() -> None:
    low, high = exact_interval(2, 10)
    assert low == pytest.approx(0.0252, abs=1e-3)
    assert high == pytest.approx(0.5561, abs=1e-3)
    assert exact_interval(0, 0) == (0, 1)
    assert exact_interval(30, 10)[1] == 3


def test_nothing_to_score_is_an_error() -> None:
    with pytest.raises(ValueError, match="no transcripts"):
        scored([])


def test_the_same_seed_gives_the_same_interval() -> None:
    pairs = [("a b c d", "a b x d"), ("a b", "a b"), ("c", "d")] * 5
    assert scored(pairs) == scored(pairs)


def test_speakers_are_resampled_when_there_are_enough_of_them() -> None:
    assert resampling_units(["a", "b"] * 20).by == "utterance"
    many = resampling_units([str(i % 10) for i in range(40)])
    assert (many.by, many.count) == ("speaker", 10)
    assert resampling_units([None, *"abcdefghijkl"]).by == "utterance"


def test_the_interval_covers_the_true_rate_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered, trials, rate = 0, 300, 0.2
    for trial in range(trials):
        size = rng.integers(3, 15, size=(120, 1))
        errors = rng.binomial(size, rate)
        (low, high), *_ = rate_interval(errors, size, 400, trial)
        covered += low <= rate <= high
    assert 0.91 <= covered / trials <= 0.98


def test_resampling_speakers_covers_where_resampling_utterances_does_not() -> None:
    rng = np.random.default_rng(1)
    trials, speakers, each = 150, 30, 20
    covered = {"utterance": 0, "speaker": 0}
    for trial in range(trials):
        own = rng.beta(2, 8, size=speakers)  # mean 0.2
        errors = rng.binomial(8, np.repeat(own, each))[:, None]
        size = np.full_like(errors, 8)
        names: list[str | None] = [str(i // each) for i in range(len(errors))]
        for labels in (names, [None] * len(errors)):
            units = resampling_units(labels)
            (low, high), *_ = rate_interval(units.total(errors), units.total(size), 300, trial)
            covered[units.by] += low <= 0.2 <= high
    assert covered["speaker"] / trials > 0.88
    assert covered["utterance"] / trials < 0.7


def test_tables_add_up_to_the_whole() -> None:
    pairs = [("a b", "a c"), ("d", ""), ("e f g", "e f g"), ("h", "h i")]
    found = scored(pairs, speaker=["x", "y", "x", "unknown"], language=["", "", "", ""])
    assert set(found.tables) == {"speaker", "length"}
    assert [r.label for r in found.tables["speaker"]] == ["(not given)", "x", "y"]
    assert [r.label for r in found.tables["length"]] == ["1-2 s"]
    for rows in found.tables.values():
        assert sum(r.rates["wer"].errors for r in rows) == found.rates["wer"].errors
        assert sum(r.rates["cer"].reference for r in rows) == found.rates["cer"].reference
        assert sum(r.audio_s for r in rows) == found.audio_s


def test_the_hash_of_a_set_does_not_depend_on_order_or_hypotheses() -> None:
    rows = transcripts([("a", "x"), ("b", "y")])
    other = transcripts([("a", "z"), ("b", "w")])[::-1]
    assert set_hash(rows) == set_hash(other)
    assert set_hash(rows) != set_hash(transcripts([("a", "x"), ("c", "y")]))


def test_the_worst_come_first_and_the_right_ones_not_at_all() -> None:
    found = scored([("a", "a"), ("a b c", "x y z"), ("a b", "a")])
    assert [s.transcript.id for s in found.worst(5)] == ["u1", "u2"]


def test_a_sentence_is_right_or_wrong() -> None:
    found = scored([("a b", "a b"), ("a b", "a x"), ("c", ""), ("", "")]).rates["ser"]
    assert (found.substitutions, found.deletions, found.insertions, found.reference) == (2, 0, 0, 4)
    assert found.value == 0.5
