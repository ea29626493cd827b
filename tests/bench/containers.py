"""The same recordings as plain files and in each container, for the benchmark of reading."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs
import numpy as np
import soundfile

from asr_lab.slots.datasets import Dataset
from asr_lab.slots.datasets.folder import Folder
from asr_lab.slots.datasets.hugging_face import HuggingFace
from asr_lab.slots.datasets.shar import Shar
from asr_lab.slots.datasets.webdataset import WebDataset

RATE = 16000
GROUP = 50
"""Rows of a parquet file's row group."""
SHARD = 100
"""Recordings of an archive."""


@attrs.frozen
class Flac:
    """An encoded recording."""

    id: str
    content: bytes
    duration_s: float


def flacs_of(recordings: Sequence[Path], count: int, seconds: float) -> list[Flac]:
    """So many of about this length each, made of real clips one after another."""
    clips = [soundfile.read(path, dtype="int16")[0] for path in recordings]
    found, samples, place = [], np.zeros(0, np.int16), 0
    while len(found) < count:
        while len(samples) < seconds * RATE:
            samples = np.concatenate([samples, clips[place % len(clips)]])
            place += 1
        size = round((seconds - 2 + len(found) % 5) * RATE)
        out = io.BytesIO()
        soundfile.write(out, samples[:size], RATE, format="FLAC")
        found.append(Flac(f"u{len(found):05}", out.getvalue(), min(size, len(samples)) / RATE))
        samples = samples[size:]
    return found


def plain(folder: Path, flacs: Sequence[Flac]) -> Dataset:
    """Files beside a table."""
    for flac in flacs:
        (folder / f"{flac.id}.flac").write_bytes(flac.content)
    rows = "".join(f"{flac.id}.flac\ttext of {flac.id}\n" for flac in flacs)
    (folder / "manifest.tsv").write_text(f"audio\ttext\n{rows}")
    return Folder(path=".")


def shar(folder: Path, flacs: Sequence[Flac]) -> Dataset:
    """Lhotse Shar, as `to_shar` lays it out."""
    for number, shard in enumerate(_parts(flacs, SHARD)):
        cuts = [
            {
                "id": flac.id,
                "type": "MonoCut",
                "start": 0,
                "duration": flac.duration_s,
                "channel": 0,
                "supervisions": [{"id": flac.id, "recording_id": flac.id, "start": 0, "duration": flac.duration_s,
                                  "text": f"text of {flac.id}"}],
            }
            for flac in shard
        ]  # fmt: skip
        lines = "".join(json.dumps(cut) + "\n" for cut in cuts)
        (folder / f"cuts.{number:06}.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
        _write_tar(folder / f"recording.{number:06}.tar", shard, "json", lambda flac: b"{}")
    return Shar(path=".")


def webdataset(folder: Path, flacs: Sequence[Flac]) -> Dataset:
    """Tar archives."""
    for number, shard in enumerate(_parts(flacs, SHARD)):
        _write_tar(folder / f"train-{number:06}.tar", shard, "txt", lambda flac: f"text of {flac.id}".encode())
    return WebDataset(path=".")


def parquet(folder: Path, flacs: Sequence[Flac]) -> Dataset:
    """A parquet file as `datasets` writes it."""
    from pyarrow import parquet as files

    files.write_table(_table(flacs), folder / "train-00000-of-00001.parquet", row_group_size=GROUP)
    return HuggingFace(path=".")


def saved(folder: Path, flacs: Sequence[Flac]) -> Dataset:
    """What `save_to_disk` writes."""
    import pyarrow

    name, table = "data-00000-of-00001.arrow", _table(flacs)
    with pyarrow.OSFile(str(folder / name), "wb") as file, pyarrow.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table, max_chunksize=GROUP)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
    return HuggingFace(path=".")


WRITERS: dict[str, Callable[[Path, Sequence[Flac]], Dataset]] = {
    "plain files": plain,
    "Shar": shar,
    "WebDataset": webdataset,
    "parquet": parquet,
    "saved to disk": saved,
}


def _table(flacs: Sequence[Flac]) -> object:
    import pyarrow

    audio = [{"bytes": flac.content, "path": f"{flac.id}.flac"} for flac in flacs]
    return pyarrow.table({"audio": audio, "text": [f"text of {flac.id}" for flac in flacs]})


def _parts(flacs: Sequence[Flac], size: int) -> list[Sequence[Flac]]:
    return [flacs[i : i + size] for i in range(0, len(flacs), size)]


def _write_tar(path: Path, flacs: Sequence[Flac], ending: str, beside: Callable[[Flac], bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for flac in flacs:
            for name, content in ((f"{flac.id}.flac", flac.content), (f"{flac.id}.{ending}", beside(flac))):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
