"""GigaSpeech's one JSON file: recordings with segments, which belong to nested subsets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asr_lab.data.sources.json_lines import seconds, typed
from asr_lab.data.sources.json_stream import objects_of
from asr_lab.data.sources.rows import Found, tried
from asr_lab.data.utterance import Utterance

GARBAGE = frozenset(("<SIL>", "<MUSIC>", "<NOISE>", "<OTHER>"))
MARKS = {"<COMMA>": ",", "<PERIOD>": ".", "<QUESTIONMARK>": "?", "<EXCLAMATIONPOINT>": "!"}
_MARK = re.compile(rf"\s*({'|'.join(MARKS)})")


def gigaspeech_rows(manifest: Path, folder: Path, subset: str, punctuation: bool) -> Iterator[Found]:
    """The segments of a subset, read one recording after the other; columns speaker, source, title, language, split.

    Segments that are nothing but noise are none. `punctuation`: its tags become signs, else they are left out.
    """
    wanted = f"{{{subset}}}"
    for number, audio in enumerate(objects_of(manifest, "audios")):
        place = str(audio.get("aid", f"audios[{number}]"))[:200]
        segments = audio.get("segments")
        for at, segment in enumerate(segments if isinstance(segments, list) else ()):
            subsets = segment.get("subsets") if isinstance(segment, dict) else None
            if isinstance(subsets, list) and wanted not in subsets:
                continue
            if isinstance(segment, dict) and segment.get("text_tn") in GARBAGE:
                continue

            def make(audio: dict[str, Any] = audio, segment: Any = segment) -> Utterance:
                return _utterance(audio, typed(segment, dict, "segment"), folder, subset, punctuation)

            yield tried(f"{place}.segments[{at}]", manifest, "", make, _spoken(segment))


def _spoken(segment: Any) -> str | None:
    text = segment.get("text_tn") if isinstance(segment, dict) else None
    return text if isinstance(text, str) else None


def _utterance(audio: dict[str, Any], segment: dict[str, Any], folder: Path, subset: str, marks: bool) -> Utterance:
    begin_s, end_s = seconds(segment, "begin_time", "begin_time"), seconds(segment, "end_time", "end_time")
    if end_s <= begin_s:
        raise ValueError(f"end_time must be after begin_time, got {begin_s:g} to {end_s:g}")
    named = {"source": audio.get("source"), "title": audio.get("title"), "speaker": segment.get("speaker")}
    columns = {name: value for name, value in named.items() if isinstance(value, str) and value not in ("", "N/A")}
    text = typed(segment.get("text_tn"), str, "text_tn")
    text = _MARK.sub(lambda found: MARKS[found[1]] if marks else " ", text)
    return Utterance(
        id=typed(segment.get("sid"), str, "sid"),
        audio=str(folder / typed(audio.get("path"), str, "path")),
        duration_s=round(end_s - begin_s, 9),
        text=" ".join(text.split()),
        start_s=begin_s,
        columns={**columns, "language": "en", "split": subset},
    )
