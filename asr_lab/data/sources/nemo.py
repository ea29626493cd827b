"""NeMo's manifests of JSON lines, over files and over tar archives."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from asr_lab.data.sources.archives import Archive
from asr_lab.data.sources.json_lines import NEMO_AUDIO, RowError, read_object, seconds, typed
from asr_lab.data.sources.rows import Found, tried
from asr_lab.data.sources.text_lines import is_text, read_lines, read_text
from asr_lab.data.utterance import Utterance
from asr_lab.errors import DataError, count_of

TEXTS = ("text", "normalized_text")
OWN = (*NEMO_AUDIO, *TEXTS, "text_filepath", "duration", "offset", "lang", "shard_id", "_skipme", "pred_text")
"""Keys that are no columns under their own names."""
_SUB = re.compile(r"(?P<stem>.+)-sub\d{1,9}(?P<ending>\.[^./]*)?")
_NUMBER = re.compile(r"_(\d{1,9})[^/]*$", re.ASCII)


def nemo_rows(manifests: Sequence[Path], tars: Sequence[Path], audio_root: Path | None) -> Iterator[Found]:
    """The entries of some manifests; columns language, speaker and what else is a text or a number.

    Without `tars`, relative audio paths start at `audio_root`, or else at each manifest's folder. With them an entry
    is of the archive that its `shard_id`, or its manifest's number, names. Entries marked `_skipme` are none. DataError
    for manifests and archives that do not pair up.
    """
    archives = _numbered(tars)
    sharded = len(manifests) > 1 and bool(tars)
    if sharded and (odd := {_number_of(m) for m in manifests} ^ archives.keys()):
        raise DataError(f"{len(manifests)} manifests and {len(tars)} archives do not pair up: number {min(odd)} is one")
    for manifest in manifests:
        shard = _number_of(manifest) if sharded else None
        yield from _rows(manifest, archives, shard, audio_root)


def _rows(manifest: Path, tars: Mapping[int, Path], shard: int | None, audio_root: Path | None) -> Iterator[Found]:
    opened: dict[int, Archive] = {}
    used: dict[int, set[str]] = {}
    skipped = 0
    for number, line, problem in read_lines(manifest):
        if not line.strip() and not problem:
            continue
        try:
            entry = read_object(line, problem)
        except RowError as error:
            entry, problem = {}, str(error)
        if entry.get("_skipme"):
            skipped += 1
            continue

        def make(entry: dict[str, Any] = entry) -> Utterance:
            audio = _audio_name(entry)
            if not tars:
                return _utterance(entry, audio, str((audio_root or manifest.parent) / audio), manifest)
            at = shard if shard is not None else _shard(entry, tars)
            if at not in opened:
                opened[at] = Archive(tars[at])
            archive = opened[at]
            member = _member(archive, audio)
            used.setdefault(at, set()).add(member)
            return _utterance(entry, audio, archive.audio(member), manifest)

        yield tried(f"{manifest.name}:{number}", manifest, problem, make, _spoken(entry))
    if skipped:
        warnings.warn(f"{manifest}: {skipped:,} marked _skipme; not read", stacklevel=2)
    for at, archive in opened.items():
        if unused := archive.members.keys() - used[at]:
            what = f"{count_of(len(unused), 'file')} without an entry, as {min(unused)}"
            warnings.warn(f"{archive.path}: {what}; not read", stacklevel=2)


def _audio_name(entry: Mapping[str, Any]) -> str:
    key = next((key for key in NEMO_AUDIO if key in entry), NEMO_AUDIO[0])
    return typed(entry.get(key), str, key)


def _utterance(entry: Mapping[str, Any], name: str, audio: str, manifest: Path) -> Utterance:
    start_s = seconds(entry, "offset", "offset") if entry.get("offset") is not None else 0.0
    duration_s = seconds(entry, "duration", "duration")
    stretch = "offset" in entry and entry["offset"] is not None
    at = f"@{start_s:.6f}".rstrip("0").rstrip(".") if stretch else ""
    return Utterance(
        id=f"{os.path.splitext(name)[0]}{at}",
        audio=audio,
        duration_s=duration_s if stretch else None,
        text=_text(entry, manifest),
        start_s=start_s,
        columns=_columns(entry),
        file_s=None if stretch else duration_s,
    )


def _spoken(entry: Mapping[str, Any]) -> str | None:
    return next((text for key in TEXTS if isinstance(text := entry.get(key), str)), None)


def _text(entry: Mapping[str, Any], manifest: Path) -> str:
    for key in TEXTS:
        if entry.get(key) is not None:
            return typed(entry[key], str, key)
    if entry.get("text_filepath") is not None:
        try:
            return read_text(manifest.parent / typed(entry["text_filepath"], str, "text_filepath")).strip()
        except DataError as error:
            raise RowError(str(error)) from error
    raise RowError("has no text")


def _columns(entry: Mapping[str, Any]) -> dict[str, Any]:
    plain = {k: v for k, v in entry.items() if k not in OWN and isinstance(v, str | int | float | bool)}
    if isinstance(entry.get("lang"), str):
        plain["language"] = entry["lang"]
    if wrong := [key for key, value in plain.items() if isinstance(value, str) and not is_text(value)]:
        raise RowError(f"{wrong[0]} is not UTF-8")
    return plain


def _shard(entry: Mapping[str, Any], tars: Mapping[int, Path]) -> int:
    if len(tars) == 1 and entry.get("shard_id") is None:
        return next(iter(tars))
    shard = typed(entry.get("shard_id"), int, "shard_id")
    if shard not in tars:
        raise RowError(f"is of the archive {shard}, which is not among the {len(tars)} given")
    return shard


def _member(archive: Archive, name: str) -> str:
    """The archive's file that an entry is of: several stretches of one share it, and are numbered `-sub1` and on."""
    if name not in archive.members and (found := _SUB.fullmatch(name)) is not None:
        whole = found["stem"] + (found["ending"] or "")
        if whole in archive.members:
            return whole
    return name


def _numbered(tars: Sequence[Path]) -> dict[int, Path]:
    if len(tars) == 1 and _NUMBER.search(tars[0].stem) is None:
        return {0: tars[0]}
    found: dict[int, Path] = {}
    for tar in tars:
        if found.setdefault(number := _number_of(tar), tar) != tar:
            raise DataError(f"two archives have the number {number}: {found[number]} and {tar}; name each bucket apart")
    return found


def _number_of(path: Path) -> int:
    """The number at the end of a shard's name."""
    found = _NUMBER.search(path.stem)
    if found is None:
        raise DataError(f"{path} has no number at the end of its name, as shards have: manifest_0.json, audio_0.tar")
    return int(found[1])
