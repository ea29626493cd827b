"""Word errors where compounds match, against a twin that tries every way."""

from __future__ import annotations

import random

import pytest

from asr_lab.evaluation.error_counts import count_errors, scorer_hash, scorer_name
from asr_lab.evaluation.merged_words import merged_word_errors
from asr_lab.evaluation.rates import edit_errors


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("the white paper is good", "the whitepaper is good", (0, 0, 0, 5)),
        ("the whitepaper is good", "the white paper is good", (0, 0, 0, 4)),
        ("a b c d", "abcd", (0, 0, 0, 4)),
        ("abcd", "a b c d", (0, 0, 0, 1)),
        ("ab c", "a bc", (2, 0, 0, 2)),
        ("white paper", "whitepape", (1, 1, 0, 2)),
        ("one two", "", (0, 2, 0, 2)),
        ("", "one two", (0, 0, 2, 0)),
        ("x white paper y", "whitepaper z", (1, 1, 0, 4)),
    ],
)
def test_words_written_together_or_apart_match(reference: str, hypothesis: str, expected: tuple[int, ...]) -> None:
    assert merged_word_errors(reference.split(), hypothesis.split()) == expected


def every_way(reference: tuple[str, ...], hypothesis: tuple[str, ...]) -> int:
    """The fewest errors, found by trying every first step."""
    if not reference or not hypothesis:
        return len(reference) + len(hypothesis)
    ways = [every_way(reference[1:], hypothesis[1:]) + (reference[0] != hypothesis[0])]
    ways += [every_way(reference[1:], hypothesis) + 1, every_way(reference, hypothesis[1:]) + 1]
    for k in range(2, len(reference) + 1):
        ways += [every_way(reference[k:], hypothesis[1:])] if "".join(reference[:k]) == hypothesis[0] else []
    for k in range(2, len(hypothesis) + 1):
        ways += [every_way(reference[1:], hypothesis[k:])] if "".join(hypothesis[:k]) == reference[0] else []
    return min(ways)


def test_no_way_of_matching_has_fewer_errors() -> None:
    rng = random.Random(8)
    words = ["a", "b", "ab", "ba", "aab"]
    merged = 0
    for _ in range(300):
        reference, hypothesis = (tuple(rng.choices(words, k=rng.randint(0, 5))) for _ in range(2))
        found = merged_word_errors(reference, hypothesis)
        assert found.errors == every_way(reference, hypothesis), (reference, hypothesis)
        assert found.reference == len(reference)
        merged += found.errors < edit_errors(reference, hypothesis).errors
    assert merged > 20, "compounds are among them"


def test_rates_of_words_and_sentences_merge_and_that_of_characters_does_not() -> None:
    texts = (["the white paper"], ["the whitepaper"])
    plain, merged = count_errors(*texts), count_errors(*texts, "merge_compounds")
    assert plain["wer"].tolist() == [[1, 1, 0, 3]]
    assert merged["wer"].tolist() == [[0, 0, 0, 3]]
    assert merged["cer"].tolist() == plain["cer"].tolist() == [[0, 1, 0, 15]]
    assert (plain["ser"][0, 0], merged["ser"][0, 0]) == (1, 0)


def test_a_score_names_its_scorer() -> None:
    assert [scorer_name(one) for one in ("plain", "merge_compounds")] == ["plain/1", "merge_compounds/1"]  # type: ignore[arg-type]
    assert scorer_hash("plain") != scorer_hash("merge_compounds")
