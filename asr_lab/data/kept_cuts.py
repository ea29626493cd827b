"""`Cuts` of many utterances in the cache, believed while the files that decided them are as they were."""

from __future__ import annotations

import os
import warnings
from array import array
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import attrs
import numpy as np

from asr_lab.audio.decoding import AudioError
from asr_lab.audio.file_slice import part_of
from asr_lab.audio.reading import read_info
from asr_lab.data.cache import cache_root
from asr_lab.data.cut_table import Cuts, Part
from asr_lab.data.kept_arrays import Array, KeptArrays
from asr_lab.data.kept_sets import ABSENT, Stamp, are_stable, as_they_were, keep, kept, key_of, stamps_of
from asr_lab.data.packed import Strings, StringsBuilder
from asr_lab.data.utterance import BadCut, DataSource, Source

TEXTS = ("ids", "audio", "texts")
NUMBERS = ("start_s", "duration_s", "whole", "channel", "part", "group", "keys", "language")


class LookedAt:
    """The audio files that a reading looked at, as they were, and what it refused of those that are there."""

    def __init__(self) -> None:
        self.paths = StringsBuilder()
        self.sizes, self.mtimes = array("q"), array("q")
        self.refused: dict[str, str] = {}
        self._holding: set[str] = set()
        """Files of which parts are read, and folders that lack one."""

    def add(self, paths: Iterable[str], pool: ThreadPoolExecutor) -> None:
        """To be called before they are read. Of a file that is absent, the folder where it would be counts as well."""
        whole = list[str]()
        for path in paths:
            part = part_of(path)
            if part is None:
                whole.append(path)
            elif part.path not in self._holding:
                self._holding.add(part.path)
                whole.append(part.path)
        for path, stamp in zip(whole, stamps_of(whole, pool), strict=True):
            self._append(path, stamp)
            if stamp.size == ABSENT and (folder := _existing(path)) not in self._holding:
                self._holding.add(folder)
                self._append(folder, Stamp.of(folder))

    def add_refused(self, refused: Iterable[tuple[str, str]]) -> None:
        """Those that cannot be used, with the reason."""
        self.refused.update(refused)

    def _append(self, path: str, stamp: Stamp) -> None:
        self.paths.append(path)
        self.sizes.append(stamp.size)
        self.mtimes.append(stamp.mtime_ns)


@attrs.frozen
class KeptCuts:
    """Where the cuts of some sources are kept."""

    key: str
    stamps: dict[str, Stamp]
    """Of the files that decide the rows, before they were read."""
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, given: Sequence[DataSource], opened: Sequence[Source], options: Sequence[Any]) -> KeptCuts | None:
        """None where a source does not name its files."""
        if not all(source.files for source in opened):
            return None
        stamps = {str(path): Stamp.of(path) for source in opened for path in source.files}
        named = [
            (
                one.label,
                one.weight,
                dict(one.where),
                one.join,
                one.settings,
                [(str(p), *stamps[str(p)]) for p in its.files],
            )
            for one, its in zip(given, opened, strict=True)
        ]
        parts = tuple(Part(one.label, one.weight, one.join) for one in given)
        return cls(key_of("cuts", named, cache_root(), os.getcwd(), *options), stamps, parts)

    def load(self) -> Cuts | None:
        """What was kept; None where nothing was, or an audio file is not as it was."""
        found = kept(self.key)
        if found is None:
            return None
        try:
            cuts = self._cuts(found)
            looked_at = _texts(found, "looked_at")
            sizes, mtimes = found.arrays["looked_at.sizes"], found.arrays["looked_at.mtimes"]
            refused, notes = dict(found.rest["refused"]), list(found.rest["notes"])
        except (KeyError, TypeError, ValueError):
            warnings.warn(
                f"what the cache has of {self.parts[0].label} is of another form; it is made anew", stacklevel=2
            )
            return None
        if not as_they_were(looked_at, sizes, mtimes) or any(_refusal(path) != why for path, why in refused.items()):
            return None
        for note in notes:
            warnings.warn(note, stacklevel=2)
        return cuts

    def store(self, cuts: Cuts, looked_at: LookedAt, notes: Sequence[str]) -> Cuts:
        """Keep what was read; the same cuts, in the cache's file where that could be written.

        Nothing is kept where a file changed meanwhile, or so lately that it may change again unnoticed.
        """
        unchanged = all(Stamp.of(path) == stamp for path, stamp in self.stamps.items())
        stamps = [*self.stamps.values(), Stamp(0, max(looked_at.mtimes, default=0))]
        if not unchanged or not are_stable(stamps):
            return cuts
        arrays: dict[str, Array] = {}
        for name, texts in (*((name, getattr(cuts, name)) for name in TEXTS), ("looked_at", looked_at.paths.build())):
            arrays[f"{name}.block"], arrays[f"{name}.ends"] = texts.packed
        arrays |= {name: getattr(cuts, name) for name in NUMBERS}
        arrays["whole"] = cuts.whole.view(np.uint8)
        arrays["looked_at.sizes"] = np.array(looked_at.sizes, dtype=np.int64)
        arrays["looked_at.mtimes"] = np.array(looked_at.mtimes, dtype=np.int64)
        refused = {path: why for path, why in looked_at.refused.items() if os.path.exists(path)}
        rest = {
            "languages": cuts.languages,
            "bad": cuts.bad,
            "fingerprint": cuts.fingerprint,
            "refused": refused,
            "notes": list(notes),
        }
        found = keep(self.key, arrays, rest)
        return cuts if found is None else self._cuts(found)

    def _cuts(self, found: KeptArrays) -> Cuts:
        """KeyError, TypeError or ValueError for what is no cuts."""
        rest, numbers = found.rest, {name: found.arrays[name] for name in NUMBERS}
        texts = {name: _texts(found, name) for name in TEXTS}
        if len({*map(len, numbers.values()), *map(len, texts.values())}) != 1:
            raise ValueError("arrays of several lengths")
        return Cuts(
            ids=texts["ids"],
            audio=texts["audio"],
            texts=texts["texts"],
            start_s=numbers["start_s"],
            duration_s=numbers["duration_s"],
            whole=numbers["whole"].view(np.bool_),
            channel=numbers["channel"],
            part=numbers["part"],
            group=numbers["group"],
            keys=numbers["keys"],
            language=numbers["language"],
            languages=tuple(rest["languages"]),
            columns=(),
            parts=self.parts,
            refused=(),
            bad=tuple(BadCut(*one) for one in rest["bad"]),
            fingerprint=str(rest["fingerprint"]),
        )


def _texts(found: KeptArrays, name: str) -> Strings:
    return Strings.of(found.arrays[f"{name}.block"].data, found.arrays[f"{name}.ends"])


def _refusal(path: str) -> str:
    """Why a file cannot be used; "" where it can."""
    try:
        read_info(path)
    except AudioError as error:
        return error.reason
    return ""


def _existing(path: str) -> str:
    """The innermost folder of a path that is there."""
    folder = os.path.dirname(path)
    while folder and not os.path.isdir(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    return folder or "."
