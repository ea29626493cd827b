"""AN4: lists of files beside transcriptions in Sphinx's form."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path

from asr_lab.audio.folders import ENDINGS
from asr_lab.data.sources.rows import Found, counted, tried
from asr_lab.data.sources.text_lines import read_lines
from asr_lab.data.utterance import Utterance, brief
from asr_lab.errors import DataError, count_of

PUBLISHED = {"train": 948, "test": 130}
_LINE = re.compile(r"(?:<s>\s*)?(.*?)\s*(?:</s>\s*)?\(([^()\s]+)\)\s*")


def an4_rows(base: Path, split: str) -> Iterator[Found]:
    """The utterances that `etc/an4_SPLIT.fileids` and `.transcription` both name; columns speaker, language, split.

    Those in one of the two alone are warned of. DataError where one is absent.
    """
    yield from counted(_rows(base, split), f"AN4 {split}", PUBLISHED[split])


def _rows(base: Path, split: str) -> Iterator[Found]:
    files, transcripts = (base / "etc" / f"an4_{split}.{kind}" for kind in ("fileids", "transcription"))
    if lacking := [path for path in (files, transcripts) if not path.is_file()]:
        raise DataError(f"no list {lacking[0]}; the archive of AN4 is not whole: unpack it again")
    paths = {line.text.strip().rpartition("/")[2]: line.text.strip() for line in read_lines(files) if line.text.strip()}
    unread = set(paths)
    for number, line, problem in read_lines(transcripts):
        if not line.strip() and not problem:
            continue
        found = _LINE.fullmatch(line)
        if not problem and found is None:
            problem = f"is no transcription, text and then an id in brackets: {brief(line)}"
        name = found[2] if found else ""
        if not problem and name not in paths:
            problem = f"{brief(name)} is not in {files.name}"
        unread.discard(name)

        def make(name: str = name, found: re.Match[str] | None = found) -> Utterance:
            assert found is not None
            speaker = paths[name].split("/")[-2] if "/" in paths[name] else ""
            columns = {"speaker": speaker, "language": "en", "split": split}
            return Utterance(name, _recording(base / "wav" / paths[name]), None, found[1], columns=columns)

        yield tried(f"{transcripts.name}:{number}", transcripts, problem, make, found[1] if found else None)
    if unread:
        what = f"{count_of(len(unread), 'file')} without a transcription, as {min(unread)}"
        warnings.warn(f"AN4 {split}: {what}; not read", stacklevel=2)


def _recording(stem: Path) -> str:
    """The file of an utterance, whatever its ending; the published one where there is none."""
    files = [f"{stem}{ending}" for ending in (".sph", *ENDINGS)]
    return next((file for file in files if Path(file).is_file()), files[0])
