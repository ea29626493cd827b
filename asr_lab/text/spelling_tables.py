"""Tables of spellings that others publish: read where they are, by their hash, and never copied into this package."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
from collections.abc import Iterable, Mapping
from pathlib import Path

import attrs

from asr_lab.errors import DataError, MissingPackageError

WHISPER_FILE = "english.json"
WHISPER_SHA256 = "6607f948be9824d2e1b2fa2223cd94c06c45afa4e05ea0e3d5e1f2bdffde2465"
"""As openai-whisper has had it since September 2022; 1,739 words."""
WHISPER_URL = "https://raw.githubusercontent.com/openai/whisper/c0d2f62/whisper/normalizers/english.json"
PACKAGES = ("whisper", "whisper_normalizer")
"""Packages that bring it, in their folder `normalizers`."""
LEADERBOARD_COMMIT = "d1e99b25524814332d6868a5645e568670834cfb"
LEADERBOARD_FILE = "english_abbreviations.py"
LEADERBOARD_SHA256 = "d3b2c326bdb700b954b2c7125cd0c0b502deb7e22dbb57f707f914646098eaab"
LEADERBOARD_URL = (
    f"https://raw.githubusercontent.com/huggingface/open_asr_leaderboard/{LEADERBOARD_COMMIT}/normalizer/"
    f"{LEADERBOARD_FILE}"
)


@attrs.frozen
class LeaderboardTables:
    """What the leaderboard's normaliser looks up."""

    spelling: Mapping[str, str]
    names: Mapping[str, str]
    compounds: Mapping[str, str]
    """By regular expression."""


def whisper_spelling(folder: Path) -> Mapping[str, str]:
    """British words with their American spelling: from `folder`, else from an installed package.

    MissingPackageError where it is in neither; DataError for a file that is another one than Whisper's.
    """
    places = [folder / WHISPER_FILE, *_packaged()]
    if (path := _first(places)) is None:
        raise MissingPackageError(
            "score.normalizer: English is spelled by Whisper's table, which is not here; "
            f"pip install 'asr-lab[scoring]', or\n{_fetch(WHISPER_URL, places[0])}"
        )
    return _spelling(_read(path, WHISPER_SHA256, WHISPER_URL))


def leaderboard_tables(folder: Path) -> LeaderboardTables:
    """The tables of the Open ASR Leaderboard's English normaliser, from `folder`; no line of their file is run.

    DataError where they are not there, or are of another commit than `LEADERBOARD_COMMIT`.
    """
    path = folder / LEADERBOARD_FILE
    if not path.is_file():
        raise DataError(
            f"score.normalizer: the leaderboard's tables are not at {path.resolve()}; get them with\n"
            f"{_fetch(LEADERBOARD_URL, path)}"
        )
    return _tables(_read(path, LEADERBOARD_SHA256, LEADERBOARD_URL))


@functools.lru_cache(2)
def _spelling(text: str) -> Mapping[str, str]:
    table: Mapping[str, str] = ast.literal_eval(text)  # an object of texts is spelled alike in JSON and Python
    return table


@functools.lru_cache(2)
def _tables(text: str) -> LeaderboardTables:
    values = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    kinds = ("spelling", "name", "compound")
    return LeaderboardTables(*(values[f"english_{kind}_normalizer"] for kind in kinds))


def _packaged() -> Iterable[Path]:
    """Where packages keep Whisper's table; none of them is imported."""
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
            yield Path(folder) / "normalizers" / WHISPER_FILE


def _first(places: Iterable[Path]) -> Path | None:
    return next((path for path in places if path.is_file()), None)


def _read(path: Path, sha256: str, url: str) -> str:
    """A file's text; DataError where it cannot be read or is not the one meant."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"score.normalizer: {path} cannot be read: {error.strerror}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise DataError(
            f"score.normalizer: {path} is not the table that scores are made with (SHA-256 {found[:12]}…, not "
            f"{sha256[:12]}…); get it with\n{_fetch(url, path)}"
        )
    return content.decode()


def _fetch(url: str, path: Path) -> str:
    path = path.resolve()
    return f"  mkdir -p {path.parent} && curl -L -o {path} {url}"
