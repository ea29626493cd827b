"""What a line of Kaldi's `wav.scp` means: a file, a place in an ark, or a command, which is never run."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from asr_lab.audio.file_slice import slice_path

IN_ARK = re.compile(r"(?P<path>.+):(?P<offset>\d{1,18})", re.ASCII)
UNKNOWN = (0, 0x7FFFFFFF, 0x7FFFF000, 0xFFFFFFFF)
"""Sizes that stand for one that was not known when a header was written."""
SHELL = set(";&|<>$`()\n*?[]{}!#~")
FREE_OPTIONS = {
    "flac": ("-c", "-d", "-s", "-f", "-cd", "-dc", "-cdf", "-dcf", "-cds", "-dcs", "-sdc", "-scd", "--silent",
             "--decode", "--stdout"),
    "sph2pipe": ("-p", "-f", "wav", "riff", "-c"),
    "ffmpeg": ("-loglevel", "-v", "-nostdin", "-hide_banner", "-y", "-i", "-f", "-ac", "-acodec", "-ar", "-", "pipe:1"),
    "cat": (),
    "sox": ("-t", "-b", "-e", "-", "-V0", "-V1"),
}  # fmt: skip
VALUES = {
    "ffmpeg": {
        "-loglevel": r".*",
        "-v": r".*",
        "-i": r".*",
        "-f": "wav",
        "-ac": "1",
        "-acodec": r"pcm_s16le",
        "-ar": r"16000|16k",
    },
    "sph2pipe": {"-f": "wav|riff", "-c": "[12]"},
    "sox": {"-t": "wav|flac|sph|mp3|ogg", "-b": "16|24|32", "-e": r"signed(-integer)?"},
    "flac": {},
    "cat": {},
}
"""Options that take a value, and the values that leave the audio as it is."""


class ScpAudio(NamedTuple):
    """Where a recording is."""

    path: str
    """As written; relative ones are not resolved yet."""
    offset: int | None = None
    """Where its bytes begin in an ark."""
    channel: int | None = None
    problem: str = ""
    """Why it cannot be read."""


def scp_audio(value: str) -> ScpAudio:
    """What the rest of a line of `wav.scp` means."""
    value = value.strip()
    if value.endswith("|"):
        return _command(value[:-1].strip())
    if (found := IN_ARK.fullmatch(value)) is not None:
        return ScpAudio(found["path"], int(found["offset"]))
    return ScpAudio(value, problem="" if value else "names no audio file")


def _command(text: str) -> ScpAudio:
    """The file that a plain conversion to wav reads; a problem for any other command."""
    refused = ScpAudio("", problem=f"is a command, which is never run: {text[:80]!r}; write what it gives to files")
    if set(text) & SHELL:
        return refused
    try:
        name, *words = shlex.split(text)
    except ValueError:
        return refused
    name = os.path.basename(name)
    if name not in FREE_OPTIONS:
        return refused
    options: dict[str, str] = {}
    files: list[str] = []
    rest = iter(words)
    for word in rest:
        if word in VALUES[name]:
            options[word] = next(rest, "")
            if not re.fullmatch(VALUES[name][word], options[word]):
                return refused
        elif word not in FREE_OPTIONS[name]:
            if word.startswith("-"):
                return refused
            files.append(word)
    files += [options["-i"]] if name == "ffmpeg" and "-i" in options else []
    if len(files) != 1:
        return refused
    return ScpAudio(files[0], channel=int(options["-c"]) - 1 if "-c" in options else None)


class ArkIndex:
    """How far each recording goes in the arks that hold some."""

    def __init__(self, audio: Mapping[str, ScpAudio]) -> None:
        self._following: dict[tuple[str, int], int] = {}
        by_ark: dict[str, list[tuple[int, str]]] = {}
        for name, one in audio.items():
            assert one.offset is not None
            by_ark.setdefault(one.path, []).append((one.offset, name))
        for path, entries in by_ark.items():
            entries.sort()
            for (offset, _), (following, name) in pairwise(entries):
                # The next one's key and a space stand before it.
                before = following - len(name.encode("utf-8", "surrogateescape")) - 1
                self._following[path, offset] = before

    def path_of(self, audio: ScpAudio, root: Path) -> str:
        """The path that a recording is read by. ValueError for one that cannot be."""
        if audio.problem:
            raise ValueError(audio.problem)
        path = str(root / audio.path)
        if audio.offset is None:
            return path
        return slice_path(path, audio.offset, self._size(audio, path))

    def _size(self, audio: ScpAudio, path: str) -> int:
        assert audio.offset is not None
        try:
            with open(path, "rb") as file:
                end = os.fstat(file.fileno()).st_size
                head = os.pread(file.fileno(), 12, audio.offset)
        except (OSError, ValueError):
            return 0  # its reason is told when it is read
        following = self._following.get((audio.path, audio.offset), end)
        if head[:4] == b"RIFF" and head[8:] == b"WAVE":
            size = int.from_bytes(head[4:8], "little")
            if size not in UNKNOWN:
                return min(size + 8 + size % 2, max(0, end - audio.offset))
        return max(0, following - audio.offset)
