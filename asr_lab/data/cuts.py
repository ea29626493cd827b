"""The utterances of some datasets, selected by `where` and checked against the files' headers."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import attrs
import numpy as np

from asr_lab.audio.keyed_random import text_key
from asr_lab.audio.reading import AudioError, AudioInfo, tolerance_s
from asr_lab.data.absent_files import AbsentFiles
from asr_lab.data.cache import cache_root
from asr_lab.data.cut_table import MIX as MIX
from asr_lab.data.cut_table import Cuts as Cuts
from asr_lab.data.cut_table import Part as Part
from asr_lab.data.fingerprint import Fingerprint
from asr_lab.data.header_index import HeaderIndex
from asr_lab.data.kept_cuts import KeptCuts, LookedAt
from asr_lab.data.kept_sets import LEAST, with_notes
from asr_lab.data.packed import StringsBuilder
from asr_lab.data.utterance import BadCut, DataSource, LeftOutReason, Source, UnreadableUtterance, Utterance
from asr_lab.data.where import Where
from asr_lab.errors import DataError
from asr_lab.files import real_path

ChannelChoice = Literal["mix", "first", "split"]

NUM_THREADS = 8
"""Threads that read headers; they wait for the disk more than for the processor."""
PORTION = 4096
"""Utterances whose headers are read together."""
NO_AUDIO = ("no such file", "is empty", "holds no samples")
"""How AudioErrors begin that are of a file without audio, rather than of one that cannot be read."""
_NUMBERS = {
    "start_s": "d",
    "duration_s": "d",
    "whole": "b",
    "channel": "h",
    "part": "h",
    "group": "q",
    "keys": "Q",
    "language": "i",
}


def read_cuts(
    sources: Sequence[DataSource],
    root: Path,
    *,
    channel: ChannelChoice = "mix",
    keep_columns: bool = False,
    by_language: bool = False,
    keep_from: int = LEAST,
) -> Cuts:
    """All utterances of the sources that fit their `where` and can be used; `root` is where relative paths start.

    The others are named with their reason: a file that is missing, empty, not audio or shorter than it says; a
    declared length that is off by more than 0.1 s and 1 %; a second utterance of one id.
    `keep_from` and more are kept in the cache where every source names the files that decide its rows, but for their
    columns; they are read anew when one of these, or of the audio files, has changed.
    DataError when nothing is left.
    """
    opened = [given.read() for given in sources]
    kept = None if keep_columns else KeptCuts.of(sources, opened, (real_path(root), channel, by_language))
    if kept is not None and (cuts := kept.load()) is not None:
        return cuts
    reader, notes = _Reader(root, channel, keep_columns, by_language, None if kept is None else LookedAt()), list[str]()

    def read() -> Cuts:
        for number, (given, source) in enumerate(zip(sources, opened, strict=True)):
            reader.read(number, given, source)
        return reader.cuts()

    cuts = with_notes(read, notes)
    if kept is None or reader.looked_at is None or len(cuts) < keep_from:
        return cuts
    return kept.store(cuts, reader.looked_at, notes)


class _Reader:
    """Gathers the utterances of one dataset after the other."""

    def __init__(
        self,
        root: Path,
        channel: ChannelChoice,
        keep_columns: bool,
        by_language: bool,
        looked_at: LookedAt | None,
    ) -> None:
        self.root = root
        self.folders = (f"{cache_root()}/", f"{real_path(root)}/")
        self.channel = channel
        self.keep_columns = keep_columns
        self.by_language = by_language
        self.looked_at = looked_at
        self.languages: dict[str, int] = {}
        self.parts: list[Part] = []
        self.bad: list[BadCut] = []
        self.fingerprint = Fingerprint()
        self.refused: list[UnreadableUtterance] = []
        self.ids, self.audio, self.texts = StringsBuilder(), StringsBuilder(), StringsBuilder()
        self.numbers: dict[str, array[Any]] = {name: array(code) for name, code in _NUMBERS.items()}
        self.columns: list[dict[str, Any]] = []
        self.groups: dict[tuple[int, str], int] = {}
        self.headers = HeaderIndex(cache_root())
        self.infos: dict[str, AudioInfo | AudioError] = {}
        self.absent = AbsentFiles()
        self.spelled: dict[str, str] = {}

    def read(self, number: int, given: DataSource, source: Source) -> None:
        """Add one source."""
        label = given.label
        where = Where(given.where, f"{label}: where")
        self.parts.append(Part(label, given.weight, given.join))
        before, num_read, seen = len(self.ids), 0, set[str]()
        self.fingerprint.add(label, given.weight)
        wanted = (u for u in source.utterances if where.fits_columns(u.id, u.text, u.columns))
        with ThreadPoolExecutor(NUM_THREADS) as pool:
            while portion := list(islice(wanted, PORTION)):
                num_read += len(portion)
                portion = self._read_headers(portion, pool)
                for utterance in portion:
                    self._take(utterance, number, given, where, seen)
        self.infos.clear()
        for bad in source.bad:
            # A row that does not say what the conditions ask for may be any of the set's.
            if not bad.columns or where.fits_columns(bad.id, bad.text or "", bad.columns):
                self._refuse(bad, bad.reason, "bad row")
        where.check_columns()
        if len(self.ids) == before:
            raise DataError(_nothing_left(label, where, num_read, self.bad))

    def _read_headers(self, portion: Sequence[Utterance], pool: ThreadPoolExecutor) -> list[Utterance]:
        """Read what is not read yet; the utterances, with the paths of files as the disk spells them."""
        paths = [p for p in dict.fromkeys(u.audio for u in portion) if p not in self.infos]
        if len(self.infos) > 16 * PORTION:
            self.infos.clear()
            paths = list(dict.fromkeys(u.audio for u in portion))
        if self.looked_at is not None:
            self.looked_at.add(paths, pool)
        self.infos.update(self.headers.read(paths, pool))
        absent = [p for p in paths if isinstance(info := self.infos[p], AudioError) and info.reason == "no such file"]
        spelled = {p: found for p in absent if (found := self.absent.found(p))}
        self.infos.update({p: AudioError(p, self.absent.reason(p)) for p in absent if p not in spelled})
        if self.looked_at is not None:
            self.looked_at.add(spelled.values(), pool)
        self.infos.update(self.headers.read(list(spelled.values()), pool))
        if self.looked_at is not None:
            self.looked_at.add_refused((p, info.reason) for p in paths if isinstance(info := self.infos[p], AudioError))
        self.spelled.update(spelled)
        if not self.spelled:
            return list(portion)
        return [attrs.evolve(u, audio=self.spelled.get(u.audio, u.audio)) for u in portion]

    def _take(self, utterance: Utterance, number: int, given: DataSource, where: Where, seen: set[str]) -> None:
        info = self.infos[utterance.audio]
        if isinstance(info, AudioError):
            self._refuse(utterance, info.reason, "no audio" if info.reason.startswith(NO_AUDIO) else "unreadable")
            return
        for cut, channel in self._channels(utterance, info):
            duration_s = length_of(cut, info)
            cut = attrs.evolve(cut, duration_s=duration_s)
            if not where.fits_duration(duration_s):
                continue
            if cut.id in seen:
                self._refuse(cut, f"a second utterance is called {cut.id!r}", "second of its id")
                continue
            if (reason := _wrong_channel(channel, info)) is not None:
                self._refuse(cut, reason, "bad row")
                continue
            if (reason := _wrong_length(utterance, info)) is not None:
                self._refuse(cut, reason, "wrong duration")
                continue
            seen.add(cut.id)
            whole = utterance.duration_s is None or abs(cut.start_s + duration_s - info.duration_s) < 1e-3
            self._add(cut, channel, number, given, whole, info)

    def _channels(self, utterance: Utterance, info: AudioInfo) -> Iterator[tuple[Utterance, int]]:
        """The utterances to make of one, with the channel of each."""
        if utterance.channel is not None:
            yield utterance, utterance.channel
        elif self.channel == "split" and info.num_channels > 1:
            for channel in range(info.num_channels):
                yield attrs.evolve(utterance, id=f"{utterance.id}-c{channel}"), channel
        else:
            yield utterance, 0 if self.channel == "first" or info.num_channels == 1 else MIX

    def _add(self, cut: Utterance, channel: int, number: int, given: DataSource, whole: bool, info: AudioInfo) -> None:
        same = given.join.same if given.join else None
        value = str(cut.columns.get(same, "")) if same else ""
        group = self.groups.setdefault((number, value), len(self.groups))
        assert cut.duration_s is not None
        self.ids.append(cut.id)
        self.audio.append(cut.audio)
        self.texts.append(cut.text)
        key = text_key(f"{number}\t{cut.id}\t{channel}")
        spoken = str(cut.columns.get("language") or "") if self.by_language else ""
        language = self.languages.setdefault(spoken, len(self.languages))
        values = (cut.start_s, cut.duration_s, whole, channel, number, group, key, language)
        for numbers, number_of in zip(self.numbers.values(), values, strict=True):
            numbers.append(number_of)
        if self.keep_columns:
            self.columns.append(cut.columns)
        # As it would be on another machine.
        path = cut.audio
        for folder in self.folders:
            path = path.removeprefix(folder)
        self.fingerprint.add(cut.id, path, info.content.hex(), cut.start_s, cut.duration_s, channel, cut.text, value)
        if self.by_language:
            self.fingerprint.add(spoken)

    def _refuse(self, row: Utterance | UnreadableUtterance, reason: str, kind: LeftOutReason) -> None:
        self.bad.append(BadCut(row.id, row.audio, reason, kind))
        if self.keep_columns:
            self.refused.append(UnreadableUtterance(row.id, row.audio, reason, row.text, row.columns))

    def cuts(self) -> Cuts:
        """What was gathered."""
        numbers = {name: np.array(values) for name, values in self.numbers.items()}
        return Cuts(
            ids=self.ids.build(),
            audio=self.audio.build(),
            texts=self.texts.build(),
            start_s=numbers["start_s"],
            duration_s=numbers["duration_s"],
            whole=numbers["whole"].astype(np.bool_),
            channel=numbers["channel"],
            part=numbers["part"],
            group=numbers["group"],
            keys=numbers["keys"],
            language=numbers["language"],
            languages=tuple(self.languages),
            columns=tuple(self.columns),
            parts=tuple(self.parts),
            refused=tuple(self.refused),
            bad=tuple(self.bad),
            fingerprint=self.fingerprint.hexdigest(),
        )


def length_of(utterance: Utterance, info: AudioInfo) -> float:
    """The length of an utterance in seconds: what is declared, but never behind the end of its file."""
    rest_s = max(info.duration_s - utterance.start_s, 0.0)
    return rest_s if utterance.duration_s is None else min(utterance.duration_s, rest_s)


def _wrong_channel(channel: int, info: AudioInfo) -> str | None:
    if channel != MIX and channel >= info.num_channels:
        return f"has no channel {channel}, only {info.num_channels} (counted from 0)"
    return None


def _wrong_length(utterance: Utterance, info: AudioInfo) -> str | None:
    length_s = info.duration_s
    if utterance.file_s is not None and abs(utterance.file_s - length_s) > tolerance_s(length_s):
        return f"wrong duration: the manifest says {utterance.file_s:.2f} s, the file lasts {length_s:.2f} s"
    if utterance.duration_s is not None:
        end_s = utterance.start_s + utterance.duration_s
        if end_s > length_s + tolerance_s(length_s):
            return f"wrong duration: it should end at {end_s:.2f} s, the file lasts {length_s:.2f} s"
    if utterance.start_s >= length_s:
        return f"starts at {utterance.start_s:.6g} s, the file lasts {length_s:.2f} s"
    if utterance.duration_s == 0:
        return "has no length"
    return None


def _nothing_left(label: str, where: Where, num_read: int, bad: Sequence[BadCut]) -> str:
    if bad:
        return f"{label}: no usable utterance; the first of {len(bad)} bad ones is {bad[0].id}: {bad[0].reason}"
    if where.conditions:
        values = where.describe_values()
        return f"{label}: no utterance fits where = {where.conditions}" + (f" ({values})" if values else "")
    return f"{label}: holds no utterance" + (f" ({num_read} read)" if num_read else "")
