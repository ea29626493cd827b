"""Files that are not where a manifest says: spelled otherwise on the disk, or no files at all."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable

import attrs

COMMAND = re.compile(r"(^|/)pipe:|\|\s*$", re.DOTALL)
"""Kaldi's and NeMo's commands whose output is the audio."""
ADDRESS = re.compile(r"(^|/)(https?|ftp|s3|gs|hf|ais|az|file):/")


@attrs.define
class AbsentFiles:
    """Looks for files by their names' letters; what a folder holds is read once."""

    _listings: dict[str, dict[str, list[str]]] = attrs.field(factory=dict)
    """Of each folder the names that it holds, by what they are in Unicode's composed form without case."""

    def found(self, path: str) -> str | None:
        """The one file whose name is the same text in another of Unicode's forms (NFC, NFD); None where there is none.

        Disks that were written by macOS hold the decomposed form, manifests most often the composed one.
        """
        spelled = self._spelled(path, composed)
        return spelled if spelled is not None and spelled != path else None

    def reason(self, path: str) -> str:
        """Why there is no file, and what was meant, as far as its name shows."""
        if COMMAND.search(path):
            return "no such file: it looks like a command, which is never run; write what it gives to a file"
        if ADDRESS.search(path):
            return "no such file: it looks like an address, which is never fetched; download it first"
        if (spelled := self._spelled(path, _caseless)) is not None:
            return f"no such file; one is spelled otherwise: {os.path.basename(spelled)!r}"
        return "no such file"

    def _spelled(self, path: str, alike: Callable[[str], str]) -> str | None:
        """The path as the disk spells it, name by name; None unless each name is there once."""
        here = "/" if path.startswith("/") else ""
        for name in filter(None, path.split("/")):
            there = os.path.join(here, name)
            if name not in (".", "..") and not os.path.lexists(there):
                names = [n for n in self._listed(here).get(_caseless(name), ()) if alike(n) == alike(name)]
                if len(names) != 1:
                    return None
                there = os.path.join(here, names[0])
            here = there
        return here

    def _listed(self, folder: str) -> dict[str, list[str]]:
        if folder not in self._listings:
            names: dict[str, list[str]] = {}
            try:
                for name in os.listdir(folder or "."):
                    names.setdefault(_caseless(name), []).append(name)
            except OSError:
                pass
            self._listings[folder] = names
        return self._listings[folder]


def composed(name: str) -> str:
    """A name in Unicode's composed form: disks that were written by macOS hold the other."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def _caseless(name: str) -> str:
    return composed(composed(name).casefold())
