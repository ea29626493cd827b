"""Manifests of every format with rows and headers changed: every row in is a cut or a bad row, and no reader falls."""

from __future__ import annotations

import copy
import csv
import functools
import io
import json
import random
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
from damage import ODD
from outcomes import Case, called, judged
from small_run import SmallRun

RATE = 8000
NUM_ROWS = 6
COMMAND_SHARE = 0.05
"""Of the cases that go through `asrlab eval --data` as well."""
FIELDS = (
    "", " ", "0", "-1", "1", "0.2", "1e400", "-inf", "nan", "1_0", "0,5", "٣", "40000", "9" * 5000, "x" * 200_000,
    "\0", "\r", "\x0c", "\x1c", "\x85", "\u2028", "\ufeff", '"', '""', "'", "\\", "é", "e\u0301", "a\tb", "../0.wav",
    "pipe:cat 0.wav", "cat 0.wav |", "http://x/0.wav", "/dev/zero", ".", "..", "true", "None", "\udce9.wav", "\udcff",
)  # fmt: skip
"""What stands in tables where others were meant; half characters are bytes that are not UTF-8."""
HEADS = (
    "id", "audio", "text", "start_s", "end_s", "duration_s", "channel", "start", "stop", "offset", "Duration",
    "star_s", "speaker", "", " text", "\ufefftext", "channels", "x" * 5000, "\udce9", "\0",
)  # fmt: skip
LINES = (
    b"", b" ", b"\t", b"\t\t\t\t\t", b"null", b"[]", b"{}", b'""', b"\xff\xfe", b"\x00", b"[" * 100_000,
    b'{"a":' * 3000, b'{"type": "MonoCut"}', b'{"audio_filepath": "0.wav", "duration": 1, "text": "one"}',
    b"\xef\xbb\xbf{}", b"x" * 9_000_000, b'{"id": ' + b"9" * 5000 + b"}", b"\r", b"a b c", b'"never closed',
    b"\xe2\x80\xa8",
)  # fmt: skip
"""Lines that stand where rows were meant."""


@attrs.frozen
class Written:
    """A manifest on the disk."""

    path: Path
    rows: int | None
    """How many rows it has; None where its rows are not known by lines."""
    read: Callable[[], Any]
    """Its dataset."""


def cases(small: SmallRun, number: int, seed: int, first: int = 0) -> Iterator[Case]:
    """Write a manifest, change it, and read it: as a source, as cuts, and now and then by a command."""
    for index in range(first, first + number):
        rng = random.Random(f"{seed} rows {index}")
        folder = small.folder / "rows" / str(index)
        written = write(folder, rng)
        name = f"{index}: {written.path.name}"
        yield judged(name, functools.partial(lost, written))
        if rng.random() < COMMAND_SHARE:
            yield called(f"{name}, asrlab eval", ["eval", str(small.run), "--data", str(written.path)])
            if written.path.suffix in (".tsv", ".csv"):
                yield called(f"{name}, asrlab align", ["align", str(written.path), "--run", str(small.run)])
        shutil.rmtree(folder)


def write(folder: Path, rng: random.Random) -> Written:
    """A manifest of a drawn format in a new folder, with recordings beside it."""
    _recordings(folder)
    return rng.choice(KINDS)(folder, rng)


def _recordings(folder: Path) -> None:
    import numpy as np
    import soundfile

    folder.mkdir(parents=True)
    for number in range(NUM_ROWS):
        channels = 2 if number == NUM_ROWS - 1 else 1
        soundfile.write(folder / f"{number}.wav", np.full((RATE, channels), 0.1), RATE)
    (folder / "e\u0301.wav").symlink_to("0.wav")


