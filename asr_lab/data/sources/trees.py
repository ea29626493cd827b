"""Trees of recordings like LibriSpeech's, with transcripts beside the audio."""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from asr_lab.audio.folders import ENDINGS, SIDECAR, is_audio, walk
from asr_lab.data.absent_files import composed
from asr_lab.data.sources.text_lines import read_lines
from asr_lab.data.utterance import Source, UnreadableUtterance, Utterance
from asr_lab.errors import count_of

TRANSCRIPTS = ".trans.txt"


def has_tree(folder: Path) -> bool:
    """Whether there is a LibriSpeech-style transcript anywhere below."""
    return any(_is_transcript(name) for _, names in walk(folder) for name in names)


def read_tree(folder: Path, columns: Mapping[str, str]) -> Source:
    """The utterances of a tree like LibriSpeech's: `speaker/chapter/speaker-chapter.trans.txt` beside the audio.

    Each line is an id and, after spaces or tabs, its text; the audio is `<id>.flac`, or has another of `ENDINGS`. The
    columns are `speaker`, `chapter` and the given ones. Durations are not known until the headers are read. Recordings
    without a line, and those of several endings, of which the first is read, are warned of.
    """
    bad: list[UnreadableUtterance] = []

    def utterances() -> Iterator[Utterance]:
        transcripts = sorted(Path(path, name) for path, names in walk(folder) for name in names if _is_transcript(name))
        left = Counter(transcript.parent for transcript in transcripts)
        folders: dict[Path, _Recordings] = {}
        oddities = _Oddities()
        for transcript in transcripts:
            parent = transcript.parent
            if parent not in folders:
                folders[parent] = _Recordings.in_folder(parent)
            yield from _read_transcript(transcript, folders[parent], columns, bad)
            left[parent] -= 1
            if not left[parent]:
                oddities.add(folders.pop(parent))
        oddities.warn(folder)

    return Source(utterances(), bad)


def _read_transcript(
    transcript: Path, recordings: _Recordings, columns: Mapping[str, str], bad: list[UnreadableUtterance]
) -> Iterator[Utterance]:
    # Texts, not paths: those would take two fifths of the time that listing 281,000 files takes.
    beside = f"{transcript.parent}/"
    for number, line, problem in read_lines(transcript):
        name, _, text = _SPACE.sub(" ", line.strip(" \t"), count=1).partition(" ")
        if not name and not problem:
            continue
        speaker, _, rest = name.partition("-")
        own = {"speaker": speaker, "chapter": rest.partition("-")[0]}
        audio = beside + recordings.of(name)
        try:
            if problem:
                raise ValueError(problem)
            yield Utterance(name, audio, None, text, columns={**columns, **own})
        except ValueError as error:
            called = f"{transcript.name}:{number}"
            told = None if problem else text
            bad.append(UnreadableUtterance(called, str(transcript), str(error), told, {**columns, **own}))


def chained(sources: Sequence[Source]) -> Source:
    """Sources after one another as one."""
    bad: list[UnreadableUtterance] = []

    def utterances() -> Iterator[Utterance]:
        for source in sources:
            yield from source.utterances
            bad.extend(source.bad)

    return Source(utterances(), bad)


_SPACE = re.compile(r"[ \t]+")


@attrs.define
class _Recordings:
    """The recordings of one folder by name without ending, and which of them a transcript names."""

    _names: dict[str, list[str]]
    """In the order of `ENDINGS`; keys in Unicode's composed form, since a disk may have the other."""
    _used: set[str] = attrs.field(factory=set)

    @classmethod
    def in_folder(cls, folder: Path) -> _Recordings:
        names: dict[str, list[str]] = {}
        for name in sorted(filter(is_audio, os.listdir(folder)), key=_rank):
            names.setdefault(composed(os.path.splitext(name)[0]), []).append(name)
        return cls(names)

    def of(self, stem: str) -> str:
        """The file of an utterance; where there is none, the name that it should have."""
        key = composed(stem)
        self._used.add(key)
        named = self._names.get(key) or [f"{stem}{ENDINGS[0]}"]
        # Both forms of one name may lie beside one another.
        return next((n for n in named if os.path.splitext(n)[0] == stem), named[0])

    def several(self) -> list[str]:
        """The recordings that there are more than one of, named as they are."""
        used = (names for key, names in self._names.items() if key in self._used and len(names) > 1)
        # Those in both of Unicode's forms are two.
        return [" and ".join(names) for names in used if len({os.path.splitext(n)[0] for n in names}) < len(names)]

    def unused(self) -> list[str]:
        """The recordings that no line names."""
        return [n[0] for key, n in self._names.items() if key not in self._used]


@attrs.define
class _Oddities:
    """What is odd about a tree: how many of each, and the first."""

    _counts: Counter[str] = attrs.field(factory=Counter)
    _firsts: dict[str, str] = attrs.field(factory=dict)

    def add(self, recordings: _Recordings) -> None:
        for kind, names in (("several", recordings.several()), ("unused", recordings.unused())):
            self._counts[kind] += len(names)
            if names:
                self._firsts.setdefault(kind, names[0])

    def warn(self, folder: Path) -> None:
        if first := self._firsts.get("several"):
            order = ", ".join(ENDINGS)
            what = f"{count_of(self._counts['several'], 'utterance')} of several recordings, as {first}"
            warnings.warn(f"{folder}: {what}; the first by ending is read ({order})", stacklevel=2)
        if first := self._firsts.get("unused"):
            what = f"{count_of(self._counts['unused'], 'recording')} without a line in a transcript, as {first}"
            warnings.warn(f"{folder}: {what}; not read", stacklevel=2)


def _is_transcript(name: str) -> bool:
    return name.endswith(TRANSCRIPTS) and not name.startswith(SIDECAR)


def _rank(name: str) -> tuple[int, str]:
    return ENDINGS.index(os.path.splitext(name)[1].lower()), name
