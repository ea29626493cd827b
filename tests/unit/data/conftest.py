"""A folder of 200 recordings, ten of which cannot be used; files with headers, and which of them were opened.

Makes `indexed_files` beside it importable.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_lab.audio.reading import AudioInfo, read_info
from asr_lab.data import header_index
from asr_lab.text.vocabulary import UnspellableError

sys.path.insert(0, str(Path(__file__).parent))

from indexed_files import write

RATE = 8000
LETTERS = " abcdefghijklmnopqrstuvwxyz'"

BAD = ("u003", "u011", "u020", "u034", "u045", "u056", "u067", "u078", "u089", "u100")


class Letters:
    """Characters as tokens."""

    vocab_size = 2 + len(LETTERS)

    def encode(self, text: str) -> list[int]:
        if wrong := [c for c in text if c not in LETTERS]:
            raise UnspellableError(wrong[0], text)
        return [2 + LETTERS.index(c) for c in text]

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join(LETTERS[t - 2] for t in tokens if t > 1)

    def fingerprint(self) -> str:
        return "letters"


def alignable(num_samples: int, tokens: Sequence[int]) -> bool:
    """Frames of 20 ms at 8 kHz."""
    return len(tokens) <= num_samples // 160


def write_corpus(folder: Path, num_utterances: int = 200, broken: bool = True) -> None:
    """`num_utterances` recordings of 0.3 to 1.3 s and their manifest.tsv; ten are bad if `broken`."""
    rng = np.random.default_rng(5)
    rows = ["id\taudio\tduration_s\tspeaker\tsplit\ttext"]
    words = ["one", "two", "three", "four", "five"]
    for i in range(num_utterances):
        name = f"u{i:03}"
        audio = rng.normal(0, 0.05, int(rng.uniform(0.3, 1.3) * RATE)).astype(np.float32)
        text = " ".join(words[k] for k in rng.integers(0, 5, 1 + i % 3))
        ending = "flac" if i % 2 == 0 else "wav"
        path = folder / f"{name}.{ending}"
        soundfile.write(path, audio, RATE)
        declared = len(audio) / RATE
        if broken and name in BAD:
            text, declared = _break(name, path, text, declared)
        uid = "u089" if broken and name == "u090" else name
        rows.append(f"{uid}\t{path.name}\t{declared:.3f}\ts{i % 4}\t{'test' if i % 10 == 7 else 'train'}\t{text}")
    (folder / "manifest.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def _break(name: str, path: Path, text: str, declared: float) -> tuple[str, float]:
    """Make an utterance useless in its own way; its text and declared length."""
    if name == "u003":
        path.unlink()
    elif name == "u011":
        path.write_bytes(b"")
    elif name == "u020":
        path.write_bytes(b"<html>404 not found</html>" * 50)
    elif name == "u034":
        text = "  "
    elif name == "u045":
        text = "five " * 60
    elif name == "u056":
        text = "großer"
    elif name == "u067":
        declared = 9.0
    elif name == "u078":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif name == "u100":
        text = "... !"
    return text, declared


@pytest.fixture(scope="session")
def with_bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 recordings, ten bad."""
    folder = tmp_path_factory.mktemp("bad")
    write_corpus(folder)
    return folder


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 recordings."""
    folder = tmp_path_factory.mktemp("good")
    write_corpus(folder, 60, broken=False)
    return folder


@pytest.fixture
def letters() -> Letters:
    return Letters()


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """40 recordings, each of another length."""
    folder = tmp_path / "files"
    folder.mkdir()
    return [write(folder / f"{i:03}.wav", 100 + i) for i in range(40)]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files whose headers were read so far."""
    paths: list[str] = []

    def counted(path: str) -> AudioInfo:
        paths.append(path)
        return read_info(path)

    monkeypatch.setattr(header_index, "read_info", counted)
    return paths
