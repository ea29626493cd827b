"""How long a start takes to know its audio, with and without the index of headers: `python tests/bench/starts.py`."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import attrs
import numpy as np
import soundfile
import typer
from environment import Environment, default_threads, environment, resident_mb

RATE = 16000
CHAPTER = 48
"""Recordings beside one transcript, as in LibriSpeech."""
SPEAKER = 3
"""Chapters of one speaker."""
LAST_CHANGE_S = 1_400_000_000
"""Unpacked recordings have the time stamps of those who packed them."""
TEXT = "THE AVONLEA MAIN ROAD DIPPED DOWN INTO A LITTLE HOLLOW FRINGED WITH ALDERS AND LADIES EARDROPS AND " * 2


@attrs.frozen
class Start:
    """What one start cost, in a process of its own."""

    seconds: float
    cpu_s: float
    opened: int
    """Files whose headers were read."""
    peak_mb: float
    """Memory at most, beyond what the process held before."""


@attrs.frozen
class Report:
    """Everything that was found."""

    environment: Environment
    files: int
    file_bytes: int
    index_mb: float
    starts: dict[str, Start]


def write_tree(folder: Path, files: int, seconds: float) -> int:
    """A tree like LibriSpeech's, its recordings all of the same samples; the bytes of each."""
    flac = io.BytesIO()
    noise = np.random.default_rng(0).normal(0, 0.003, round(seconds * RATE))
    soundfile.write(flac, noise, RATE, format="FLAC")
    for first in range(0, files, CHAPTER):
        chapter = first // CHAPTER
        name = f"{100 + chapter // SPEAKER}-{100_000 + chapter}"
        beside = folder.joinpath(*name.split("-"))
        beside.mkdir(parents=True)
        ids = [f"{name}-{number:04}" for number in range(min(CHAPTER, files - first))]
        for id in ids:
            path = beside / f"{id}.flac"
            path.write_bytes(flac.getvalue())
            os.utime(path, (LAST_CHANGE_S, LAST_CHANGE_S))
        (beside / f"{name}.trans.txt").write_text("".join(f"{id} {TEXT}\n" for id in ids))
    return len(flac.getvalue())


def measure(folder: Path) -> Start:
    """One start in this process; the modules that it needs are already there."""
    from asr_lab.data import header_index
    from asr_lab.data.cuts import read_cuts
    from asr_lab.slots.datasets.folder import Folder

    opened = 0
    read_info = header_index.read_info

    def counted(path: str) -> object:
        nonlocal opened
        opened += 1
        return read_info(path)

    header_index.read_info = counted  # type: ignore[assignment]
    before_mb, cpu_s, start = resident_mb(), time.process_time(), time.perf_counter()
    read_cuts([Folder(path=".").build(folder)], folder)
    seconds, cpu_s = time.perf_counter() - start, time.process_time() - cpu_s
    return Start(seconds, cpu_s, opened, resident_mb(peak=True) - before_mb)


def _in_own_process(folder: Path, cache: Path) -> Start:
    env = {**os.environ, "ASRLAB_CACHE": str(cache)}
    command = [sys.executable, __file__, "--measure", str(folder)]
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return Start(**json.loads(done.stdout))


def bench(
    files: Annotated[int, typer.Option(min=2, help="Recordings.")] = 50_000,
    seconds: Annotated[float, typer.Option(help="Length of each; 0.1 s take one block on disk.")] = 0.1,
    folder: Annotated[Path | None, typer.Option(help="Where to make them; default: the temporary folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
    measured: Annotated[Path | None, typer.Option("--measure", hidden=True)] = None,
) -> None:
    """Time the first start over a tree of recordings, the next one, and one after a single file has changed.

    The files were just written, so the system has them in memory: a first start from a disk takes longer.

    Example: python tests/bench/starts.py --files 281000
    """
    if measured is not None:
        print(json.dumps(attrs.asdict(measure(measured))))
        return
    machine = environment(default_threads())
    with tempfile.TemporaryDirectory(prefix="asrlab-starts-", dir=folder) as made:
        tree, cache = Path(made, "tree"), Path(made, "cache")
        print(f"making {files:,} files", file=sys.stderr, flush=True)
        file_bytes = write_tree(tree, files, seconds)
        starts = {"first": _in_own_process(tree, cache), "next": _in_own_process(tree, cache)}
        os.utime(next(tree.rglob("*.flac")))
        starts["one file changed"] = _in_own_process(tree, cache)
        index_mb = sum(p.stat().st_size for p in cache.iterdir()) / 1e6
    report = Report(machine, files, file_bytes, index_mb, starts)
    print(json.dumps(attrs.asdict(report), indent=1) if as_json else "\n".join(_lines(report)))


def _lines(report: Report) -> Sequence[str]:
    head = f"{report.files:,} FLAC files of {report.file_bytes:,} bytes, index {report.index_mb:.1f} MB"
    rows = [
        f"{name:17} {s.seconds:8.1f} {s.cpu_s:8.1f} {s.opened:9,} {s.peak_mb:6.0f}" for name, s in report.starts.items()
    ]
    return [
        *report.environment.lines(),
        head,
        f"{'start':17} {'seconds':>8} {'CPU s':>8} {'opened':>9} {'MB':>6}",
        *rows,
    ]


if __name__ == "__main__":
    typer.run(bench)
