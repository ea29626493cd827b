"""What is left out: counted by reason, one line for all of it, the same list after a kill."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_lab.data.left_out import LeftOut, append_row, trained_on
from asr_lab.data.utterance import DRAWN, BadCut

SHORT = BadCut("a", "a.wav", "too short for its text: 3 tokens need 1.00 s, it has 0.50 s", "too short for its text")
ODD = BadCut("b\tc", "d\ne\udcff.wav", 'a "name"\\ of any kind', "unspellable")
FOUND = BadCut("f", "f.wav", "is truncated")


def left_out(train: int = 20, valid: int = 5) -> LeftOut:
    remedies = {"unspellable": "write an alphabet", "unreadable": "convert it"}
    return LeftOut({"train": train, "valid": valid}, {"train": [SHORT, ODD], "valid": [FOUND]}, remedies)


def test_one_line_counts_each_reason_with_its_remedy() -> None:
    line = left_out().line(Path("left_out.tsv"))
    assert line == (
        "left out: 2 of 20 training utterances (1 too short for its text, 1 unspellable) and 1 of 5 validation "
        "utterances (1 unreadable); write an alphabet; convert it; listed in left_out.tsv"
    )


def test_nothing_left_out_is_nothing_to_say() -> None:
    nothing = LeftOut({"train": 20, "valid": 0}, {"train": [], "valid": []}, {})
    assert nothing.line(Path("x")) == nothing.excess(0.0, Path("x")) == ""
    assert trained_on(nothing.record()) == "trained on 20 of 20 utterances"


@pytest.mark.parametrize(
    ("train", "valid", "share", "start"),
    [
        (20, 20, 0.1, ""),
        (
            19,
            20,
            0.1,
            "2 of 19 training utterances (1 too short for its text, 1 unspellable) cannot be used, more than",
        ),
        (
            100,
            5,
            0.19,
            "1 of 5 validation utterances (1 unreadable) cannot be used, more than data.max_left_out = 0.19",
        ),
        (2, 20, 1.0, "2 of 2 training utterances"),
    ],
)
def test_more_than_the_share_of_a_set_or_all_of_it_is_too_much(
    train: int, valid: int, share: float, start: str
) -> None:
    problem = left_out(train, valid).excess(share, Path("left_out.tsv"))
    assert problem.startswith(start)
    assert bool(problem) == bool(start)
    assert "\n" not in problem


def test_the_table_has_a_line_each_whatever_the_names(tmp_path: Path) -> None:
    path = tmp_path / "left_out.tsv"
    left_out().write(path)
    lines = path.read_text(encoding="utf-8").split("\n")
    assert lines[0] == "id\tpath\treason\tdetail"
    assert [len(line.split("\t")) for line in lines] == [4, 4, 4, 4, 1]
    assert lines[2] == 'b\\tc\td\\ne\\udcff.wav\tunspellable\ta "name"\\\\ of any kind'


def test_what_reading_finds_is_counted_once_and_taken_up_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "left_out.tsv"
    whole = left_out()
    whole.write(path)
    late = BadCut("g", "g.wav", "is truncated")
    found = [row for cut in (late, late, SHORT) for row in [whole.add(cut, "train")] if row is not None]
    assert len(found) == 1
    append_row(path, found[0])
    drawn = BadCut("h+i", "h.wav", "as drawn: too short", DRAWN)
    append_row(path, whole.add(drawn, "train") or found[0])
    append_row(path, whole.add(BadCut("v", "v.wav", "is truncated"), "valid") or found[0])
    again, before = left_out(), path.read_bytes()
    path.write_bytes(before + b"torn\tby")
    again.take_up(path, {("v", "v.wav"), ("w", "w.wav")})
    again.write(path)
    assert path.read_bytes() == before
    for split in ("train", "valid"):
        assert again.counts(split) == whole.counts(split)
    assert again.counts("valid") == {"unreadable": 2}
    assert again.record() == whole.record()
    assert (again.used("train"), len(again)) == (17, 6)  # what is too short as drawn is used in other epochs


def test_a_record_of_another_shape_says_nothing() -> None:
    assert trained_on({}) == trained_on({"used": "1", "given": 2, "left_out": {}}) == ""
    record = {"used": 1705, "given": 1720, "left_out": {"unspellable": 15}}
    assert trained_on(record) == "trained on 1,705 of 1,720 utterances (left out: 15 unspellable)"
