"""What reading and decoding recordings takes, on plain files and in containers, beside soundfile alone."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs
import numpy as np
import soundfile
from containers import RATE, WRITERS, Flac, flacs_of

from asr_lab.audio import parquet_rows
from asr_lab.audio.file_slice import part_of
from asr_lab.data.cuts import read_cuts
from asr_lab.data.reader import AudioReader

SPEECH = Path(os.environ.get("ASRLAB_TEST_SPEECH", Path(__file__).resolve().parents[3] / "shared" / "data"))
EXCERPT = "librispeech-test-other-excerpt"


@attrs.frozen
class ReadingFigures:
    """What reading in one way costs, on one core."""

    way: str
    """The container, and the order where it is a drawn one."""
    times_real_time: float
    """Seconds of audio in a CPU second; the best of the rounds."""
    ratio: float
    """CPU time over soundfile's on plain files, the median of the rounds, each of which has both."""


def bench_reading(rounds: int, count: int = 200, seconds: float = 12.0) -> list[ReadingFigures]:
    """FLAC of real speech, read in the order of its files and in a drawn one."""
    recordings = sorted((SPEECH / EXCERPT).rglob("*.flac"))
    if not recordings:
        raise FileNotFoundError(f"no recordings in {SPEECH / EXCERPT}: set ASRLAB_TEST_SPEECH")
    flacs = flacs_of(recordings, count, seconds)
    with tempfile.TemporaryDirectory(prefix="asrlab-reading-") as made:
        ways = _ways(Path(made), flacs)
        times: dict[str, list[float]] = {way: [] for way in ways}
        for read in ways.values():
            read()
        for _ in range(rounds):
            for way, read in ways.items():
                start = time.process_time()
                read()
                times[way].append(time.process_time() - start)
    audio_s = sum(flac.duration_s for flac in flacs)
    alone = times["soundfile"]
    return [
        ReadingFigures(way, audio_s / min(its), statistics.median(a / b for a, b in zip(its, alone, strict=True)))
        for way, its in times.items()
    ]


def _ways(folder: Path, flacs: Sequence[Flac]) -> dict[str, Callable[[], None]]:
    """What reads all of the recordings, by what it reads them from."""
    drawn = np.random.default_rng(0).permutation(len(flacs)).tolist()
    found: dict[str, Callable[[], None]] = {}
    for name, write in WRITERS.items():
        place = folder / name
        place.mkdir()
        cuts = read_cuts([write(place, flacs).build(place)], place)
        if not found:
            paths = list(cuts.audio)
            found["soundfile"] = lambda paths=paths: _soundfile(paths)
        reader = AudioReader(cuts, RATE)
        found[name] = lambda reader=reader: _all(reader, range(len(flacs)))
        found[f"{name}, drawn"] = lambda reader=reader: _all(reader, drawn)
        if name == "parquet":
            found["parquet, drawn from four times what is kept"] = lambda reader=reader: _crowded(reader, drawn)
    return found


def _crowded(reader: AudioReader, rows: Sequence[int]) -> None:
    """Read with room for a quarter of the row groups."""
    kept_bytes = parquet_rows.KEPT_BYTES
    sizes = [size for path in reader.cuts.audio if (size := getattr(part_of(path), "size", 0))]
    parquet_rows.KEPT_BYTES = sum(sizes) // 4
    try:
        _all(reader, rows)
    finally:
        parquet_rows.KEPT_BYTES = kept_bytes


def _soundfile(paths: Sequence[str]) -> None:
    for path in paths:
        soundfile.read(path, dtype="float32")


def _all(reader: AudioReader, rows: Sequence[int]) -> None:
    for row in rows:
        reader.utterance(row)
