"""WebDataset's tar archives: consecutive files of one key are a sample; recordings are read in their archives."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from asr_lab.audio.folders import is_audio
from asr_lab.data.sources.archives import Archive, Member
from asr_lab.data.sources.json_lines import RowError, read_object, typed
from asr_lab.data.sources.rows import Found, tried
from asr_lab.data.sources.text_lines import is_text
from asr_lab.data.utterance import Utterance, brief
from asr_lab.errors import count_of

Sample = list[tuple[str, str, Member]]
"""Ending, name and place of each file."""


def webdataset_rows(tars: Sequence[Path], text_field: str) -> Iterator[Found]:
    """The samples of some archives. A transcript is the `text_field` of a sample's `json`, else its `txt`.

    Columns: what else is a text or a number in `json`. A sample's key is its path up to the first dot of its name.
    Files without an ending, and those whose name begins with a dot, are of no sample, and are warned of.
    """
    for tar in tars:
        archive = Archive(tar)
        skipped: list[str] = []
        for key, files in _samples(archive, skipped):
            read = _Fields(archive, files)

            def make(key: str = key, files: Sample = files, read: _Fields = read) -> Utterance:
                return _utterance(key, files, read, text_field)

            yield tried(f"{tar.name}:{key}"[:300] if is_text(key) else tar.name, tar, "", make, read.told(text_field))
        if skipped:
            note = f"{count_of(len(skipped), 'file')} of no sample, as {brief(skipped[0])}; not read"
            warnings.warn(f"{tar}: {note}", stacklevel=2)


def _samples(archive: Archive, skipped: list[str]) -> Iterator[tuple[str, Sample]]:
    key, files = "", list[tuple[str, str, Member]]()
    for name, member in archive.entries:
        folder, _, base = name.rpartition("/")
        stem, _, ending = base.partition(".")
        if not stem or not ending:
            skipped.append(name)
            continue
        its = f"{folder}/{stem}" if folder else stem
        if its != key and files:
            yield key, files
            files = []
        key = its
        files.append((ending.lower(), name, member))
    if files:
        yield key, files


class _Fields:
    """The texts of a sample."""

    def __init__(self, archive: Archive, files: Sample) -> None:
        self.archive = archive
        self._members = {ending: member for ending, _, member in files}

    def entry(self) -> dict[str, Any]:
        """What its `json` holds; ValueError for one that holds no object."""
        if "json" not in self._members:
            return {}
        return read_object(self._decoded("json"))

    def text(self, field: str) -> str:
        """Its transcript; ValueError where it has none."""
        entry = self.entry()
        if entry.get(field) is not None:
            return typed(entry[field], str, field)
        if "txt" in self._members:
            return self._decoded("txt").removeprefix("\ufeff").strip("\r\n")
        raise RowError(f"has no text: neither {field!r} in json nor txt")

    def told(self, field: str) -> str | None:
        """Its transcript as far as there is one."""
        try:
            return self.text(field)
        except (ValueError, OSError):
            return None

    def _decoded(self, ending: str) -> str:
        return self.archive.content(self._members[ending]).decode("utf-8", "surrogateescape")


def _utterance(key: str, files: Sample, read: _Fields, text_field: str) -> Utterance:
    endings = [ending for ending, _, _ in files]
    if doubled := {ending for ending in endings if endings.count(ending) > 1}:
        raise RowError(f"has several files called .{min(doubled)}: names with dots share the key {brief(key)}")
    audio = [(name, member) for ending, name, member in files if is_audio(f"x.{ending}")]
    if len(audio) != 1:
        raise RowError(f"has {len(audio)} recordings, not one" if audio else "has no recording")
    (name, member) = audio[0]
    columns = {k: v for k, v in read.entry().items() if k != text_field and _is_column(v)}
    return Utterance(
        key, read.archive.audio_of(os.path.basename(name), member), None, read.text(text_field), columns=columns
    )


def _is_column(value: object) -> bool:
    return isinstance(value, int | float) or (isinstance(value, str) and is_text(value))
