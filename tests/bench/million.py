"""Starts over a million cuts, and a resume in the midst of an epoch beside lhotse's sampler."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import attrs
import numpy as np
import soundfile
from environment import resident_mb

RATE = 16000
FILE_S = 3600
LONG_AGO_S = 1_400_000_000
"""Files that have just been written are not believed to stay as they are."""
WORDS = (
    "the",
    "avonlea",
    "main",
    "road",
    "dipped",
    "down",
    "into",
    "a",
    "little",
    "hollow",
    "fringed",
    "with",
    "alders",
)
WORDS_PER_S = 2.6
BATCH_S = 600.0
STARTS = ("first", "next")


@attrs.frozen
class Start:
    """What one start cost, in a process of its own, beyond importing torch and what builds the model."""

    seconds: float
    """To the plan of an epoch: the cuts, their tokens, the steps."""
    cpu_s: float
    peak_mb: float
    """Memory at most, beyond what the process held before."""
    resume_s: float
    """From there to the data of a later step of the next epoch, its plan included."""


@attrs.frozen
class MillionFigures:
    """Starts over one manifest."""

    cuts: int
    step: int
    """Where an epoch is taken up again."""
    starts: dict[str, Start]
    lhotse_s: float | None
    """What lhotse's sampler takes to come to that step; None where lhotse is not installed."""
    lhotse_absent: str


def bench_million(cuts: int = 1_000_000, files: int = 8, step: int = 10_000) -> MillionFigures:
    """Each start over a manifest of lhotse's, whose cuts lie in a few files of an hour each."""
    with tempfile.TemporaryDirectory(prefix="asrlab-million-") as made:
        folder = Path(made, "data")
        folder.mkdir()
        write_manifest(folder, cuts, files)
        starts = {name: Start(**_in_own_process("--start", folder, step)) for name in STARTS}
        there = importlib.util.find_spec("lhotse") is not None
        lhotse_s = _in_own_process("--lhotse", folder, step) if there else None
    absent = "" if there else "lhotse is not installed: no sampler beside it"
    return MillionFigures(cuts, step, starts, lhotse_s, absent)


def write_manifest(folder: Path, cuts: int, files: int) -> None:
    """Cuts of 2 to 17 s with the texts that such lengths have."""
    rng = np.random.default_rng(0)
    for number in range(files):
        path = folder / f"r{number}.flac"
        soundfile.write(path, rng.integers(-300, 300, FILE_S * RATE, dtype=np.int16), RATE)
        os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    durations_s, starts_s = rng.uniform(2, 17, cuts).round(2), rng.uniform(0, FILE_S - 20, cuts).round(2)
    manifest = folder / "cuts.jsonl"
    with manifest.open("w") as out:
        for number, (duration_s, start_s) in enumerate(zip(durations_s.tolist(), starts_s.tolist(), strict=True)):
            out.write(json.dumps(_cut(number, number % files, start_s, duration_s)) + "\n")
    os.utime(manifest, (LONG_AGO_S, LONG_AGO_S))


def _cut(number: int, file: int, start_s: float, duration_s: float) -> dict[str, object]:
    text = " ".join(WORDS[(number * 7 + place * place) % len(WORDS)] for place in range(int(duration_s * WORDS_PER_S)))
    name = f"{file}-{number:08}"
    spoken = {"id": name, "recording_id": f"r{file}", "start": 0.0, "duration": duration_s, "channel": 0, "text": text}
    source = {"type": "file", "channels": [0], "source": f"r{file}.flac"}
    recording = {"id": f"r{file}", "sources": [source], "sampling_rate": RATE, "num_samples": FILE_S * RATE}
    return {
        "id": name,
        "start": start_s,
        "duration": duration_s,
        "channel": 0,
        "supervisions": [spoken],
        "recording": {**recording, "duration": float(FILE_S)},
        "type": "MonoCut",
    }


def start(folder: Path, step: int) -> Start:
    """One start in this process."""
    import torch  # noqa: F401

    from asr_lab.data.corpus import spell
    from asr_lab.data.cuts import read_cuts
    from asr_lab.data.training_data import TrainingData
    from asr_lab.slots.datasets.manifest import Manifest
    from asr_lab.text.characters import CharacterTokenizer
    from asr_lab.text.normalizer import Normalizer

    def alignable(num_samples: int, tokens: Sequence[int]) -> bool:
        return len(tokens) <= num_samples // 320

    before_mb, began, cpu_s = resident_mb(), time.perf_counter(), time.process_time()
    cuts = read_cuts([Manifest(path="cuts.jsonl").build(folder)], folder)
    corpus = spell(
        cuts,
        CharacterTokenizer(),
        Normalizer(["lower"]),
        sample_rate=RATE,
        alignable=alignable,
        alignable_name="320 samples a token",
    )
    data = TrainingData(corpus, seed=1, batch_s=BATCH_S, max_rank_batch_s=BATCH_S / 8, num_workers=0)
    num_steps = data.num_steps(0)
    ready, cpu_s, peak_mb = time.perf_counter(), time.process_time() - cpu_s, resident_mb(peak=True) - before_mb
    next(data.steps(1, min(step, num_steps - 100)))
    return Start(ready - began, cpu_s, peak_mb, time.perf_counter() - ready)


def lhotse_start(folder: Path, step: int) -> float:
    """Seconds until lhotse's sampler, whose state says so many batches, gives the next one."""
    from lhotse import CutSet
    from lhotse.dataset import DynamicBucketingSampler

    def sampler() -> DynamicBucketingSampler:
        cuts = CutSet.from_jsonl_lazy(folder / "cuts.jsonl")
        return DynamicBucketingSampler(cuts, max_duration=BATCH_S, shuffle=True, num_buckets=30, seed=1)

    first = sampler()
    next(iter(first))
    state = first.state_dict()
    state["diagnostics"]["stats_per_epoch"][0]["kept_batches"] = step
    began = time.perf_counter()
    resumed = sampler()
    resumed.load_state_dict(state)
    next(iter(resumed))
    return time.perf_counter() - began


def _in_own_process(what: str, folder: Path, step: int) -> object:
    env = {**os.environ, "ASRLAB_CACHE": str(folder.parent / "cache")}
    command = [sys.executable, __file__, what, str(folder), str(step)]
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    place, at = Path(sys.argv[2]), int(sys.argv[3])
    print(json.dumps(attrs.asdict(start(place, at)) if sys.argv[1] == "--start" else lhotse_start(place, at)))