def lost(written: Written) -> str:
    """What became of rows that are neither cuts nor bad; "" where none is lost."""
    from asr_lab.data.cuts import read_cuts
    from asr_lab.errors import DataError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            source = written.read().read(written.path.parent)
            made, bad = len(list(source.utterances)), len(source.bad)
            if written.rows is not None and made + bad != written.rows:
                return f"{written.rows} rows became {made} utterances and {bad} bad ones"
            cuts = read_cuts([written.read().build(written.path.parent)], written.path.parent, keep_columns=True)
        except DataError as error:
            str(error).encode("utf-8", "surrogateescape")
            return ""
    if len(cuts) + len(cuts.bad) != made + bad:
        return f"{made} utterances and {bad} bad ones became {len(cuts)} cuts and {len(cuts.bad)} bad ones"
    json.dumps([list(cuts.ids), list(cuts.texts), [b._asdict() for b in cuts.bad]])
    return ""


def _table(folder: Path, rng: random.Random) -> Written:
    from asr_lab.slots.datasets.folder import Folder

    head = [
        "audio",
        "text",
        *rng.sample(["id", "start_s", "end_s", "duration_s", "channel", "speaker"], rng.randint(0, 4)),
    ]
    good = {"start_s": "0.1", "end_s": "0.6", "duration_s": "0.5", "channel": "0", "speaker": "ann"}
    rows = [
        [{"audio": f"{n}.wav", "text": "one two", "id": f"u{n}", **good}[column] for column in head]
        for n in range(NUM_ROWS)
    ]
    for _ in range(rng.randint(0, 3)):
        _change_table(head, rows, rng)
    ending = rng.choice((".tsv", ".csv"))
    path = folder / f"table{ending}"
    if ending == ".csv":
        text = io.StringIO()
        csv.writer(text, lineterminator=rng.choice(("\n", "\r\n"))).writerows([head, *rows])
        content = text.getvalue().encode("utf-8", "surrogateescape")
    else:
        end = rng.choice(("\n", "\r\n"))
        content = end.join("\t".join(row) for row in [head, *rows]).encode("utf-8", "surrogateescape")
    content = _change_bytes(content, rng) if rng.random() < 0.3 else content
    path.write_bytes(content)
    lines = [line for line in _lines(content) if line]
    known = ending == ".tsv"
    return Written(path, len(lines) - 1 if known else None, lambda: Folder(path=".", transcripts=path.name))


def _change_table(head: list[str], rows: list[list[str]], rng: random.Random) -> None:
    row = rng.choice(rows)
    way = rng.randrange(8)
    if way < 4 and row:
        row[rng.randrange(len(row))] = rng.choice(FIELDS)
    elif way == 4 and row:
        del row[rng.randrange(len(row))]
    elif way == 5:
        row.append(rng.choice(FIELDS))
    elif way == 6:
        head[rng.randrange(len(head))] = rng.choice(HEADS)
    else:
        rows.append(list(rng.choice(rows)))


def _tree(folder: Path, rng: random.Random) -> Written:
    from asr_lab.slots.datasets.folder import Folder

    chapter = folder / "tree" / "19"
    chapter.mkdir(parents=True)
    for number in range(NUM_ROWS):
        shutil.copy(folder / f"{number}.wav", chapter / f"19-{number}.wav")
    for ending in rng.sample((".lab", ".json", ".flac", ".npy"), rng.randint(0, 3)):
        (chapter / f"19-0{ending}").write_bytes(b"x")
    lines = [f"19-{n} ONE TWO".encode() for n in range(NUM_ROWS)]
    for _ in range(rng.randint(0, 2)):
        line = rng.choice(
            (rng.choice(LINES), f"19-1{rng.choice(FIELDS)}{rng.choice(FIELDS)}".encode("utf-8", "surrogateescape"))
        )
        lines[rng.randrange(len(lines))] = line
    content = b"\n".join(lines)
    content = _change_bytes(content, rng) if rng.random() < 0.3 else content
    (chapter / "19.trans.txt").write_bytes(content)
    if rng.random() < 0.2:
        (chapter / "._19.trans.txt").write_bytes(b"\x00\x05\x16\x07")
    if rng.random() < 0.1:
        (chapter / "again").symlink_to(rng.choice((chapter, folder, chapter / "again", folder / "gone")))
    rows = len([line for line in _lines(content) if line.strip(b" \t")])
    return Written(chapter, rows, lambda: Folder(path="."))


