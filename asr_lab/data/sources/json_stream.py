"""The objects of one list in a JSON file of any size, one after the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asr_lab.errors import DataError

READ_CHARACTERS = 1 << 20
MAX_CHARACTERS = 1 << 27
"""The longest object; a longer one is damage, and would fill the memory."""


def objects_of(path: Path, key: str) -> Iterator[dict[str, Any]]:
    """The objects of the list that `"key": [` begins, in bounded memory.

    DataError for a file that is absent, holds no such list, or ends or breaks within it.
    """
    decoder = json.JSONDecoder()
    try:
        with path.open(encoding="utf-8") as file:
            text, position = _list_begin(path, file, key)
            while True:
                text, position = _without_space(file, text, position)
                if text[position : position + 1] == "]":
                    return
                while True:
                    try:
                        value, end = decoder.raw_decode(text, position)
                        break
                    except ValueError as error:
                        more = file.read(max(READ_CHARACTERS, len(text) - position))
                        text, position = text[position:] + more, 0
                        if not more or len(text) > MAX_CHARACTERS:
                            raise DataError(f"{path} is damaged within {key!r}: {str(error)[:200]}") from None
                if isinstance(value, dict):
                    yield value
                text, position = _without_space(file, text, end)
                if text[position : position + 1] == ",":
                    position += 1
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{path} cannot be read: {str(error)[:200] or 'nested too deep'}") from error


def _list_begin(path: Path, file: Any, key: str) -> tuple[str, int]:
    """The text after `"key": [`, which is looked for near the file's start."""
    text = ""
    while len(text) < MAX_CHARACTERS and (more := file.read(READ_CHARACTERS)):
        text += more
        at = text.find(f'"{key}"')
        bracket = text.find("[", at)
        if at >= 0 and bracket >= 0:
            if text[at + len(key) + 2 : bracket].strip() != ":":
                break
            return text[bracket + 1 :], 0
    raise DataError(f"{path} holds no list {key!r}")


def _without_space(file: Any, text: str, position: int) -> tuple[str, int]:
    while True:
        while position < len(text) and text[position] in " \t\r\n":
            position += 1
        if position < len(text):
            return text, position
        text, position = file.read(READ_CHARACTERS), 0
        if not text:
            raise DataError(f"{file.name} ends within its list: it is not whole")
