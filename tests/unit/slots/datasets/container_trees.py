"""Containers of real clips as their tools write them, with the oddities that are met."""

from __future__ import annotations

import gzip
import json
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from published_trees import RATE, Clip, Clips, Tree, write_tar

from asr_lab.slots.datasets.hugging_face import HuggingFace
from asr_lab.slots.datasets.shar import Shar
from asr_lab.slots.datasets.webdataset import WebDataset


def shar_cut(number: int, clip: Clip) -> dict[str, Any]:
    """A cut of the middle of a recording: what is in a shard is its stretch alone."""
    length_s = len(clip.samples) / RATE
    return {
        "id": f"{clip.speaker}/cut.{number}",
        "type": "MonoCut",
        "start": 3.5,
        "duration": length_s,
        "channel": 1,
        "supervisions": [
            {"id": "s", "recording_id": "r", "start": 0.0, "duration": length_s, "text": clip.text,
             "speaker": clip.speaker, "custom": {"snr": 3.5}}
        ],
        "recording": {"id": "r", "sources": [{"type": "shar", "channels": [0], "source": ""}],
                      "sampling_rate": RATE, "num_samples": len(clip.samples), "duration": length_s},
    }  # fmt: skip


def shar(root: Path, clips: Clips) -> Tree:
    """Two shards, one with a cut without data; a field of JSON lines, and a file that is of no shard."""
    folder = root / "shar"
    folder.mkdir(parents=True)
    (folder / "README").write_text("made by hand")
    for number, shard in enumerate((clips[:3], clips[3:])):
        cuts = [shar_cut(3 * number + n, clip) for n, clip in enumerate(shard)]
        files: dict[str, bytes] = {}
        for cut, clip in zip(cuts, shard, strict=True):
            files |= {f"{cut['id']}.flac": clip.encoded("FLAC"), f"{cut['id']}.json": b"{}"}
        if number:
            cuts.append({**shar_cut(9, clips[0]), "id": "nothing"})
            files |= {"nothing.nodata": b"", "nothing.nometa": b""}
        write_tar(folder / f"recording.{number:06d}.tar", files)
        (folder / f"cuts.{number:06d}.jsonl.gz").write_bytes(gzip.compress(_lines(cuts)))
        languages = [{"cut_id": cut["id"], "lang": "en"} for cut in cuts]
        (folder / f"lang.{number:06d}.jsonl.gz").write_bytes(gzip.compress(_lines(languages)))
    columns = {"speaker": clips[0].speaker, "snr": 3.5, "lang": "en"}
    notes = ("1 file of no shard, as README",)
    return Tree(Shar(path="shar"), [c.text for c in clips], bad=("has no recording",), notes=notes, columns=columns)


def webdataset(root: Path, clips: Clips) -> Tree:
    """Two shards; dots in names, an upper-case ending, a sample whose files are apart, a file without an ending."""
    samples = [(f"a/{clip.speaker}_{number}", clip) for number, clip in enumerate(clips)]
    first: dict[str, bytes] = {".hidden.flac": b"x", "README": b"x"}
    for number, (key, clip) in enumerate(samples[:3]):
        first[f"{key}.{'FLAC' if number else 'seg.flac'}"] = clip.encoded("FLAC")
        first[f"{key}.json"] = json.dumps({"text": clip.text, "speaker": clip.speaker, "words": ["x"]}).encode()
    second: dict[str, bytes] = {}
    for key, clip in samples[3:]:
        second |= {f"{key}.wav": clip.encoded(), f"{key}.txt": f"{clip.text}\n".encode()}
    second |= {"a/spk1.utt2.flac": clips[0].encoded("FLAC"), "a/spk1.utt2.txt": b"dots"}
    second |= {"b/apart.txt": b"apart", "b/other.txt": b"no audio", "b/apart.flac": clips[0].encoded("FLAC")}
    write_tar(root / "web" / "train-000000.tar", first)
    write_tar(root / "web" / "train-000001.tar", second)
    bad = ("has no text", "has no recording", "has no recording", "has no text")
    notes = ("2 files of no sample, as '.hidden.flac'",)
    dataset = WebDataset(path="web/train-{000000..000001}.tar")
    return Tree(dataset, [c.text for c in clips], bad=bad, notes=notes, columns={"speaker": clips[0].speaker})


