"""Averages over languages against sums written out, and what is shown of them."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from rich.console import Console

from asr_lab.commands.named_sets import facts_of, fleurs_sets, librispeech_sets, names_of_language
from asr_lab.data.fleurs_languages import LANGUAGES
from asr_lab.errors import DataError
from asr_lab.evaluation.evaluation_files import Evaluation, evaluate, read_evaluation, write_evaluation
from asr_lab.evaluation.language_files import SetTime, read_times, write_languages
from asr_lab.evaluation.language_page import render
from asr_lab.evaluation.language_rows import csv_text, remarks
from asr_lab.evaluation.language_table import print_languages
from asr_lab.evaluation.languages import Average, by_language
from asr_lab.recognition.decoded_utterance import DecodedUtterance
from asr_lab.text.fleurs import FleursNormalizer

CODES = ("en_us", "de_de", "th_th", "cmn_hans_cn")


def decoded(code: str, count: int) -> list[DecodedUtterance]:
    """Utterances of which each language has other errors."""
    draw = np.random.default_rng(len(code) + count)
    rows = []
    for number in range(count):
        words = [f"w{draw.integers(9)}" for _ in range(draw.integers(3, 9))]
        wrong = [word if draw.random() > 0.1 * (1 + CODES.index(code)) else "x" for word in words]
        text = {"language": code.partition("_")[0], "locale": code}
        rows.append(DecodedUtterance(f"{code}{number}", " ".join(words), " ".join(wrong), text, 2.0, "a.wav"))
    return rows


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    sets = {code: decoded(code, 40 + 30 * i) for i, code in enumerate(CODES)}
    found = evaluate(sets, FleursNormalizer({"th", "cmn"}), 1000, 5)
    facts = {code: facts_of(code, "fleurs") for code in CODES}
    return Evaluation(found.score, found.sets, about={"run": "r"}, languages=by_language(found.sets, facts))


def test_macro_averages_weigh_languages_alike_and_micro_averages_utterances(evaluation: Evaluation) -> None:
    rates = {one.name: one.rates for one in evaluation.sets}
    averages = evaluation.languages
    assert averages is not None
    counted = [rates["en_us"]["wer"], rates["de_de"]["wer"], rates["th_th"]["cer"], rates["cmn_hans_cn"]["cer"]]
    assert averages.macro["counted"].value == pytest.approx(sum(r.value for r in counted) / 4)
    assert averages.macro["cer"].value == pytest.approx(sum(r["cer"].value for r in rates.values()) / 4)
    assert averages.macro["wer"].value == pytest.approx((counted[0].value + counted[1].value) / 2)
    errors, units = (sum(getattr(r["cer"], what) for r in rates.values()) for what in ("errors", "reference"))
    assert averages.micro["cer"].value == pytest.approx(errors / units)
    spaced = counted[:2]
    total = sum(r.errors for r in spaced) / sum(r.reference for r in spaced)
    assert averages.micro["wer"] == Average(
        pytest.approx(total), averages.micro["wer"].low, averages.micro["wer"].high, 2
    )
    assert {family: one.languages for family, one in averages.families.items()} == {
        "Western European": 2,
        "South-East Asia": 1,
        "Chinese, Japanese and Korean": 1,
    }
    assert averages.families["South-East Asia"].counted.value == pytest.approx(counted[2].value)


def test_the_interval_of_a_macro_average_is_that_of_drawing_each_languages_utterances(evaluation: Evaluation) -> None:
    draw = np.random.default_rng(1)
    drawn = []
    for _ in range(2000):
        means = []
        for one in evaluation.sets:
            rate = "wer" if one.name in ("en_us", "de_de") else "cer"
            picked = [one.scored[i].errors[rate] for i in draw.integers(len(one.scored), size=len(one.scored))]
            means.append(sum(p.errors for p in picked) / sum(p.reference for p in picked))
        drawn.append(sum(means) / len(means))
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert evaluation.languages is not None
    found = evaluation.languages.macro["counted"]
    assert (found.low, found.high) == (pytest.approx(low, abs=0.004), pytest.approx(high, abs=0.004))
    single = [one.rates["wer"].high - one.rates["wer"].low for one in evaluation.sets if one.name == "en_us"]
    assert found.high - found.low < single[0], "an average is surer than one language"


def test_equal_sets_are_drawn_apart() -> None:
    rows = decoded("en_us", 50)
    found = evaluate({"en_us": rows, "de_de": rows}, FleursNormalizer(()), 1000, 5)
    averages = by_language(found.sets, {code: facts_of(code, "fleurs") for code in ("en_us", "de_de")})
    one, both = found.sets[0].rates["wer"], averages.macro["counted"]
    assert (both.high - both.low) / (one.high - one.low) == pytest.approx(0.5**0.5, abs=0.08)


def test_the_table_is_of_80_columns_and_names_what_is_partial(evaluation: Evaluation) -> None:
    out = io.StringIO()
    print_languages(Console(file=out, width=80), evaluation, {"th_th": 0.0123})
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    thai = next(line.split() for line in lines if line.strip().startswith("th_th"))
    assert thai[:2] == ["th_th", "100*"]
    assert thai[3] == "CER"
    assert thai[-2:] == ["–", "0.012"]
    assert "en_us 40 of 647" in " ".join(lines)
    assert any(line.split()[:2] == ["macro,", "rate"] for line in lines)


def test_remarks_name_what_cannot_be_spelled_and_how_often_languages_were_named(evaluation: Evaluation) -> None:
    import attrs

    assert evaluation.languages is not None
    facts = dict(evaluation.languages.facts)
    facts["th_th"] = attrs.evolve(facts["th_th"], unspellable=25, characters="น้ำ", identified=60)
    facts["en_us"] = attrs.evolve(facts["en_us"], published=30, identified=40)
    found = attrs.evolve(evaluation, languages=attrs.evolve(evaluation.languages, facts=facts))
    lines = remarks(found)
    assert "more utterances than published: en_us" in lines
    assert "the tokenizer cannot spell references of 1 sets: th_th 25 % (น้ำ)" in lines
    assert "languages named rightly: 71.43 % of the utterances of 2 languages" in lines


def test_csv_has_a_line_for_each_set(evaluation: Evaluation) -> None:
    rows = list(csv.DictReader(io.StringIO(csv_text(evaluation, {"en_us": 0.5}))))
    assert [row["set"] for row in rows] == list(CODES)
    assert [row["counts"] for row in rows] == ["wer", "wer", "cer", "cer"]
    assert rows[0]["real_time_factor"] == "0.50000"
    assert rows[1]["real_time_factor"] == ""
    assert float(rows[2]["cer"]) == pytest.approx(evaluation.sets[2].rates["cer"].value, abs=1e-6)
    assert (rows[2]["family"], rows[2]["published"], rows[2]["partial"]) == ("South-East Asia", "1021", "1")


def test_the_page_holds_every_set_with_values_to_sort_by_and_a_bar(evaluation: Evaluation) -> None:
    page = render("x", evaluation, {})
    assert page == render("x", evaluation, {})
    for code in CODES:
        assert page.count(f'<td class="text">{code}</td>') == 1
    assert page.count("<svg") == 1
    assert "Mandarin Chinese (CER) *" in page
    assert f'data-value="{evaluation.sets[0].rates["wer"].value}"' in page


def test_an_evaluation_over_languages_is_kept_and_read_again(evaluation: Evaluation, tmp_path: object) -> None:
    from pathlib import Path

    path = write_evaluation(evaluation, Path(str(tmp_path)), "all")
    write_languages(path, evaluation, {"en_us": SetTime(80.0, 4.0)})
    content = read_evaluation(path)
    assert content["languages"]["th_th"]["counts"] == "cer"
    assert content["averages"]["macro"]["counted"]["sets"] == 4
    assert read_times(path) == {"en_us": SetTime(80.0, 4.0)}
    path.with_suffix(".speed.json").write_text("[1]")
    assert read_times(path) == {}


@pytest.mark.parametrize(
    ("languages", "message"),
    [("en-us", r"there is no 'en-us'; did you mean 'en_us'"), (",", "it names none"), ("everything", "have: af_za")],
)
def test_what_is_no_language_of_fleurs_is_refused(tmp_path: object, languages: str, message: str) -> None:
    from pathlib import Path

    with pytest.raises(DataError, match=message):
        fleurs_sets(languages, Path(str(tmp_path)))


def test_words_name_sets() -> None:
    from pathlib import Path

    every = fleurs_sets("all", Path())
    assert len(every) == 102
    assert every[0] == '{ type = "fleurs", name = "af_za", languages = ["af_za"], splits = ["test"] }'
    assert (
        fleurs_sets("en_us, de_de,en_us", Path())
        == [text for text in every if '"en_us"' in text or '"de_de"' in text][::-1]
    )
    assert (
        librispeech_sets("test.clean,test-other")[0]
        == '{ type = "librispeech", name = "test-clean", splits = ["test-clean"] }'
    )
    with pytest.raises(DataError, match="--librispeech takes parts with commas; there is no 'test'"):
        librispeech_sets("test")


def test_what_is_published_is_known_of_each_set() -> None:
    assert sum(facts_of(one.code, "fleurs").published or 0 for one in LANGUAGES) == 77_810
    assert {one.code for one in LANGUAGES if facts_of(one.code, "fleurs").counts == "cer"} == {
        *("cmn_hans_cn", "yue_hant_hk", "ja_jp", "th_th", "lo_la", "km_kh", "my_mm"),
    }
    assert facts_of("test-other", "librispeech").published == 2939
    assert facts_of("en_us", "folder").published is None
    assert names_of_language("cmn_hans_cn") == {"cmn_hans_cn", "cmn"}
