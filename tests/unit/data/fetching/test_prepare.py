"""Corpora are fetched from a mirror on this machine: once, checked, unpacked whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import attrs
import pytest
from faulty_server import FaultyServer

from asr_lab.data.catalog import BY_NAME, CORPORA, Download, chosen
from asr_lab.data.fetching.download import Patience
from asr_lab.data.fetching.prepare import PreparedPart, prepare
from asr_lab.errors import DataError

HASTY = Patience(attempts=4, stall_s=0.4, pause_s=0.01)


def archive(files: dict[str, bytes], mode: str = "w:gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def published(server: FaultyServer, one: Download, content: bytes) -> Download:
    """The download as if its content were this, served under its own path."""
    server.files[urlsplit(one.url).path] = content
    sha = hashlib.sha256(content).hexdigest() if one.sha256 else ""
    md5 = hashlib.md5(content).hexdigest() if one.md5 else ""
    size = len(content) if one.num_bytes else None
    return attrs.evolve(one, sha256=sha, md5=md5, num_bytes=size, approximate_bytes=0)


def run(server: FaultyServer, name: str, downloads: list[Download], root: Path, **options: bool) -> list[PreparedPart]:
    mirror = server.url
    return list(prepare(downloads, BY_NAME[name], root, mirror=mirror, patience=HASTY, **options))  # type: ignore[arg-type]


def librispeech(server: FaultyServer, part: str) -> Download:
    (one,) = chosen(BY_NAME["librispeech"], [part])
    files = {f"LibriSpeech/{part}/1/2/1-2.trans.txt": b"1-2-0 HELLO\n", "LibriSpeech/README.TXT": part.encode()}
    return published(server, one, archive(files))


def test_parts_are_fetched_once_and_lie_beside_one_another(server: FaultyServer, tmp_path: Path) -> None:
    downloads = [librispeech(server, "dev-clean"), librispeech(server, "test-clean")]
    server.faults = ["cut 50", "status 503", "stall 80"]
    made = run(server, "librispeech", downloads, tmp_path)
    assert [(one.part, one.state, one.checked) for one in made] == [
        ("dev-clean", "fetched", "sha256"),
        ("test-clean", "fetched", "sha256"),
    ]
    assert (tmp_path / "LibriSpeech" / "dev-clean" / "1" / "2" / "1-2.trans.txt").is_file()
    assert (tmp_path / "LibriSpeech" / "README.TXT").read_text() == "test-clean"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["LibriSpeech"]
    server.requests.clear()
    assert {one.state for one in run(server, "librispeech", downloads, tmp_path)} == {"there"}
    assert not server.requests


def test_a_kept_archive_is_not_fetched_again(server: FaultyServer, tmp_path: Path) -> None:
    import shutil

    one = librispeech(server, "dev-clean")
    run(server, "librispeech", [one], tmp_path, keep=True)
    shutil.rmtree(tmp_path / "LibriSpeech")
    server.requests.clear()
    assert run(server, "librispeech", [one], tmp_path)[0].state == "fetched"
    assert not server.requests


def test_wrong_bytes_are_fetched_twice_and_then_refused(server: FaultyServer, tmp_path: Path) -> None:
    one = librispeech(server, "dev-clean")
    right = server.files[urlsplit(one.url).path]
    server.files[urlsplit(one.url).path] = bytes(len(right))
    with pytest.raises(DataError, match=r"its sha256 is .*, published is .*; it was fetched twice"):
        run(server, "librispeech", [one], tmp_path)
    assert len(server.requests) == 2
    assert not (tmp_path / "LibriSpeech").exists()
    server.files[urlsplit(one.url).path] = right
    assert run(server, "librispeech", [one], tmp_path)[0].state == "fetched"


def test_an_archive_of_something_else_leaves_nothing(server: FaultyServer, tmp_path: Path) -> None:
    (one,) = BY_NAME["an4"].downloads
    for content, reason in (
        (archive({"bn4/README": b""}), "holds no an4"),
        (archive({"an4/README": b"", "../evil": b""}), "leads out of its folder"),
    ):
        with pytest.raises(DataError, match=reason):
            run(server, "an4", [published(server, one, content)], tmp_path)
        assert not (tmp_path / "an4").exists()
        assert not (tmp_path / "evil").exists()
        (tmp_path / ".downloads" / "an4" / one.file).unlink()


def test_a_killed_unpacking_is_begun_anew(server: FaultyServer, tmp_path: Path) -> None:
    one = librispeech(server, "dev-clean")
    left = tmp_path / ".downloads" / "librispeech" / "dev-clean.tar.gz.unpacking" / "LibriSpeech" / "dev-clean"
    left.mkdir(parents=True)
    (left / "half").touch()
    run(server, "librispeech", [one], tmp_path)
    assert not (tmp_path / "LibriSpeech" / "dev-clean" / "half").exists()


def test_two_at_once_are_told_apart(server: FaultyServer, tmp_path: Path) -> None:
    import fcntl

    one = librispeech(server, "dev-clean")
    folder = tmp_path / ".downloads" / "librispeech"
    folder.mkdir(parents=True)
    with (folder / "dev-clean.tar.gz.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DataError, match=r"another process fetches dev-clean\.tar\.gz"):
            run(server, "librispeech", [one], tmp_path)


def test_fleurs_is_checked_by_the_hubs_list_and_kept_as_published(server: FaultyServer, tmp_path: Path) -> None:
    table, audio = chosen(BY_NAME["fleurs"], ["en_us/test"])
    content = archive({"test/1.wav": b"RIFF"})
    server.files[urlsplit(table.url).path] = b"1\t1.wav\tA.\ta\ta |\t1\tMALE\n"
    audio = published(server, audio, content)
    row = {"path": "data/en_us/audio/test.tar.gz", "size": len(content)}
    rows = [{"path": "data/en_us/audio/dev.tar.gz", "lfs": {"oid": "0" * 64}}]
    rows += [{**row, "lfs": {"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}}]
    parts = urlsplit(audio.checksums)
    server.files[f"{parts.path}?{parts.query}"] = json.dumps(rows).encode()
    made = run(server, "fleurs", [table, audio], tmp_path)
    assert [one.checked for one in made] == ["", "sha256"]
    assert (tmp_path / "fleurs/data/en_us/audio/test.tar.gz").read_bytes() == content
    assert (tmp_path / "fleurs/data/en_us/test.tsv").is_file()
    assert len(chosen(BY_NAME["fleurs"], ["*/test"])) == 2 * 102
    assert len(chosen(BY_NAME["fleurs"], ["en_us"])) == 2 * 3


@pytest.mark.parametrize("text", ["", "[" * 100_000, "{}", "[1]", '[{"path": 3}]', "<html>"])
def test_a_list_that_is_none_is_told_and_the_file_is_fetched(server: FaultyServer, tmp_path: Path, text: str) -> None:
    _, audio = chosen(BY_NAME["fleurs"], ["en_us/test"])
    audio = published(server, audio, b"content")
    parts = urlsplit(audio.checksums)
    server.files[f"{parts.path}?{parts.query}"] = text.encode()
    assert run(server, "fleurs", [audio], tmp_path)[0].checked == ""


def test_mls_is_checked_by_the_publishers_list(server: FaultyServer, tmp_path: Path) -> None:
    (one,) = chosen(BY_NAME["mls"], ["polish"])
    content = archive({"mls_polish/test/transcripts.txt": b"1_2_3\ttekst\n"})
    one = published(server, one, content)
    digest = hashlib.md5(content).hexdigest()
    server.files[urlsplit(one.checksums).path] = (
        f"{'0' * 32}  mls_polish_opus.tar.gz\n{digest}  mls_polish.tar.gz\n".encode()
    )
    assert run(server, "mls", [one], tmp_path)[0].checked == "md5"
    assert (tmp_path / "mls_polish" / "test" / "transcripts.txt").is_file()


def test_nested_archives_and_archives_without_a_top_folder_end_where_readers_look(
    server: FaultyServer, tmp_path: Path
) -> None:
    inner = archive({"test/S0002/BAC009S0002W0122.wav": b"RIFF"})
    data, _ = BY_NAME["aishell"].downloads
    run(server, "aishell", [published(server, data, archive({"data_aishell/wav/S0002.tar.gz": inner}))], tmp_path)
    assert (tmp_path / "data_aishell/wav/test/S0002/BAC009S0002W0122.wav").is_file()
    assert not (tmp_path / "data_aishell/wav/S0002.tar.gz").exists()
    (words,) = BY_NAME["speech_commands"].downloads
    content = archive({"./bed/0_nohash_0.wav": b"RIFF", "./testing_list.txt": b""})
    run(server, "speech_commands", [published(server, words, content)], tmp_path)
    assert (tmp_path / "speech_commands_v0.02/bed/0_nohash_0.wav").is_file()
    (rirs,) = BY_NAME["rirs_noises"].downloads
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as zipped:
        zipped.writestr("RIRS_NOISES/README", b"x")
    run(server, "rirs_noises", [published(server, rirs, out.getvalue())], tmp_path)
    assert (tmp_path / "RIRS_NOISES/README").is_file()


def test_what_does_not_fit_on_the_disk_is_told_before_it_is_fetched(server: FaultyServer, tmp_path: Path) -> None:
    one = attrs.evolve(librispeech(server, "dev-clean"), num_bytes=10**18)
    with pytest.raises(DataError, match="1000000000 GB are to be fetched"):
        run(server, "librispeech", [one], tmp_path)
    assert not server.requests


def test_every_corpus_says_how_it_is_got() -> None:
    for corpus in CORPORA:
        assert bool(corpus.downloads) != bool(corpus.how), corpus.name
        for one in corpus.downloads:
            assert urlsplit(one.url).scheme in ("http", "https")
            assert len(one.sha256) in (0, 64)
            assert len(one.md5) in (0, 32)
            assert Path(one.makes).is_relative_to(one.into)
