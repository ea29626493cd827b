"""From a TOML file to a section, with file and line of every problem. The file is not trusted."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import attrs
import tomli

from asr_lab.config.defaults import default_at
from asr_lab.config.lines import line_numbers
from asr_lab.config.override import Override, apply
from asr_lab.config.paths import MAX_DEPTH, is_too_deep, parse, spell
from asr_lab.config.paths import Path as KeyPath
from asr_lab.config.structure import Invalid, structure
from asr_lab.errors import Problem, RecipeError

T = TypeVar("T")

MAX_BYTES = 1 << 18
"""No recipe is larger."""

_SYNTAX_HINTS = {
    "Invalid value": "text stands in quotes, true and false are small",
    "Illegal character '\\n'": "a text in quotes ends on its line",
    "Cannot overwrite": "the key stands in this table already",
    "Cannot declare": "the table stands in the file already",
    "Invalid statement": "a line is [table], [[table]], key = value or a comment",
}
"""What tomli says, and what it means to a person."""


@attrs.frozen
class Document(Generic[T]):
    """A section read from TOML, and where each of its keys was written."""

    value: T
    data: dict[str, Any]
    """As written, overrides put in."""
    file: str
    """As given, for messages."""
    overrides: tuple[str, ...] = ()
    """`key=value` each, in order."""
    text: str = attrs.field(default="", repr=False)
    """The file, letter by letter."""
    _lines: Mapping[KeyPath, int] = attrs.field(factory=dict, repr=False, eq=False)
    _applied: tuple[Override, ...] = attrs.field(default=(), repr=False, eq=False)

    def has(self, path: str) -> bool:
        """Whether a key is written, in the file or by an override."""
        return _reach(self.data, parse(path)) == len(parse(path))

    def problem(self, path: str, message: str) -> Problem:
        """A problem at a path: at its line, or that of the nearest table above it, or its `--set`."""
        return _locate(parse(path) if path else (), message, self.data, self.file, self._lines, self._applied)


def load(path: str | os.PathLike[str], schema: type[T], overrides: Sequence[str] = ()) -> Document[T]:
    """The section in a TOML file; RecipeError holds all problems."""
    return loads(read_text(Path(path)), schema, str(path), overrides)


def loads(text: str, schema: type[T], file: str = "<string>", overrides: Sequence[str] = ()) -> Document[T]:
    """The section that a TOML text spells; RecipeError holds all problems."""
    written = _parse(text, file)
    lines = line_numbers(text)
    data, applied, problems = apply(written, overrides, functools.partial(default_at, schema))
    problems += [_locate(p, "must not hold a NUL character", data, file, lines, applied) for p in _nuls(data)]
    try:
        value = structure(data, schema)
    except Invalid as error:
        found = [_locate(p, message, data, file, lines, applied) for p, message in error.problems]
        raise RecipeError(file, in_order(problems + found)) from None
    if problems:
        raise RecipeError(file, problems)
    return Document(value, data, file, tuple(overrides), text, lines, tuple(applied))


def in_order(problems: Sequence[Problem]) -> list[Problem]:
    """Problems as a reader meets them: down the file, then by `--set`, then those that stand nowhere."""
    return sorted(problems, key=lambda p: (not p.line, p.line, not p.file.startswith("--set #"), len(p.file), p.file))


def read_text(path: Path) -> str:
    """What a TOML file holds; RecipeError where it cannot be read, or is none by its size or encoding."""
    name = str(path)
    try:
        if path.is_dir():
            raise RecipeError(name, [Problem("", "is a folder, not a recipe", name)])
        if path.exists() and not path.is_file():
            raise RecipeError(name, [Problem("", "is not a regular file", name)])
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise RecipeError(name, [Problem("", f"there is no such file{_neighbours(path)}", name)]) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RecipeError(name, [Problem("", f"cannot be read: {reason}", name)]) from None
    if len(content) > MAX_BYTES:
        raise RecipeError(name, [Problem("", f"is larger than {MAX_BYTES >> 10} KiB, so it is no recipe", name)])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"is not UTF-8: byte 0x{content[error.start]:02x}; save the file as UTF-8"
        raise RecipeError(name, [Problem("", message, name, line)]) from None


def _neighbours(path: Path) -> str:
    from asr_lab.config.hints import nearest

    found = nearest(path.name, [p.name for p in path.parent.glob("*.toml")]) if path.parent.is_dir() else None
    return f"; did you mean {str(path.with_name(found))!r}?" if found else ""


def _parse(text: str, file: str) -> dict[str, Any]:
    try:
        data = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        hint = next((f"; {h}" for start, h in _SYNTAX_HINTS.items() if error.msg.startswith(start)), "")
        problem = Problem("", f"not TOML: {error.msg}{hint}", file, error.lineno, error.colno)
        raise RecipeError(file, [problem]) from None
    except (ValueError, RecursionError) as error:
        raise RecipeError(file, [Problem("", f"cannot be read: {error}", file)]) from None
    if is_too_deep(data):
        raise RecipeError(file, [Problem("", f"is nested deeper than {MAX_DEPTH} levels", file)])
    return data


def _nuls(data: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Where a text holds a NUL: no file, address or name may."""
    inside = data.items() if isinstance(data, Mapping) else enumerate(data) if isinstance(data, list) else ()
    for key, one in inside:
        yield from _nuls(one, (*path, key))
    if isinstance(data, str) and "\0" in data:
        yield path


def _locate(
    path: KeyPath,
    message: str,
    data: dict[str, Any],
    file: str,
    lines: Mapping[KeyPath, int],
    applied: Sequence[Override],
) -> Problem:
    place = path[: _reach(data, path)]
    setters = [o for o in applied if place[: len(o.path)] == o.path]
    if not setters and place not in lines and place:
        setters = [o for o in applied if o.path[: len(place)] == place][:1]  # a table that only overrides made
    if setters:
        return Problem(spell(path), message, setters[-1].where)
    return Problem(spell(path), message, file, lines.get(place, 0))


def _reach(data: Any, path: KeyPath) -> int:
    """How many parts of a path the data holds."""
    for depth, part in enumerate(path):
        inside = part in data if isinstance(data, dict) else isinstance(data, list) and isinstance(part, int)
        if not inside or (isinstance(data, list) and isinstance(part, int) and part >= len(data)):
            return depth
        data = data[part]
    return len(path)
