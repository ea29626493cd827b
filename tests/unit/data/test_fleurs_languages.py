"""The table of FLEURS' languages against the corpus' published sums."""

from collections import Counter

import pytest

from asr_lab.data.fleurs_languages import BY_CODE, CJK, CMN, EE, FAMILIES, LANGUAGES, SA, SEA, SSA, WE

PUBLISHED = {
    WE: (25, 69577, 8814, 20043),
    EE: (16, 41163, 5883, 13454),
    CMN: (12, 33524, 4132, 9435),
    SSA: (20, 52686, 5569, 12813),
    SA: (14, 36235, 5049, 10658),
    SEA: (11, 28829, 3742, 8611),
    CJK: (4, 9784, 1263, 2796),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_has_its_languages_and_its_utterances(family: str) -> None:
    own = [language for language in LANGUAGES if language.family == family]
    sums = (sum(x.num_train for x in own), sum(x.num_dev for x in own), sum(x.num_test for x in own))
    assert (len(own), *sums) == PUBLISHED[family]


def test_the_102_codes_are_sorted_and_differ_as_their_position_is_the_language_id() -> None:
    codes = [language.code for language in LANGUAGES]
    assert codes == sorted(BY_CODE)
    assert len(codes) == 102


def test_a_language_is_named_by_three_letters_and_a_script_of_four() -> None:
    assert max(Counter(x.iso639_3 for x in LANGUAGES).values()) == 1
    assert all(len(x.iso639_3) == 3 and x.iso639_3.islower() for x in LANGUAGES)
    assert all(len(x.script) == 4 and x.script.istitle() for x in LANGUAGES)


def test_languages_written_without_spaces_between_words_are_the_seven() -> None:
    unspaced = {x.code for x in LANGUAGES if not x.is_spaced}
    assert unspaced == {"cmn_hans_cn", "yue_hant_hk", "ja_jp", "km_kh", "lo_la", "my_mm", "th_th"}


def test_no_language_has_more_sentences_than_utterances_or_more_than_350() -> None:
    assert all(0 < x.num_test_sentences <= min(350, x.num_test) for x in LANGUAGES)
    assert [BY_CODE["en_us"].published(s) for s in ("train", "dev", "test")] == [2602, 394, 647]
