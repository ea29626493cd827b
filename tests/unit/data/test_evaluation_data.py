"""A set to be scored on holds every utterance, in one order, with its transcript as written."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_lab.data.evaluation_cuts import read_evaluation_cuts
from asr_lab.data.evaluation_data import EvaluationData
from asr_lab.errors import DataError
from asr_lab.slots.datasets import Join
from asr_lab.slots.datasets.folder import Folder


def evaluation(folder: Path, *datasets: Folder, batch_s: float = 5, num_workers: int = 0) -> tuple[EvaluationData, ...]:
    sets = datasets or (Folder(path="."),)
    named = read_evaluation_cuts([one.build(folder) for one in sets], folder)
    options = {"sample_rate": 16000, "batch_s": batch_s, "num_workers": num_workers}
    return tuple(EvaluationData(name, cuts, **options) for name, cuts in named.items())


def test_every_readable_utterance_comes_once_longest_first(with_bad: Path) -> None:
    (data,) = evaluation(with_bad)
    batches = list(data.batches())
    ids = [i for b in batches for i in b.ids]
    assert len(ids) == len(set(ids)) == len(data.utterances)
    lengths = [int(n) for b in batches for n in b.audio_lengths]
    assert lengths == sorted(lengths, reverse=True)
    assert all(b.audio.numel() <= 5 * 16000 for b in batches)


def test_texts_are_as_written_and_need_be_neither_spellable_nor_alignable(with_bad: Path) -> None:
    (data,) = evaluation(with_bad)
    texts = {i: t for b in data.batches() for i, t in zip(b.ids, b.texts, strict=True)}
    assert texts["u056"] == "großer"
    assert texts["u100"] == "... !"
    assert texts["u045"].count("five") == 60


def test_what_cannot_be_read_is_named_with_its_transcript(with_bad: Path) -> None:
    (data,) = evaluation(with_bad)
    assert {b.id for b in data.bad} == {"u003", "u011", "u020", "u067", "u078", "u089"}
    assert {(u.id, u.reason) for u in data.unreadable} == {(b.id, b.reason) for b in data.bad}
    assert all(u.text and u.columns["speaker"] for u in data.unreadable)


def test_a_row_that_makes_no_sense_is_named_without_a_transcript(good: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(good, folder)
    with (folder / "manifest.tsv").open("a") as table:
        table.write("too\tfew\n")
    (data,) = evaluation(folder)
    [bad] = data.unreadable
    assert bad.text is None
    assert "2 fields" in bad.reason


ODD_ROWS = {
    "odd-nan": ("start_s", "nan", "not a number"),
    "odd-channel": ("channel", "-1", "channel"),
    "odd-path": ("audio", "", "names no audio file"),
    "odd-column": ("split", "a\0b", "zero byte"),
}


@pytest.mark.parametrize(("speaker", "is_wanted"), [("ben", True), ("!ben", False)])
def test_the_transcript_of_a_row_that_cannot_be_read_counts_where_the_conditions_want_it(
    good: Path, tmp_path: Path, speaker: str, is_wanted: bool
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(good, folder)
    table = folder / "manifest.tsv"
    first, *lines = table.read_text().splitlines()
    header = [*first.split("\t"), "start_s", "channel"]
    rows = [[*line.split("\t"), "", ""] for line in lines]
    template = dict(zip(header, rows[0], strict=True)) | {"speaker": "ben", "text": "seven"}
    rows.append(list((template | {"id": "whole"}).values()))
    rows += [list((template | {"id": name, column: value}).values()) for name, (column, value, _) in ODD_ROWS.items()]
    table.write_text("\n".join("\t".join(row) for row in (header, *rows)) + "\n")
    (data,) = evaluation(folder, Folder(path=".", where={"speaker": speaker}))
    seen = {u.id: u for u in data.unreadable}
    assert set(seen) == (set(ODD_ROWS) if is_wanted else set())
    for name, utterance in seen.items():
        assert utterance.text == "seven"
        assert ODD_ROWS[name][2] in utterance.reason


def test_an_utterance_with_an_empty_transcript_is_decoded_and_scored(with_bad: Path) -> None:
    (data,) = evaluation(with_bad)
    assert [u.text for u in data.utterances if u.id == "u034"] == ["  "]


def test_what_breaks_while_decoding_is_counted_too(tmp_path: Path) -> None:
    audio = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", audio, 8000)
    audio[5] = np.nan
    soundfile.write(tmp_path / "b.wav", audio, 8000, subtype="FLOAT")
    (tmp_path / "manifest.tsv").write_text("audio\ttext\na.wav\thello\nb.wav\tyou there\n")
    for num_workers in (0, 1):
        (data,) = evaluation(tmp_path, num_workers=num_workers)
        assert len(data.utterances) == 2
        assert [b.ids for b in data.batches()] == [("a",)]
        assert [u.text for u in data.unreadable] == ["you there"]
        assert "not finite" in data.bad[0].reason


def test_columns_and_lengths_come_along(good: Path) -> None:
    (data,) = evaluation(good, Folder(path=".", where={"split": "test"}))
    assert {u.columns["split"] for u in data.utterances} == {"test"}
    assert all(u.columns["speaker"].startswith("s") for u in data.utterances)
    assert sum(u.duration_s for u in data.utterances) == pytest.approx(data.total_s)


def test_sets_of_one_name_are_one_set(good: Path) -> None:
    parts = [Folder(path=".", name="ls", where={"speaker": s}) for s in ("s1", "s2")]
    sets = evaluation(good, *parts, Folder(path=".", where={"speaker": "s3"}))
    assert [(s.name, len(s.utterances)) for s in sets] == [("ls", 30), ("folder", 15)]


def test_joined_utterances_are_always_joined_alike(good: Path) -> None:
    joined = Folder(path=".", join=Join(min_utterances=2, max_s=4))
    (first,), (second,) = evaluation(good, joined), evaluation(good, joined)
    assert first.utterances == second.utterances
    assert sorted(i for u in first.utterances for i in u.id.split("+")) == [f"u{i:03}" for i in range(60)]
    some = next(u for u in first.utterances if "+" in u.id)
    assert some.columns["speaker"]
    assert len(some.text.split()) >= some.id.count("+") + 1


def test_the_same_batches_come_again_and_with_workers(good: Path) -> None:
    (data,), (other,) = evaluation(good), evaluation(good, num_workers=2)
    first = [(b.ids, b.audio.numpy().tobytes()) for b in data.batches()]
    assert [(b.ids, b.audio.numpy().tobytes()) for b in data.batches()] == first
    assert [(b.ids, b.audio.numpy().tobytes()) for b in other.batches()] == first


def test_a_subset_holds_what_was_chosen_and_the_set_stays(good: Path) -> None:
    (data,) = evaluation(good)
    audio = {i: row[:n] for b in data.batches() for i, row, n in zip(b.ids, b.audio, b.audio_lengths, strict=True)}
    part = data.subset({"u007", "u003", "u050"})
    assert [u.id for u in part.utterances] == ["u003", "u007", "u050"]
    assert part.total_s == pytest.approx(sum(u.duration_s for u in part.utterances))
    found = {i: row[:n] for b in part.batches() for i, row, n in zip(b.ids, b.audio, b.audio_lengths, strict=True)}
    assert found.keys() == {"u003", "u007", "u050"}
    assert all(found[i].equal(audio[i]) for i in found)
    assert len(data.utterances) == 60


def test_a_weight_is_refused(good: Path) -> None:
    with pytest.raises(DataError, match=r"weight = 2 means nothing"):
        evaluation(good, Folder(path=".", weight=2))
