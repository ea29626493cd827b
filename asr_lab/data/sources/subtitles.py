"""Subtitles, SubRip (`.srt`) and WebVTT (`.vtt`): what is spoken from when to when."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from asr_lab.data.sources.text_lines import is_text, read_lines
from asr_lab.data.utterance import brief

ENDINGS = (".srt", ".vtt")
_TIME = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{2})[.,](\d{1,3})"
_TIMES = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(\s.*)?", re.ASCII)
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^<>]+)>")
_TAG = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")
_APART = ("NOTE", "STYLE", "REGION", "WEBVTT")
"""How blocks of WebVTT begin that are no cues."""


class Cue(NamedTuple):
    """One subtitle."""

    number: int
    """Of the line with its times."""
    start_s: float
    end_s: float
    text: str
    """On one line, without tags."""
    speaker: str = ""
    """Where WebVTT names one."""
    problem: str = ""
    """Why it cannot be used."""


def read_cues(path: Path) -> Iterator[Cue]:
    """The subtitles of a file in its order, empty ones left out. DataError for a file that cannot be read."""
    times: tuple[int, float, float] | None = None
    texts: list[str] = []
    problem, apart = "", False
    for number, line, wrong in read_lines(path):
        found = _TIMES.fullmatch(line)
        apart = bool(line.strip()) and (apart or (times is None and line.startswith(_APART)))
        if apart:
            continue
        if found is not None:
            # The line before may be the cue's number or name, which is no text of the cue before it.
            if times is not None and texts and texts[-1].strip().isdigit():
                texts.pop()
            yield from _cue(times, texts, problem)
            times, texts, problem = (number, _seconds(found, 1), _seconds(found, 5)), [], ""
        elif not line.strip() and not wrong:
            yield from _cue(times, texts, problem)
            times, texts, problem = None, [], ""
        elif "-->" in line:
            yield from _cue(times, texts, problem)
            times, texts, problem = None, [], ""
            yield Cue(number, 0.0, 0.0, "", problem=f"is no line of times: {brief(line)}")
        elif times is not None:
            problem = problem or wrong or ("" if is_text(line) else "is not UTF-8")
            texts.append(line)
    yield from _cue(times, texts, problem)


def _cue(times: tuple[int, float, float] | None, texts: list[str], problem: str) -> Iterator[Cue]:
    if times is None:
        return
    number, start_s, end_s = times
    text = " ".join(texts)
    voice = _VOICE.search(text)
    plain = " ".join(html.unescape(_TAG.sub(" ", text)).split())
    if end_s <= start_s:
        problem = problem or f"it ends before it starts: {start_s:g} to {end_s:g}"
    if plain or problem:
        yield Cue(number, start_s, end_s, plain, voice[1].strip() if voice else "", problem)


def _seconds(found: re.Match[str], first: int) -> float:
    hours, minutes, seconds, thousandths = (found[first + i] or "0" for i in range(4))
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(thousandths.ljust(3, "0")) / 1000