def _cuts(folder: Path, rng: random.Random) -> Written:
    from asr_lab.slots.datasets.manifest import Manifest

    records = [_cut(folder, number) for number in range(NUM_ROWS)]
    for _ in range(rng.randint(0, 3)):
        holder, key = rng.choice(list(_places(rng.choice(records))))
        if rng.random() < 0.3:
            del holder[key]
        else:
            holder[key] = copy.deepcopy(rng.choice((*ODD, *FIELDS)))
    lines = [json.dumps(record, ensure_ascii=rng.random() < 0.7).encode("utf-8", "surrogatepass") for record in records]
    for _ in range(rng.randint(0, 1)):
        lines[rng.randrange(len(lines))] = rng.choice(LINES)
    content = b"\n".join(lines)
    content = _change_bytes(content, rng) if rng.random() < 0.2 else content
    path = folder / "cuts.jsonl"
    path.write_bytes(content)
    return Written(
        path, len([line for line in _lines(content) if line.strip(b" \t\r")]), lambda: Manifest(path=path.name)
    )


def _cut(folder: Path, number: int) -> dict[str, Any]:
    channels = [0, 1] if number == NUM_ROWS - 1 else [0]
    return {
        "id": f"c{number}",
        "type": "MonoCut",
        "start": 0.1,
        "duration": 0.6,
        "channel": 0,
        "supervisions": [
            {"id": f"s{number}", "recording_id": "r", "start": 0.0, "duration": 0.6, "channel": 0, "text": "one two",
             "speaker": "ann", "custom": {"snr": 3.5}, "alignment": {"word": [["one", 0.0, 0.3]]}}
        ],
        "recording": {
            "id": "r", "sampling_rate": RATE, "num_samples": RATE, "duration": 1.0, "channel_ids": channels,
            "sources": [{"type": "file", "channels": channels, "source": str(folder / f"{number}.wav")}],
        },
        "custom": {"split": "test"},
    }  # fmt: skip


def _sentences(folder: Path, rng: random.Random) -> Written:
    """Texts to be spoken, which are only read here."""
    from asr_lab.data.sources.sentences import pick_sentences
    from asr_lab.data.utterance import Source

    path = folder / "texts.txt"
    lines = [f"sentence {n} of many {rng.choice(FIELDS)}".encode("utf-8", "surrogateescape") for n in range(30)]
    content = b"\n".join(lines)
    path.write_bytes(_change_bytes(content, rng) if rng.random() < 0.5 else content)

    @attrs.frozen
    class Sentences:
        def read(self, root: Path) -> Source:
            from asr_lab.errors import DataError

            texts = pick_sentences(path, "train", 3, 0)
            raise DataError(f"{len(texts)} sentences")

    return Written(path, None, Sentences)


KINDS: tuple[Callable[[Path, random.Random], Written], ...] = (_table, _tree, _cuts, _sentences)


def _change_bytes(content: bytes, rng: random.Random) -> bytes:
    """A mark, another encoding, a torn end, bytes changed, lines put in."""
    way = rng.randrange(6)
    if way == 0:
        return b"\xef\xbb\xbf" + content
    if way == 1:
        return content.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-16-le", "utf-16-be", "utf-32")))
    if way == 2:
        return content[: rng.randrange(len(content))]
    if way == 3:
        changed = bytearray(content)
        for _ in range(rng.randint(1, 4)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        return bytes(changed)
    lines = content.split(b"\n")
    lines.insert(rng.randrange(1, len(lines) + 1), rng.choice(LINES))
    return b"\n".join(lines)


def _lines(content: bytes) -> list[bytes]:
    """Those of a file: they end at \\n or \\r\\n alone."""
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    return [line.removesuffix(b"\r") for line in lines]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a JSON value: what holds it, and its key."""
    keys = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in list(keys):
        yield value, key
        yield from _places(one)
