"""Synthetic utterances: the voice of each sentence, and the folder that keeps the audio."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs

from asr_lab.audio import espeak
from asr_lab.audio.keyed_random import mixed, text_key
from asr_lab.data.cache import cache_root
from asr_lab.data.sources.sentences import Split
from asr_lab.data.utterance import Utterance
from asr_lab.devices import num_processors
from asr_lab.errors import DataError, LabError

VERSION = 1
"""Raised whenever the same settings would give other sounds."""
SHARD_UTTERANCES = 100


@attrs.frozen
class Speech:
    """What a set of synthetic speech is made from."""

    language: str
    split: Split
    voices: tuple[str, ...]
    """Variants, one speaker each."""
    rate_wpm: tuple[int, int]
    pitch: tuple[int, int]
    sample_rate: int
    seed: int


def voices_of(split: Split, number: int | None, seed: int) -> tuple[str, ...]:
    """Variants that speak in a split, and in no other: 70 % of them in train, 10 % in valid, 20 % in test.

    `number` of them are drawn; None = all. DataError when there are not so many.
    """
    order = sorted(espeak.VARIANTS, key=lambda name: mixed(text_key(name), 2))
    tenths = {"train": (0, 7), "valid": (7, 8), "test": (8, 10)}[split]
    own = order[tenths[0] * len(order) // 10 : tenths[1] * len(order) // 10]
    if number is not None and number > len(own):
        raise DataError(f"synthetic: the split {split!r} has {len(own)} voices, not {number}")
    return tuple(sorted(own, key=lambda name: mixed(text_key(name), seed, 3))[:number])


def speak(speech: Speech, sentences: Sequence[str]) -> list[Utterance]:
    """The sentences as utterances, spoken now or found in the cache.

    MissingPackageError without eSpeak NG, DataError for a language that it does not speak.
    """
    requests = [_request(speech, sentence, number) for number, sentence in enumerate(sentences)]
    content = json.dumps([VERSION, espeak.version(), attrs.asdict(speech), requests], sort_keys=True)
    folder = cache_root() / "synthetic" / hashlib.sha256(content.encode()).hexdigest()[:24]
    lengths = _spoken(folder)
    if lengths is None:
        _make(folder, requests, speech)
        lengths = _spoken(folder)
        if lengths is None:
            raise DataError(f"synthetic: {folder} was written and cannot be read back")
    return list(_utterances(speech, sentences, requests, folder, lengths))


def _request(speech: Speech, sentence: str, number: int) -> espeak.SpeechRequest:
    key = mixed(speech.seed, text_key(speech.split), number)

    def draw(salt: int, low: int, high: int) -> int:
        return low + mixed(key, salt) % (high - low + 1)

    voice = speech.voices[draw(0, 0, len(speech.voices) - 1)]
    rate, pitch = draw(1, *speech.rate_wpm), draw(2, *speech.pitch)
    return espeak.SpeechRequest(sentence, f"{speech.language}+{voice}", rate, pitch)


def _utterances(
    speech: Speech,
    sentences: Sequence[str],
    requests: Sequence[espeak.SpeechRequest],
    folder: Path,
    lengths: Sequence[int],
) -> list[Utterance]:
    found = []
    start = 0
    for number, (sentence, request, length) in enumerate(zip(sentences, requests, lengths, strict=True)):
        start = 0 if number % SHARD_UTTERANCES == 0 else start
        voice = request.voice
        columns: dict[str, Any] = {"speaker": voice, "language": speech.language, "split": speech.split}
        found.append(
            Utterance(
                id=f"{speech.split}-{speech.language}-{number:05}",
                audio=str(folder / _shard(number // SHARD_UTTERANCES)),
                duration_s=length / speech.sample_rate,
                text=sentence,
                start_s=start / speech.sample_rate,
                columns={**columns, "rate_wpm": request.rate_wpm, "pitch": request.pitch},
            )
        )
        start += length
    return found


def _shard(number: int) -> str:
    return f"{number:04}.flac"


def _spoken(folder: Path) -> list[int] | None:
    """Lengths in samples of what a folder holds; None when it isn't whole."""
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        if any((folder / name).stat().st_size != size for name, size in index["sizes"].items()):
            return None
        return [int(length) for length in index["lengths"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError):
        return None


def _make(folder: Path, requests: Sequence[espeak.SpeechRequest], speech: Speech) -> None:
    """Speak into a folder of another name, which then becomes `folder` at once."""
    if speech.language not in espeak.languages():
        known = ", ".join(espeak.languages())
        raise DataError(f"synthetic: eSpeak NG does not speak {speech.language!r} (it does: {known})")
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    try:
        shards = [requests[i : i + SHARD_UTTERANCES] for i in range(0, len(requests), SHARD_UTTERANCES)]
        tasks = [
            json.dumps({"path": str(new / _shard(n)), "requests": shard, "sample_rate": speech.sample_rate})
            for n, shard in enumerate(shards)
        ]
        lengths = [length for shard in _run(tasks) for length in shard]
        sizes = {_shard(n): (new / _shard(n)).stat().st_size for n in range(len(shards))}
        (new / "index.json").write_text(json.dumps({"lengths": lengths, "sizes": sizes}), encoding="utf-8")
        if _spoken(folder) is None:
            shutil.rmtree(folder, ignore_errors=True)
            try:
                new.rename(folder)
            except OSError:
                # Another process was faster; its folder holds the same.
                if _spoken(folder) is None:
                    raise
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _run(tasks: Sequence[str]) -> list[list[int]]:
    """Let a process for each processor work on tasks; their answers in order."""
    num_processes = max(1, min(num_processors(), len(tasks)))
    with ThreadPoolExecutor(num_processes) as pool:
        shares = list(pool.map(_run_share, [tasks[i::num_processes] for i in range(num_processes)]))
    answers: list[list[int]] = [[] for _ in tasks]
    for first, share in enumerate(shares):
        answers[first::num_processes] = share
    return answers


def _run_share(tasks: Sequence[str]) -> list[list[int]]:
    package = Path(espeak.__file__).resolve().parents[2]
    path = os.pathsep.join(filter(None, (str(package), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-m", "asr_lab.audio.espeak"],
        input="".join(f"{task}\n" for task in tasks),
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    if errors := [a["error"] for a in answers if "error" in a]:
        raise DataError(f"synthetic: {errors[0]}")
    if done.returncode or len(answers) < len(tasks):
        raise LabError(f"synthetic: eSpeak NG's process ended with code {done.returncode}:\n{done.stderr[-2000:]}")
    return [a["lengths"] for a in answers]
