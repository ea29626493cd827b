"""Lines of text files as people and programs write them."""

from __future__ import annotations

import codecs
import gzip
from pathlib import Path

import pytest

from asr_lab.data.sources.text_lines import MAX_LINE_BYTES, read_lines, read_text
from asr_lab.errors import DataError


def lines_of(folder: Path, content: bytes, name: str = "lines.txt") -> list[tuple[int, str, str]]:
    (folder / name).write_bytes(content)
    return [tuple(line) for line in read_lines(folder / name)]


def test_lines_end_at_line_feeds_alone(tmp_path: Path) -> None:
    inside = "a\x0bb\x0cc\x1cd\x1de\x1ef\x85g\u2028h\u2029i\rj"
    found = lines_of(tmp_path, f"{inside}\r\nnext\n\nlast".encode())
    assert found == [(1, inside, ""), (2, "next", ""), (3, "", ""), (4, "last", "")]


def test_a_mark_at_the_start_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    assert lines_of(tmp_path, b"\xef\xbb\xbfid one\n\xef\xbb\xbftwo") == [(1, "id one", ""), (2, "\ufefftwo", "")]


def test_what_is_packed_is_unpacked(tmp_path: Path) -> None:
    assert lines_of(tmp_path, gzip.compress(b"one\r\ntwo\n"), "a.txt.gz") == [(1, "one", ""), (2, "two", "")]


def test_bytes_that_are_not_utf_8_stay_what_they_are_in_file_names(tmp_path: Path) -> None:
    ((_, text, problem),) = lines_of(tmp_path, b"caf\xe9.wav")
    assert text.encode("utf-8", "surrogateescape") == b"caf\xe9.wav"
    assert not problem


@pytest.mark.parametrize("more", [-2, -1, 0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("bom", [b"", codecs.BOM_UTF8])
def test_a_long_first_line_is_one_line(tmp_path: Path, bom: bytes, more: int) -> None:
    found = lines_of(tmp_path, bom + b"x" * (MAX_LINE_BYTES + more) + b"\nlast\n")
    assert [n for n, _, _ in found] == [1, 2]
    assert found[1][1] == "last"
    assert bool(found[0][2]) == (len(bom) + more > 0)


@pytest.mark.parametrize("packed", [False, True])
def test_a_line_longer_than_any_row_is_passed_over(tmp_path: Path, packed: bool) -> None:
    fits = b"y" * (MAX_LINE_BYTES - 1)
    content = b"one\n" + b"x" * (2 * MAX_LINE_BYTES + 5) + b"\r\n" + fits + b"\nlast\n" + b"z" * (MAX_LINE_BYTES + 1)
    found = lines_of(tmp_path, gzip.compress(content, 1) if packed else content, "a.gz" if packed else "a")
    assert [(n, text[:9], problem) for n, text, problem in found] == [
        (1, "one", ""),
        (2, "", "is longer than 4 MiB"),
        (3, "yyyyyyyyy", ""),
        (4, "last", ""),
        (5, "", "is longer than 4 MiB"),
    ]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_text_of_two_bytes_a_character_is_named(tmp_path: Path, encoding: str) -> None:
    kind = encoding[:6].upper()
    with pytest.raises(DataError, match=rf"lines\.txt is {kind} text; write it as UTF-8: iconv -f {kind} -t UTF-8"):
        lines_of(tmp_path, "audio\ttext\na.wav\tone\n".encode(encoding))


@pytest.mark.parametrize("content", [b"", b"a", b"\x00", b"abc\x00def one two"])
def test_a_few_bytes_are_no_utf_16(tmp_path: Path, content: bytes) -> None:
    assert [text.encode() for _, text, _ in lines_of(tmp_path, content)] == ([content] if content else [])


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such file: .*gone"):
        list(read_lines(tmp_path / "gone"))
    with pytest.raises(DataError, match="Is a directory"):
        list(read_lines(tmp_path))
    with pytest.raises(DataError, match=r"no file can be called"):
        list(read_lines(tmp_path / "a\0b"))
    (tmp_path / "torn.gz").write_bytes(gzip.compress(b"one\n" * 1000)[:-20])
    with pytest.raises(DataError, match=r"torn\.gz cannot be read"):
        list(read_lines(tmp_path / "torn.gz"))


@pytest.mark.parametrize(("content", "problem"), [(b"a\n\xff", "2 is not UTF-8"), (b"a\0", "1 holds a zero byte")])
def test_a_text_is_whole_or_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\n")
    assert read_text(path) == "one\ntwo"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"text\.txt:{problem}"):
        read_text(path)
