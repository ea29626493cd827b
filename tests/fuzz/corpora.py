"""Corpora and containers in their published forms, damaged: tables, indexes, archives, parquet files, audio headers."""

from __future__ import annotations

import contextlib
import functools
import gzip
import os
import random
import shutil
import sys
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import damage
import numpy as np
from outcomes import Case, judged
from small_run import SmallRun

TREES_PLACE = Path(__file__).resolve().parents[1] / "unit" / "slots" / "datasets"
NEEDS_PYARROW = ("fleurs, parquet", "fleurs, converted parquet", "parquet", "saved to disk", "saved to disk, splits")
HEAD_BYTES = 64
"""Of an audio file, its header's; of a tar archive's member, its name and size and so on are in eight times as much."""
FOOT_BYTES = 2048
NUMBERS = (b"0000000000\0", b"77777777777\0", b"-0000000001\0", b"\x80" + b"\xff" * 11, b"\xff" * 12, b"99999999999\0")
"""What stands where an archive's sizes were meant."""


def cases(small: SmallRun, number: int, seed: int, first: int = 0) -> Iterator[Case]:
    """Build a corpus, damage one to three of its files, and read it: its rows, their headers, their samples."""
    built = _built(small.folder / "corpora")
    for index in range(first, first + number):
        rng = random.Random(f"{seed} corpora {index}")
        name = rng.choice(list(built))
        folder = small.folder / "corpora" / "case"
        shutil.copytree(small.folder / "corpora" / name.replace(", ", "-"), folder, symlinks=True)
        told = []
        for _ in range(rng.randint(1, 3)):
            files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
            if files:
                told.append(_damaged(rng.choice(files), rng))
        yield judged(f"{index}: {name}, {'; '.join(told)}", functools.partial(_read, built[name], folder))
        shutil.rmtree(folder)


def _built(folder: Path) -> dict[str, Any]:
    """Every tree, built once; their datasets by name."""
    sys.path.insert(0, str(TREES_PLACE))
    from container_trees import CONTAINERS
    from published_trees import TREES, Clip

    rng = np.random.default_rng(0)
    clips = [
        Clip(("1998", "2609")[n // 3], f"one two three {n}", (rng.standard_normal(4000) * 3000).astype(np.int16))
        for n in range(6)
    ]
    try:
        import pyarrow  # noqa: F401

        lacking: tuple[str, ...] = ()
    except ImportError:
        lacking = NEEDS_PYARROW
    trees = {name: make for name, make in {**TREES, **CONTAINERS}.items() if name not in lacking}
    return {name: make(folder / name.replace(", ", "-"), clips).dataset for name, make in trees.items()}


def _damaged(path: Path, rng: random.Random) -> str:
    """Damage a file in a way that fits what it is; what was done, in words."""
    packed = path.name.endswith((".gz", ".tgz"))
    try:
        content = gzip.decompress(path.read_bytes()) if packed and rng.random() < 0.8 else None
    except (OSError, EOFError, zlib.error):
        content = None
    if content is not None:
        inner = path.with_name(path.name + ".inner")
        inner.write_bytes(content)
        way = _damaged_plainly(inner, path.name, rng)
        if inner.is_file():
            path.write_bytes(gzip.compress(inner.read_bytes(), 1))
            inner.unlink()
        elif inner.is_dir():
            inner.rmdir()
        return f"{path.name} within: {way}"
    return f"{path.name}: {_damaged_plainly(path, path.name, rng)}"


def _damaged_plainly(path: Path, name: str, rng: random.Random) -> str:
    content = bytearray(path.read_bytes())
    if len(content) >= 512 and (".tar" in name or ".tgz" in name) and rng.random() < 0.6:
        heads = [at for at in range(0, len(content) - 511, 512) if content[at + 257 : at + 262] == b"ustar"]
        if heads:
            return _tar_header(path, content, rng.choice(heads), rng)
    if content and rng.random() < 0.5:
        part = "foot" if name.endswith((".parquet", ".arrow")) and rng.random() < 0.7 else "head"
        low = max(0, len(content) - FOOT_BYTES) if part == "foot" else 0
        high = len(content) if part == "foot" else min(len(content), HEAD_BYTES)
        for _ in range(rng.randint(1, 6)):
            content[rng.randrange(low, high)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        path.write_bytes(content)
        return f"its {part}"
    if b"\n" in content[:4096] and rng.random() < 0.5:
        lines = bytes(content).split(b"\n")
        row = rng.randrange(len(lines))
        fields = lines[row].split(b"\t") if b"\t" in lines[row] else lines[row].split(b" ")
        fields[rng.randrange(len(fields))] = rng.choice(
            (b"", b"\0", b"\xff", b"9" * 400, b"-1", b"nan", b"../../etc/passwd", b"/dev/zero", b"pipe:cat x |",
             b"x" * 100_000, b'"', b"1e400")
        )  # fmt: skip
        lines[row] = b"\t".join(fields)
        path.write_bytes(b"\n".join(lines))
        return f"a field of line {row + 1}"
    way = rng.choice((*damage.WAYS, damage.another_value, damage.one_less))
    way(path, rng)
    return way.__name__


def _tar_header(path: Path, content: bytearray, at: int, rng: random.Random) -> str:
    """A member's header with another name, size or kind, and its checksum put right."""
    what = rng.choice(("size", "name", "kind"))
    if what == "size":
        value = rng.choice(NUMBERS)[:12].ljust(12, b"\0")
        content[at + 124 : at + 136] = value
    elif what == "name":
        content[at : at + 100] = rng.choice((b"../../../tmp/x", b"/tmp/x", b"", b"a/b\xff.wav", b"x" * 100))[
            :100
        ].ljust(100, b"\0")
    else:
        content[at + 156] = rng.choice(b"0123457xgLKSV\xff")
    content[at + 148 : at + 156] = b" " * 8
    content[at + 148 : at + 156] = b"%06o\0 " % sum(content[at : at + 512])
    path.write_bytes(content)
    return f"the {what} of a member"


def _read(dataset: Any, folder: Path) -> str:
    """Whatever the reader says in its own words; what is wrong otherwise."""
    from asr_lab.audio.reading import AudioError, read_audio
    from asr_lab.data.cuts import read_cuts

    before = _listing(folder)
    cuts, error = None, None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            cuts = read_cuts([dataset.build(folder)], folder, keep_columns=True)
        except Exception as caught:
            error = caught
        if (after := _listing(folder)) != before:
            return f"wrote in the corpus: {sorted(after ^ before)[:3]}"
        if error is not None:
            raise error
        assert cuts is not None
        for row in range(len(cuts)):
            duration_s = None if cuts.whole[row] else float(cuts.duration_s[row])
            with contextlib.suppress(AudioError):
                read_audio(cuts.audio[row], 16000, float(cuts.start_s[row]), duration_s)
    return ""


def _listing(folder: Path) -> set[str]:
    return {os.path.join(parent, name) for parent, folders, files in os.walk(folder) for name in (*folders, *files)}
