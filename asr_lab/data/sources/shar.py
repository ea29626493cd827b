"""Lhotse Shar: shards of cuts beside shards of their fields; recordings are read in their archives."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from asr_lab.data.sources.archives import Archive
from asr_lab.data.sources.json_lines import RowError, read_object, seconds, typed
from asr_lab.data.sources.lhotse import NAMED, covered, custom_of, name_of_cut, spoken_in
from asr_lab.data.sources.rows import Found, tried
from asr_lab.data.sources.text_lines import is_text, read_lines
from asr_lab.data.utterance import Utterance, brief
from asr_lab.errors import DataError, count_of

_SHARD = re.compile(r"(?P<field>.+)\.(?P<number>\d{1,9})\.(?P<kind>jsonl|jsonl\.gz|tar)", re.ASCII)
CUTS = "cuts"
RECORDING = "recording"
NO_DATA = ".nodata"


class _Shard(NamedTuple):
    """The files of one number."""

    cuts: Path
    recording: Path
    values: dict[str, Path]
    """Of fields that are JSON lines."""


def shar_files(folder: Path) -> list[Path]:
    """The files of a folder that are read, shard by shard; DataError as `shards_of`."""
    return files_of(shards_of(folder))


def files_of(shards: Sequence[_Shard]) -> list[Path]:
    """The files of some shards."""
    return [path for shard in shards for path in (shard.cuts, shard.recording, *shard.values.values())]


def shards_of(folder: Path) -> list[_Shard]:
    """The shards of a folder in order; files of other names are warned of.

    DataError where there are none, or where the fields do not have the same numbers.
    """
    fields: dict[str, dict[int, Path]] = {}
    strays = []
    for path in sorted(folder.iterdir()):
        found = _SHARD.fullmatch(path.name)
        if found is None:
            strays.append(path.name)
        else:
            fields.setdefault(found["field"], {})[int(found["number"])] = path
    for needed in (CUTS, RECORDING):
        if needed not in fields:
            raise DataError(f"{folder} is no Lhotse Shar with audio: it has no {needed}.000000 file")
    if strays:
        warnings.warn(f"{folder}: {count_of(len(strays), 'file')} of no shard, as {strays[0]}; not read", stacklevel=2)
    numbers = fields[CUTS].keys()
    for field, its in fields.items():
        if odd := numbers ^ its.keys():
            raise DataError(f"{folder}: the shards of {CUTS} and {field} do not pair up: number {min(odd)} is of one")
    values = {
        f: its for f, its in fields.items() if f not in (CUTS, RECORDING) and ".jsonl" in next(iter(its.values())).name
    }
    return [
        _Shard(fields[CUTS][n], fields[RECORDING][n], {field: its[n] for field, its in values.items()})
        for n in sorted(numbers)
    ]


def shar_rows(shards: Sequence[_Shard]) -> Iterator[Found]:
    """The cuts of some shards, each with the recording of its place; columns as `read_cuts_manifest` has them.

    What is in a shard is the cut's own stretch: a cut's start in its first recording means nothing there. DataError for
    a shard whose fields are not in the order of its cuts.
    """
    for shard in shards:
        archive = Archive(shard.recording)
        recordings = _recordings(archive)
        others = [(field, read_lines(path)) for field, path in shard.values.items()]
        lines = (line for line in read_lines(shard.cuts) if line.text.strip() or line.problem)
        for line, recording in zip_longest(lines, recordings):
            if line is None or recording is None:
                more = shard.cuts if recording is None else shard.recording
                raise DataError(f"{more} has more entries than the other files of its shard")
            values = {field: next(its, None) for field, its in others}
            try:
                cut, problem = read_object(line.text, line.problem), ""
            except RowError as error:
                cut, problem = {}, str(error)
            name = name_of_cut(cut) or f"{shard.cuts.name}:{line.number}"
            if cut and recording.stem != name_of_cut(cut):
                raise DataError(
                    f"{shard.recording}: its {brief(recording.stem)} stands in the place of the cut {brief(name)}; "
                    "the fields of a shard are in one order"
                )
            own = {field: value for field, one in values.items() if (value := _value(one, field)) is not None}

            def make(cut: dict[str, Any] = cut, at: _Recording = recording, own: Any = own) -> Utterance:
                return _utterance(cut, at, own)

            yield tried(name, shard.cuts, problem, make, spoken_in(cut))


class _Recording(NamedTuple):
    """A pair of files of an archive: data and metadata."""

    stem: str
    """Its cut's id."""
    audio: str
    """Where its data are; "" where it has none."""


def _recordings(archive: Archive) -> Iterator[_Recording]:
    entries = archive.entries
    if len(entries) % 2:
        raise DataError(f"{archive.path} holds {len(entries):,} files; a shard holds pairs of data and metadata")
    for (name, member), (about, _) in zip(entries[::2], entries[1::2], strict=True):
        stem, _, ending = name.rpartition(".")
        if about.rpartition(".")[0] != stem or about.rpartition(".")[2] not in ("json", "nometa"):
            raise DataError(f"{archive.path}: {brief(name)} is followed by {brief(about)}, not by its metadata")
        yield _Recording(stem, "" if f".{ending}" == NO_DATA else archive.audio_of(name, member))


def _value(line: Any, field: str) -> str | int | float | bool | None:
    """What a field of JSON lines holds of a cut, where that can be a column."""
    if line is None:
        return None
    try:
        value = read_object(line.text, line.problem).get(field)
    except RowError:
        return None
    return value if isinstance(value, int | float) or (isinstance(value, str) and is_text(value)) else None


def _utterance(cut: Mapping[str, Any], recording: _Recording, own: Mapping[str, Any]) -> Utterance:
    if not recording.audio:
        raise RowError("has no recording")
    length_s = seconds(cut, "duration", "duration")
    supervisions = typed(cut.get("supervisions") or [], list, "supervisions")
    if len(supervisions) != 1:
        raise RowError(f"has {len(supervisions)} supervisions, not one (lhotse: trim_to_supervisions)")
    spoken = typed(supervisions[0], dict, "supervision")
    if spoken.get("text") is None:
        raise RowError("has a supervision without a text")
    begins_s = seconds(spoken, "start", "supervision.start", least=None)
    start_s, duration_s = covered(0.0, length_s, begins_s, seconds(spoken, "duration", "supervision.duration"))
    named = {key: typed(spoken[key], str, key) for key in NAMED if spoken.get(key) is not None}
    whole = not start_s and duration_s == length_s
    return Utterance(
        id=name_of_cut(cut),
        audio=recording.audio,
        duration_s=None if whole else duration_s,
        text=typed(spoken["text"], str, "supervision.text"),
        start_s=start_s,
        columns={**custom_of(cut), **custom_of(spoken), **named, **own},
        file_s=length_s,
    )
