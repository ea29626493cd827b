"""Folders of recordings with their transcripts beside them: texts, subtitles, Kaldi's tables, LibriSpeech's trees."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from asr_lab.audio.folders import is_audio, walk
from asr_lab.data.sources.kaldi import kaldi_rows
from asr_lab.data.sources.rows import Found, source_of, tried
from asr_lab.data.sources.subtitles import ENDINGS as SUBTITLES
from asr_lab.data.sources.subtitles import Cue, read_cues
from asr_lab.data.sources.text_lines import read_text
from asr_lab.data.sources.trees import has_tree, read_tree
from asr_lab.data.utterance import Source, Utterance
from asr_lab.errors import DataError, count_of

TEXTS = (".normalized.txt", ".txt", ".lab")
"""Transcripts of a whole recording."""


def read_beside(folder: Path) -> Source:
    """The utterances of a folder of whichever kind.

    A Kaldi data directory, a tree like LibriSpeech's, or recordings beside files of their names that end in one of
    `TEXTS`, or in `.srt` or `.vtt`, with a language between (`talk.en.srt`) where they say one. Recordings without a
    transcript and transcripts without a recording are warned of. DataError where there is no recording with one.
    """
    if not folder.is_dir():
        raise DataError(f"no folder {folder}")
    if (folder / "wav.scp").is_file() and (folder / "text").is_file():
        return source_of(kaldi_rows(folder, folder))
    if has_tree(folder):
        return read_tree(folder, {})
    return source_of(_rows(folder))


def _rows(folder: Path) -> Iterator[Found]:
    found = without = 0
    first_without = ""
    unused: list[str] = []
    for parent, names in walk(folder):
        transcripts = {name for name in names if name.endswith((*TEXTS, *SUBTITLES)) and not name.startswith(".")}
        used: set[str] = set()
        for name in sorted(filter(is_audio, names)):
            stem = os.path.splitext(name)[0]
            chosen = next((stem + e for e in (*SUBTITLES, *TEXTS) if stem + e in transcripts), None)
            chosen = chosen or _with_language(stem, transcripts)
            if chosen is None:
                without += 1
                first_without = first_without or f"{parent}/{name}"
                continue
            used.add(chosen)
            found += 1
            yield from _recording(folder, Path(parent), name, chosen)
        unused += [f"{parent}/{name}" for name in sorted(transcripts - used) if not _is_form_of(name, used)]
    if not found:
        raise DataError(
            f"{folder}: no recording with a transcript of its name beside it ({', '.join((*TEXTS, *SUBTITLES))}), "
            "no wav.scp with text, no *.trans.txt"
        )
    if without:
        warnings.warn(
            f"{folder}: {count_of(without, 'recording')} without a transcript, as {first_without}", stacklevel=2
        )
    if unused:
        warnings.warn(
            f"{folder}: {count_of(len(unused), 'transcript')} without a recording, as {unused[0]}", stacklevel=2
        )


def _recording(folder: Path, parent: Path, name: str, transcript: str) -> Iterator[Found]:
    stem = os.path.splitext(name)[0]
    own = os.path.relpath(parent / stem, folder)
    between = transcript.removeprefix(stem).strip(".").rpartition(".")[0]
    columns = {"language": between} if between and transcript.endswith(SUBTITLES) else {}
    audio = str(parent / name)
    if not transcript.endswith(SUBTITLES):
        yield tried(own, parent / transcript, "", lambda: _whole(own, audio, parent / transcript))
        return
    for cue in read_cues(parent / transcript):
        spoken = {**columns, **({"speaker": cue.speaker} if cue.speaker else {})}

        def make(cue: Cue = cue, spoken: dict[str, str] = spoken) -> Utterance:
            at = f"{cue.start_s:.3f}".rstrip("0").rstrip(".")
            length_s = round(cue.end_s - cue.start_s, 9)
            return Utterance(f"{own}@{at}", audio, length_s, cue.text, cue.start_s, columns=dict(spoken))

        yield tried(f"{transcript}:{cue.number}", parent / transcript, cue.problem, make, cue.text)


def _whole(name: str, audio: str, transcript: Path) -> Utterance:
    try:
        text = " ".join(read_text(transcript).split())
    except DataError as error:
        raise ValueError(str(error)) from error
    return Utterance(name, audio, None, text)


def _with_language(stem: str, transcripts: set[str]) -> str | None:
    """The subtitles that name a language between the stem and the ending; the first of several."""
    named = [t for t in transcripts if t.startswith(f"{stem}.") and t.endswith(SUBTITLES) and t.count(".") >= 2]
    return min((t for t in named if "." not in t[len(stem) + 1 : -4]), default=None)


def _is_form_of(name: str, used: set[str]) -> bool:
    """Whether another form of a transcript is used: a text beside subtitles, another language."""
    stems = {name.removesuffix(ending) for ending in (*TEXTS, *SUBTITLES) if name.endswith(ending)}
    return any(one.startswith(tuple(f"{stem}." for stem in stems)) for one in used) or any(
        name.startswith(f"{one.removesuffix(ending)}.")
        for one in used
        for ending in (*TEXTS, *SUBTITLES)
        if one.endswith(ending)
    )
