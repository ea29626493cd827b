"""Containers that are not as their readers need them are refused in words; what is right is read in its place."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from container_trees import hub_table, parquet, saved, saved_splits, shar, swap_members, webdataset
from published_trees import Clip

from asr_lab.audio.reading import AudioError, read_audio
from asr_lab.data.cuts import read_cuts
from asr_lab.errors import DataError, MissingPackageError
from asr_lab.slots.datasets.hugging_face import HuggingFace
from asr_lab.slots.datasets.shar import Shar
from asr_lab.slots.datasets.webdataset import WebDataset


def test_a_shard_out_of_order_is_refused(tmp_path: Path, clips: Sequence[Clip]) -> None:
    tree = shar(tmp_path, clips)
    swap_members(tmp_path / "shar" / "recording.000000.tar")
    with pytest.raises(DataError, match="stands in the place of the cut"):
        list(tree.dataset.read(tmp_path).utterances)


def test_shards_that_do_not_pair_up_are_refused(tmp_path: Path, clips: Sequence[Clip]) -> None:
    tree = shar(tmp_path, clips)
    (tmp_path / "shar" / "lang.000001.jsonl.gz").unlink()
    with pytest.raises(DataError, match="cuts and lang do not pair up: number 1"):
        tree.dataset.read(tmp_path)
    (tmp_path / "shar" / "recording.000000.tar").unlink()
    (tmp_path / "shar" / "recording.000001.tar").unlink()
    with pytest.raises(DataError, match=r"has no recording\.000000 file"):
        tree.dataset.read(tmp_path)


def test_a_shard_with_more_cuts_than_recordings_is_refused(tmp_path: Path, clips: Sequence[Clip]) -> None:
    tree = shar(tmp_path, clips)
    (tmp_path / "shar" / "cuts.000001.jsonl.gz").unlink()
    (tmp_path / "shar" / "cuts.000001.jsonl").write_text("")
    with pytest.raises(DataError, match=r"recording\.000001\.tar has more entries"):
        list(tree.dataset.read(tmp_path).utterances)


def test_what_lhotse_writes_is_read(tmp_path: Path, clips: Sequence[Clip]) -> None:
    lhotse = pytest.importorskip("lhotse")
    made = []
    for number, clip in enumerate(clips):
        path = clip.write(tmp_path / "wavs" / f"{number}.wav")
        cut = lhotse.MonoCut(f"c{number}", 0.25, 1.0, 0, recording=lhotse.Recording.from_file(path))
        made.append(cut)
        cut.supervisions.append(lhotse.SupervisionSegment(f"s{number}", cut.recording.id, 0.0, 1.0, text=clip.text))
    (tmp_path / "shar").mkdir()
    lhotse.CutSet.from_cuts(made).to_shar(tmp_path / "shar", fields={"recording": "flac"}, shard_size=4)
    cuts = read_cuts([Shar(path="shar").build(tmp_path)], tmp_path)
    assert list(cuts.texts) == [clip.text for clip in clips]
    for row, clip in enumerate(clips):
        assert np.array_equal(read_audio(cuts.audio[row], 16000), clip.samples[4000:20000] / np.float32(32768))


def test_absent_containers_are_told(tmp_path: Path) -> None:
    for dataset in (Shar(path="x"), WebDataset(path="x-{0..3}.tar"), HuggingFace(path="x")):
        with pytest.raises(DataError, match="ASRLAB_DATA"):
            dataset.read(tmp_path)


def test_a_split_is_asked_for_where_there_are_several(tmp_path: Path, clips: Sequence[Clip]) -> None:
    saved_splits(tmp_path, clips)
    with pytest.raises(DataError, match="name one as `split`"):
        HuggingFace(path="saved").read(tmp_path)
    parquet(tmp_path, clips)
    with pytest.raises(DataError, match="holds no parquet or arrow files of the split 'dev'"):
        HuggingFace(path="hub", split="dev").read(tmp_path)


def test_one_of_two_columns_of_texts_is_asked_for(tmp_path: Path, clips: Sequence[Clip]) -> None:
    parquet(tmp_path, clips)
    with pytest.raises(DataError, match="has 2 columns of transcripts: sentence, raw_text; name one as `text_column`"):
        list(HuggingFace(path="hub", split="test").read(tmp_path).utterances)
    with pytest.raises(DataError, match=r"no column 'txt' \(have: id, audio"):
        list(HuggingFace(path="hub", split="test", text_column="txt").read(tmp_path).utterances)


def test_a_saved_order_and_names_that_lead_out_are_refused(tmp_path: Path, clips: Sequence[Clip]) -> None:
    saved(tmp_path, clips)
    state = tmp_path / "saved" / "state.json"
    state.write_text(json.dumps({"_data_files": [{"filename": "../x.arrow"}]}))
    with pytest.raises(DataError, match="names a file outside its folder"):
        HuggingFace(path="saved").read(tmp_path)
    state.write_text(json.dumps({"_data_files": [], "_indices_data_files": [{"filename": "i.arrow"}]}))
    with pytest.raises(DataError, match="flatten_indices"):
        HuggingFace(path="saved").read(tmp_path)


def test_compressed_arrow_files_are_refused_with_the_way_out(tmp_path: Path, clips: Sequence[Clip]) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    table = hub_table(clips)
    options = pyarrow.ipc.IpcWriteOptions(compression="zstd")
    path = str(tmp_path / "data-00000-of-00001.arrow")
    with pyarrow.OSFile(path, "wb") as file, pyarrow.ipc.new_stream(file, table.schema, options=options) as stream:
        stream.write_table(table)
    with pytest.raises(DataError, match="save it without compression"):
        list(HuggingFace(path=".", text_column="sentence").read(tmp_path).utterances)


def test_without_pyarrow_the_extra_is_named(
    tmp_path: Path, clips: Sequence[Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet(tmp_path, clips)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'asr-lab\[training\]'"):
        list(HuggingFace(path="hub", split="test", text_column="sentence").read(tmp_path).utterances)


def test_a_parquet_file_that_changed_is_not_read_as_it_was(tmp_path: Path, clips: Sequence[Clip]) -> None:
    tree = parquet(tmp_path, clips)
    cuts = read_cuts([tree.dataset.build(tmp_path)], tmp_path)
    path = tmp_path / "hub" / "data" / "test-00000-of-00002.parquet"
    from pyarrow import parquet as files

    files.write_table(hub_table(clips[3:]), path, row_group_size=2)
    with pytest.raises(AudioError, match="has another size than it had"):
        read_audio(cuts.audio[0], 16000)


def test_a_folder_of_archives_is_read_in_their_order(tmp_path: Path, clips: Sequence[Clip]) -> None:
    webdataset(tmp_path, clips)
    one = [u.id for u in WebDataset(path="web").read(tmp_path).utterances]
    assert one == [u.id for u in WebDataset(path="web/train-{000000..000001}.tar").read(tmp_path).utterances]
