"""Ways to damage a file, drawn by a seed: what disks, kills, editors and attackers leave."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ODD: tuple[Any, ...] = (
    None, True, "", "x", "\ud800", -1, 0, 1, 2**31, 2**63, 10**400, -0.5, 1e308, float("nan"), float("inf"),
    [], {}, [[]],
)  # fmt: skip
"""Values that stand where others were meant."""
CONTENTS = (
    b"",
    b"\n",
    b"[]",
    b"{}",
    b"null",
    b"0",
    b'"x"',
    b"\xff\xfe\x00",
    b"\x00" * 64,
    b"[" * 100_000,
    b'{"a":' * 5000,
)


def removed(path: Path, rng: random.Random) -> None:
    """The file is gone."""
    path.unlink()


def cut_short(path: Path, rng: random.Random) -> None:
    """A part of it, from its start."""
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(max(1, len(content)))])


def replaced(path: Path, rng: random.Random) -> None:
    """Something else."""
    path.write_bytes(rng.choice(CONTENTS))


def flipped(path: Path, rng: random.Random) -> None:
    """A few bytes changed."""
    content = bytearray(path.read_bytes() or b" ")
    for _ in range(rng.randint(1, 4)):
        content[rng.randrange(len(content))] = rng.randrange(256)
    path.write_bytes(bytes(content))


def doubled(path: Path, rng: random.Random) -> None:
    """Twice after itself."""
    path.write_bytes(path.read_bytes() * 2)


def a_folder(path: Path, rng: random.Random) -> None:
    """A folder in its place."""
    path.unlink()
    path.mkdir()


def a_loop(path: Path, rng: random.Random) -> None:
    """A link to itself in its place."""
    path.unlink()
    path.symlink_to(path.name)


def another_value(path: Path, rng: random.Random) -> None:
    """JSON in which one value is another; other files have bytes changed."""
    _edited(path, rng, lambda holder, key: holder.__setitem__(key, rng.choice(ODD)))


def one_less(path: Path, rng: random.Random) -> None:
    """JSON in which one value is gone; other files have bytes changed."""
    _edited(path, rng, lambda holder, key: holder.__delitem__(key))


WAYS = (removed, cut_short, replaced, flipped, doubled, a_folder, a_loop, *([another_value, one_less] * 4))
"""Those that keep JSON readable are drawn more often: they go deepest."""


def folder_removed(path: Path, rng: random.Random) -> None:
    """The folder is gone, with all in it."""
    shutil.rmtree(path)


def folder_emptied(path: Path, rng: random.Random) -> None:
    """The folder is there, and nothing in it."""
    shutil.rmtree(path)
    path.mkdir()


def a_file(path: Path, rng: random.Random) -> None:
    """A file in the folder's place."""
    shutil.rmtree(path)
    path.write_bytes(rng.choice(CONTENTS))


def a_looped_folder(path: Path, rng: random.Random) -> None:
    """A link to itself in the folder's place."""
    shutil.rmtree(path)
    path.symlink_to(path.name)


FOLDER_WAYS = (folder_removed, folder_emptied, a_file, a_looped_folder)


def _edited(path: Path, rng: random.Random, edit: Callable[[Any, Any], None]) -> None:
    lines = path.read_bytes().split(b"\n") if path.suffix == ".jsonl" else [path.read_bytes()]
    number = rng.randrange(len(lines))
    try:
        value = json.loads(lines[number])
    except ValueError:
        return flipped(path, rng)
    places = list(_places(value))
    if not places:
        return flipped(path, rng)
    edit(*rng.choice(places))
    lines[number] = json.dumps(value).encode()
    path.write_bytes(b"\n".join(lines))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a JSON value: what holds it, and its key."""
    keys = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in list(keys):
        yield value, key
        yield from _places(one)
