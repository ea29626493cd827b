"""Paths through a document: `encoder.contexts[1].chunk_ms` and its parts."""

from __future__ import annotations

import json
import re
from typing import Any

import tomli

Path = tuple[str | int, ...]
"""Keys and list indices from the document's root."""

MAX_DEPTH = 32
"""No document is nested deeper."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_PART = re.compile(
    r"""\[(?P<index>\d{1,6})\]|\.?(?:(?P<bare>[A-Za-z0-9_-]+)|(?P<quoted>"(?:[^"\\\n]|\\.)*"|'[^'\n]*'))"""
)


def spell(path: Path) -> str:
    """A path as a person writes it; keys that are not bare are quoted."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = part if _BARE.fullmatch(part) else quote(part)
            text += f".{key}" if text else key
    return text


def parse(text: str) -> Path:
    """The parts of a path; raises ValueError that says where it goes wrong. Numbers between dots stay keys."""
    path: list[str | int] = []
    position = 0
    while position < len(text):
        found = _PART.match(text, position)
        dotted = text[position] == "."
        if found is None or (found["index"] is None and dotted == (position == 0)) or (found["index"] and not path):
            raise ValueError(f"{text!r} is not a path: it goes wrong at {text[position : position + 12]!r}")
        if found["index"] is not None:
            path.append(int(found["index"]))
        else:
            path.append(found["bare"] if found["bare"] is not None else unquote(found["quoted"]))
        position = found.end()
    if not path:
        raise ValueError("the path is empty")
    return tuple(path)


def quote(text: str) -> str:
    """A text as a basic string of TOML on one line."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def unquote(key: str) -> str:
    """The key that a quoted TOML key stands for; ValueError where an escape is wrong."""
    value = tomli.loads(f"k = {key}")["k"]
    assert isinstance(value, str)
    return value


def is_too_deep(data: Any) -> bool:
    """Whether plain data is nested deeper than MAX_DEPTH; found without recursion."""
    level = [data]
    for _ in range(MAX_DEPTH + 1):
        level = [v for c in level if isinstance(c, dict | list) for v in (c.values() if isinstance(c, dict) else c)]
    return bool(level)
