"""Kaldi's data directories: tables by utterance, recordings as files, in arks, or by commands that are never run."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from asr_lab.data.sources.kaldi_audio import ArkIndex, ScpAudio, scp_audio
from asr_lab.data.sources.rows import Found, tried
from asr_lab.data.sources.text_lines import is_text, read_lines
from asr_lab.data.utterance import Utterance, brief
from asr_lab.errors import DataError, count_of

COLUMNS = {"utt2spk": "speaker", "utt2lang": "language"}
FILES = ("wav.scp", "text", "segments", "spk2gender", "reco2file_and_channel", *COLUMNS)
"""All that a directory's utterances are read from."""


class _Stretch(NamedTuple):
    """What a line of `segments` says."""

    recording: str
    start: str
    end: str


def kaldi_rows(folder: Path, audio_root: Path) -> Iterator[Found]:
    """The utterances that `text` and `wav.scp`, or `segments`, both name; columns speaker, gender, language.

    Utterances that one of the two alone names are warned of. A command in `wav.scp` is read as the file that it
    converts where it is a plain use of flac, sph2pipe, sox, ffmpeg or cat, and is bad otherwise. DataError where `text`
    or `wav.scp` is absent.
    """
    for needed in ("wav.scp", "text"):
        if not (folder / needed).is_file():
            raise DataError(f"no file {folder / needed}; a Kaldi data directory holds wav.scp and text")
    scp = _table(folder / "wav.scp")
    segments = _segments(folder / "segments") if (folder / "segments").is_file() else None
    audio = {name: scp_audio(value) for name, value in scp.items()}
    _give_channels(folder, audio)
    arks = ArkIndex({name: one for name, one in audio.items() if one.offset is not None})
    columns = _columns(folder)
    known = segments if segments is not None else scp
    unread = set(known)
    absent: list[str] = []
    for number, line, problem in read_lines(folder / "text"):
        name, _, text = line.strip(" \t").replace("\t", " ", 1).partition(" ")
        if not name and not problem:
            continue
        unread.discard(name)
        if name not in known and not problem:
            absent.append(name)
            continue

        def make(name: str = name, text: str = text) -> Utterance:
            stretch = segments[name] if segments is not None else _Stretch(name, "", "")
            one = audio.get(stretch.recording)
            if one is None:
                raise ValueError(f"is of the recording {brief(stretch.recording)}, which wav.scp does not have")
            return _utterance(name, text.strip(" \t"), stretch, one, arks.path_of(one, audio_root), columns)

        yield tried(f"text:{number}", folder / "text", problem, make, text)
    where = "wav.scp" if segments is None else "segments"
    for names, what in ((absent, f"with a text, not in {where}"), (sorted(unread), f"in {where}, without a text")):
        if names:
            note = f"{count_of(len(names), 'utterance')} {what}, as {brief(names[0])}; not read"
            warnings.warn(f"{folder}: {note}", stacklevel=2)


def _utterance(
    name: str, text: str, stretch: _Stretch, audio: ScpAudio, path: str, columns: dict[str, dict[str, str]]
) -> Utterance:
    start_s = _seconds(stretch.start) if stretch.start else 0.0
    end = stretch.end and float(_number(stretch.end))
    duration_s = None
    if end and end >= 0:
        if end <= start_s:
            raise ValueError(f"its segment ends before it starts: {start_s:g} to {end:g}")
        duration_s = round(end - start_s, 9)
    own = {column: values[name] for column, values in columns.items() if name in values}
    return Utterance(name, path, duration_s, text, start_s, audio.channel, own)


def _columns(folder: Path) -> dict[str, dict[str, str]]:
    """What else is known of utterances, by column."""
    found = {column: _texts(folder / file) for file, column in COLUMNS.items() if (folder / file).is_file()}
    if (folder / "spk2gender").is_file():
        named = {"m": "male", "f": "female"}
        genders = {name: named.get(value, value) for name, value in _texts(folder / "spk2gender").items()}
        speakers = found.get("speaker", {})
        found["gender"] = {name: genders[speaker] for name, speaker in speakers.items() if speaker in genders}
    return found


def _texts(path: Path) -> dict[str, str]:
    return {name: value for name, value in _table(path).items() if is_text(value)}


def _table(path: Path) -> dict[str, str]:
    """A table of Kaldi's, split once at white space; a line that cannot be read is warned of."""
    found = {}
    for number, line, problem in read_lines(path):
        name, _, value = line.strip(" \t").replace("\t", " ", 1).partition(" ")
        if problem:
            warnings.warn(f"{path}:{number} {problem}; it is passed over", stacklevel=2)
        elif name:
            found[name] = value.strip(" \t")
    return found


def _segments(path: Path) -> dict[str, _Stretch]:
    found = {}
    for name, value in _table(path).items():
        recording, start, end, *_ = [*value.split(), "", "", ""]
        found[name] = _Stretch(recording, start, end)
    return found


def _give_channels(folder: Path, audio: dict[str, ScpAudio]) -> None:
    """Channels of files that two recordings share, as `reco2file_and_channel` says."""
    path = folder / "reco2file_and_channel"
    if not path.is_file():
        return
    uses = Counter(one.path for one in audio.values())
    for name, value in _table(path).items():
        one = audio.get(name)
        letter = value.rpartition(" ")[2].strip()
        if one is not None and one.channel is None and uses[one.path] > 1 and letter in ("A", "B", "1", "2"):
            audio[name] = one._replace(channel="AB".find(letter) if letter in "AB" else int(letter) - 1)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"its segment holds no number of seconds: {brief(text)}") from None


def _seconds(text: str) -> float:
    value = _number(text)
    if not 0 <= value < float("inf"):
        raise ValueError(f"its segment starts at no time: {brief(text)}")
    return value