def hub_table(clips: Sequence[Clip], start: int = 0) -> Any:
    """A table as `datasets` writes it; paths tell nothing of what the bytes are."""
    pyarrow = pytest.importorskip("pyarrow")
    audio = [{"bytes": clip.encoded("FLAC"), "path": f"{n}.wav"} for n, clip in enumerate(clips)]
    texts: list[str | None] = [clip.text for clip in clips]
    speakers = [clip.speaker for clip in clips]
    if start:
        audio += [{"bytes": None, "path": "/gone/9.wav"}, audio[0]]
        texts, speakers = [*texts, "dead path", None], [*speakers, "x", "x"]
    columns = {"id": [f"u{start + n}" for n in range(len(texts))], "audio": audio, "sentence": texts}
    return pyarrow.table({**columns, "raw_text": [str(t).upper() for t in texts], "speaker": speakers})


def _hub(dataset: HuggingFace, clips: Clips) -> Tree:
    bad = ("holds no audio, only the path '/gone/9.wav'", "has no sentence")
    return Tree(dataset, [c.text for c in clips], bad=bad, columns={"speaker": clips[0].speaker})


def parquet(root: Path, clips: Clips) -> Tree:
    """A split of two shards beside another split, with two columns of texts."""
    pytest.importorskip("pyarrow")
    from pyarrow import parquet as files

    folder = root / "hub" / "data"
    folder.mkdir(parents=True)
    files.write_table(hub_table(clips[:3]), folder / "test-00000-of-00002.parquet", row_group_size=2)
    files.write_table(hub_table(clips[3:], 3), folder / "test-00001-of-00002.parquet", compression="zstd")
    files.write_table(hub_table(clips[:1]), folder / "train-00000-of-00001.parquet")
    return _hub(HuggingFace(path="hub", split="test", text_column="sentence"), clips)


def saved(root: Path, clips: Clips, split: str = "") -> Tree:
    """A dataset that `save_to_disk` wrote, in two files."""
    pyarrow = pytest.importorskip("pyarrow")
    folder = root / "saved" / split
    folder.mkdir(parents=True)
    names = [f"data-{n:05d}-of-00002.arrow" for n in range(2)]
    for name, table in zip(names, (hub_table(clips[:3]), hub_table(clips[3:], 3)), strict=True):
        with pyarrow.OSFile(str(folder / name), "wb") as file, pyarrow.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(table, max_chunksize=2)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    (folder / "dataset_info.json").write_text("{}")
    return _hub(HuggingFace(path="saved", split=split, text_column="sentence"), clips)


def saved_splits(root: Path, clips: Clips) -> Tree:
    """Several splits in one."""
    tree = saved(root, clips, "test")
    (root / "saved" / "train").mkdir()
    (root / "saved" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    return tree


def _lines(values: Sequence[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(value) + "\n" for value in values).encode()


def swap_members(tar: Path) -> None:
    """Put the second pair of a shard's archive before its first."""
    with tarfile.open(tar) as file:
        files = {m.name: found.read() for m in file if (found := file.extractfile(m)) is not None}
    names = list(files)
    write_tar(tar, {name: files[name] for name in (*names[2:4], *names[:2], *names[4:])})


CONTAINERS: dict[str, Callable[[Path, Clips], Tree]] = {
    "shar": shar,
    "webdataset": webdataset,
    "parquet": parquet,
    "saved to disk": saved,
    "saved to disk, splits": saved_splits,
}
