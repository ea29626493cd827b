"""A recording within a larger file is read as if it were a file of its own."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_lab.audio.file_slice import FileSlice, slice_of, slice_path
from asr_lab.audio.reading import AudioError, read_audio, read_info
from asr_lab.data.header_index import HeaderIndex

RATE = 16000
KINDS = (
    ("WAV", None),
    ("WAV", "FLOAT"),
    ("FLAC", None),
    ("OGG", "VORBIS"),
    ("MP3", None),
    ("AIFF", None),
    ("NIST", None),
)


def encoded(kind: str, subtype: str | None, seed: int, seconds: float = 1.0) -> bytes:
    out = io.BytesIO()
    samples = np.random.default_rng(seed).normal(0, 0.1, int(seconds * RATE))
    soundfile.write(out, samples, RATE, format=kind, subtype=subtype)
    return out.getvalue()


@pytest.mark.parametrize(("kind", "subtype"), KINDS)
def test_a_slice_is_read_like_the_file_that_it_was(tmp_path: Path, kind: str, subtype: str | None) -> None:
    parts = [encoded(kind, subtype, seed) for seed in range(3)]
    (tmp_path / "all.bin").write_bytes(b"head" + b"".join(parts) + b"tail")
    offset = 4
    for number, part in enumerate(parts):
        own = tmp_path / f"{number}.audio"
        own.write_bytes(part)
        inside = slice_path(tmp_path / "all.bin", offset, len(part), "some/name.wav")
        assert read_info(inside) == read_info(own)
        for start_s, duration_s in ((0.0, None), (0.25, 0.5)):
            wanted = read_audio(own, RATE, start_s, duration_s)
            assert np.array_equal(read_audio(inside, RATE, start_s, duration_s), wanted)
        offset += len(part)


def test_a_slice_beyond_its_file_is_told(tmp_path: Path) -> None:
    content = encoded("FLAC", None, 0)
    (tmp_path / "a.bin").write_bytes(content)
    with pytest.raises(AudioError, match="is empty"):
        read_info(slice_path(tmp_path / "a.bin", len(content) + 5, 100))
    with pytest.raises(AudioError):
        read_audio(slice_path(tmp_path / "a.bin", len(content) // 2, 10**17), RATE)
    with pytest.raises(AudioError, match="no such file"):
        read_info(slice_path(tmp_path / "absent.tar", 0, 100))
    with pytest.raises(AudioError, match="no such file"):
        read_info(tmp_path / "a.bin" / "member.wav")


@pytest.mark.parametrize(
    "path",
    [
        "a.wav",
        "a#b.wav",
        "#bytes=1+2",
        "a.tar#bytes=1",
        "a.tar#bytes=-1+2",
        "a.tar#bytes=1+2x",
        "a.tar#bytes=" + "9" * 30 + "+1",
    ],
)
def test_other_paths_are_those_of_files(path: str) -> None:
    assert slice_of(path) is None


def test_what_is_written_is_what_is_read() -> None:
    odd = "/x/#bytes=1+2/a.tar"
    assert slice_of(slice_path(odd, 512, 10, "d/#bytes=3+4/b.wav")) == FileSlice(odd, 512, 10)
    assert slice_of(slice_path("a.tar", 512, 10)) == FileSlice("a.tar", 512, 10)
    assert slice_of(slice_path("a.tar", 0, 0, "b/c.wav")) == FileSlice("a.tar", 0, 0)


def test_the_index_of_headers_knows_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    from asr_lab.data import header_index

    parts = [encoded("FLAC", None, 0), encoded("FLAC", None, 1, 2.0)]
    file = tmp_path / "a.tar"
    file.write_bytes(b"".join(parts))
    os.utime(file, ns=(10**18, 10**18))
    paths = [slice_path(file, 0, len(parts[0]), "a"), slice_path(file, len(parts[0]), len(parts[1]), "b")]
    with ThreadPoolExecutor(2) as pool:
        first = HeaderIndex(tmp_path / "cache").read(paths, pool)
        monkeypatch.setattr(header_index, "read_info", None)
        assert HeaderIndex(tmp_path / "cache").read(paths, pool) == first
    assert [first[path].duration_s for path in paths] == [1.0, 2.0]  # type: ignore[union-attr]
