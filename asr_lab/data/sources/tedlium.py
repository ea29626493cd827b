"""TED-LIUM: talks in NIST Sphere with segments in STM files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from asr_lab.data.sources.rows import Found, counted, tried
from asr_lab.data.sources.text_lines import read_lines
from asr_lab.data.utterance import Utterance, brief

IGNORED = "ignore_time_segment_in_scoring"
PUBLISHED = {("3", "train"): 268263, ("3", "dev"): 507, ("3", "test"): 1155}
"""Utterances by release and split, those to be ignored left out."""
FIELDS = re.compile(r"(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)(?:\s+(<[^>]*>))?(?:\s+(.*))?", re.ASCII)
_MARK = re.compile(r"(?<=\S)\(\d+\)(?=\s|$)")
_NOISE = re.compile(r"(\{[^{}\s]*\}|\[[^\[\]\s]*\]|<sil>)(?=\s|$)")
_CLITIC = re.compile(r"(?<=\S) (?='\S)")


def stm_folder(base: Path, release: str, split: str) -> Path:
    """Where the talks of a split are: release 3 trains on all of `data`, and keeps release 2's dev and test."""
    if release == "3":
        return base / "data" if split == "train" else base / "legacy" / split
    return base / split


def stm_rows(folder: Path, release: str, split: str, joined: bool) -> Iterator[Found]:
    """The segments of each talk of a split; columns speaker, talk, language, split, gender where it is given.

    Segments that scoring ignores are none. `joined`: clitics are written together (`we're`), and marks of noise and of
    pronunciation are left out; `<unk>` stays.
    """
    published = PUBLISHED.get((release, split))
    yield from counted(_rows(folder, split, joined), f"TED-LIUM {release} {split}", published)


def _rows(folder: Path, split: str, joined: bool) -> Iterator[Found]:
    for stm in sorted((folder / "stm").glob("*.stm")):
        for number, line, problem in read_lines(stm):
            if (not line.strip() or line.startswith(";;")) and not problem:
                continue
            found = FIELDS.fullmatch(line.strip())
            if found and (found[7] or "").strip() == IGNORED:
                continue
            problem = problem or (
                "" if found else "is no line of an STM file: talk, channel, speaker, start, end, text"
            )

            def make(found: re.Match[str] | None = found) -> Utterance:
                assert found is not None
                return _utterance(found, folder, split, joined)

            yield tried(f"{stm.name}:{number}", stm, problem, make, found[7] if found else None)


def _utterance(found: re.Match[str], folder: Path, split: str, joined: bool) -> Utterance:
    talk, speaker = found[1], found[3]
    start_s, end_s = _seconds(found[4]), _seconds(found[5])
    if end_s <= start_s:
        raise ValueError(f"end must be after start, got {start_s:g} to {end_s:g}")
    columns = {"speaker": speaker, "talk": talk, "language": "en", "split": split}
    gender = (found[6] or "").strip("<>").split(",")[-1]
    if gender in ("male", "female"):
        columns["gender"] = gender
    text = (found[7] or "").strip()
    return Utterance(
        id=f"{talk}-{round(start_s * 100):07d}-{round(end_s * 100):07d}",
        audio=str(folder / "sph" / f"{talk}.sph"),
        duration_s=round(end_s - start_s, 9),
        text=without_marks(text) if joined else text,
        start_s=start_s,
        columns=columns,
    )


def without_marks(text: str) -> str:
    """`so we 're here {NOISE} today(2)` as `so we're here today`."""
    text = " ".join(_NOISE.sub(" ", _MARK.sub("", text)).split())
    return _CLITIC.sub("", text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"is not a number of seconds: {brief(text)}") from None
    if not 0 <= value < 1e6:
        raise ValueError(f"is no time of a talk: {brief(text)}")
    return value
