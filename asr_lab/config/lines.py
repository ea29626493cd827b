"""Where every key of a TOML document stands.

tomli gives values without places. This scanner walks over text that tomli has already accepted, so that it need not
reject anything, and notes the line of each key, table and list element. It reads TOML 1.1.
"""

from __future__ import annotations

import re

from asr_lab.config.paths import Path, unquote

_SPACE = re.compile(r"[ \t]*")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n]+")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}(?!")'  # a multi-line string may end in up to two quotes of its own
    r"|'''.*?'{3,5}(?!')"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)


def line_numbers(text: str) -> dict[Path, int]:
    """The 1-based line of every path in a document that tomli accepts."""
    return _Scanner(text).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.lines: dict[Path, int] = {}
        self.elements: dict[Path, int] = {}  # how many tables an array of tables has so far
        self._counted = (0, 1)

    def scan(self) -> dict[Path, int]:
        table: Path = ()
        while self.peek(_BLANK):
            if self.text.startswith("[[", self.position):
                table = self.element()
            elif self.text[self.position] == "[":
                table = self.header()
            else:
                self.pair(table)
        return self.lines

    def header(self) -> Path:
        """`[a.b]`: the table that the pairs below it belong to."""
        self.position += 1
        keys = self.keys()
        path = (*self.enter(keys[:-1]), keys[-1][0])
        self.lines[path] = keys[-1][1]
        self.position += 1
        return path

    def element(self) -> Path:
        """`[[a.b]]`: one more table in the array a.b."""
        self.position += 2
        keys = self.keys()
        name, line = keys[-1]
        array = (*self.enter(keys[:-1]), name)
        index = self.elements.get(array, 0)
        self.elements[array] = index + 1
        self.lines.setdefault(array, line)
        self.lines[*array, index] = line
        self.position += 2
        return (*array, index)

    def enter(self, keys: list[tuple[str, int]]) -> Path:
        """The path that a header's keys lead to: through an array of tables, to its last element."""
        path: Path = ()
        for key, line in keys:
            path = (*path, key)
            self.lines.setdefault(path, line)
            if path in self.elements:
                path = (*path, self.elements[path] - 1)
        return path

    def pair(self, table: Path) -> None:
        """`a.b = value` inside a table."""
        path = table
        for key, line in self.keys():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self.position += 1
        self.peek(_SPACE)
        self.value(path)

    def value(self, path: Path) -> None:
        opening = self.text[self.position]
        if opening == "[":
            self.array(path)
        elif opening == "{":
            self.inline(path)
        else:
            self.take(_STRING if opening in "\"'" else _SCALAR)

    def array(self, path: Path) -> None:
        self.position += 1
        index = 0
        while self.peek(_BLANK) != "]":
            self.lines[*path, index] = self.line()
            self.value((*path, index))
            index += 1
            if self.peek(_BLANK) == ",":
                self.position += 1
        self.position += 1

    def inline(self, path: Path) -> None:
        self.position += 1
        while self.peek(_BLANK) != "}":
            self.pair(path)
            if self.peek(_BLANK) == ",":
                self.position += 1
        self.position += 1

    def keys(self) -> list[tuple[str, int]]:
        """A dotted key, each part with its line."""
        keys = []
        while True:
            quoted = self.peek(_SPACE) in "\"'"
            line = self.line()
            key = self.take(_STRING if quoted else _BARE_KEY)
            keys.append((unquote(key) if quoted else key, line))
            if self.peek(_SPACE) != ".":
                return keys
            self.position += 1

    def peek(self, skipped: re.Pattern[str]) -> str:
        """The next character behind what is skipped; empty at the end."""
        self.take(skipped)
        return self.text[self.position : self.position + 1]

    def take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.position)
        assert found is not None, f"tomli accepts what the scanner does not at offset {self.position}"
        self.position = found.end()
        return found[0]

    def line(self) -> int:
        """The line of the present position; counted on from where it was last asked."""
        position, line = self._counted
        line += self.text.count("\n", position, self.position)
        self._counted = (self.position, line)
        return line
