"""Multilingual LibriSpeech: transcripts in one file a split, audio by speaker and book."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from asr_lab.data.sources.rows import Found, counted, tried
from asr_lab.data.sources.text_lines import read_lines
from asr_lab.data.utterance import Utterance
from asr_lab.errors import DataError

LANGUAGES = {
    "dutch": ("nl", 374287, 3095, 3075),
    "english": ("en", 10808037, 3807, 3769),
    "french": ("fr", 258213, 2416, 2426),
    "german": ("de", 469942, 3469, 3394),
    "italian": ("it", 59623, 1248, 1262),
    "polish": ("pl", 25043, 512, 520),
    "portuguese": ("pt", 37533, 826, 871),
    "spanish": ("es", 220701, 2408, 2385),
}
"""By the corpus' name: ISO 639-1, and the published utterances of train, dev, test."""
SPLITS = ("train", "dev", "test")
LIMITED = {
    "train-1h": ("1hr/0", "1hr/1", "1hr/2", "1hr/3", "1hr/4", "1hr/5"),
    "train-9h": ("9hr",),
    "train-10h": ("9hr", "1hr/0", "1hr/1", "1hr/2", "1hr/3", "1hr/4", "1hr/5"),
    "train-10min": ("1hr/0",),
}
"""Parts of train for training with few labels: their folders of handles."""


def mls_folder(base: Path, language: str, opus: bool | None) -> Path | None:
    """The folder of a language: FLAC's before Opus', unless one is asked for."""
    kinds = [f"mls_{language}"] if opus is not True else []
    kinds += [f"mls_{language}_opus"] if opus is not False else []
    return next((base / kind for kind in kinds if (base / kind).is_dir()), None)


def mls_rows(folder: Path, language: str, split: str) -> Iterator[Found]:
    """The utterances of a split, or of one of `LIMITED`; columns speaker, book, language, locale, split, gender.

    DataError where its transcripts are absent.
    """
    iso, *published = LANGUAGES[language]
    part = "train" if split in LIMITED else split
    handles = _handles(folder, split)
    genders = _genders(folder / "metainfo.txt")
    table = folder / part / "transcripts.txt"
    if not table.is_file():
        raise DataError(f"no transcripts {table}; the archive of MLS {language} is not whole: unpack it again")
    ending = ".opus" if folder.name.endswith("_opus") else ".flac"
    fixed = {"language": str(iso), "locale": language, "split": split}
    rows = _rows(table, folder / part / "audio", ending, fixed, genders, handles)
    count = len(handles) if handles is not None else int(published[SPLITS.index(part)])
    yield from counted(rows, f"MLS {language} {split}", count)


def _rows(
    table: Path,
    audio: Path,
    ending: str,
    fixed: dict[str, str],
    genders: dict[str, str],
    handles: Collection[str] | None,
) -> Iterator[Found]:
    for number, line, problem in read_lines(table):
        if not line.strip() and not problem:
            continue
        name, tab, text = line.partition("\t")
        if handles is not None and name not in handles and not problem:
            continue
        speaker, _, rest = name.partition("_")
        book = rest.partition("_")[0]
        problem = problem or ("" if tab else "row has no tab between id and text")

        def make(name: str = name, text: str = text, speaker: str = speaker, book: str = book) -> Utterance:
            columns = {**fixed, "speaker": speaker, "book": book}
            if speaker in genders:
                columns["gender"] = genders[speaker]
            return Utterance(name, f"{audio}/{speaker}/{book}/{name}{ending}", None, text, columns=columns)

        yield tried(f"{table.name}:{number}", table, problem, make, text if tab else None)


def _handles(folder: Path, split: str) -> frozenset[str] | None:
    """The ids of a part of train; None for a whole split."""
    if split not in LIMITED:
        return None
    files = [folder / "train" / "limited_supervision" / part / "handles.txt" for part in LIMITED[split]]
    if lacking := [file for file in files if not file.is_file()]:
        raise DataError(f"no list of utterances {lacking[0]}, which {split} needs; it comes with the archive")
    return frozenset(line.text.strip() for file in files for line in read_lines(file) if line.text.strip())


def _genders(table: Path) -> dict[str, str]:
    """Of each speaker, as far as the table of speakers is there and whole."""
    found = {}
    for _, line, problem in read_lines(table) if table.is_file() else ():
        fields = [field.strip() for field in line.split("|")]
        if not problem and len(fields) > 2 and fields[1] in ("M", "F"):
            found[fields[0]] = {"M": "male", "F": "female"}[fields[1]]
    return found
