"""The kinds of error a user can fix; each says what, where and the way out."""

from __future__ import annotations

import errno
import os

import attrs


class LabError(Exception):
    """Something the user can fix: the command line prints it without a traceback and exits with code 2."""


@attrs.frozen
class Problem:
    """One thing wrong with a recipe: where it stands and what would be right."""

    path: str
    """Dotted path of the key, list indices in brackets: `encoder.contexts[1].chunk_ms`."""
    message: str
    """What is wrong and what is allowed."""
    file: str = ""
    """The recipe's path as given, or `--set #n`."""
    line: int = 0
    """1-based line in the file; 0 where there is none."""
    column: int = 0
    """1-based column, where it says more than the path; else 0."""

    @property
    def where(self) -> str:
        """`file:line:column`, or what is known of it."""
        return ":".join([self.file, *(str(n) for n in (self.line, self.column) if n)])


class RecipeError(LabError):
    """All problems of one recipe, in one report."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        self.file = file
        self.problems = problems
        width = max((len(p.where) for p in problems), default=0)
        noun = "problem" if len(problems) == 1 else "problems"
        lines = [f"{file}: {len(problems)} {noun}"]
        for p in problems:
            subject = f"{p.path}: " if p.path else ""
            lines.append(f"  {p.where:<{width}}  {subject}{p.message}")
        super().__init__("\n".join(lines))


class DataError(LabError):
    """Data that is absent, unreadable, or not what the recipe says."""


class RunError(LabError):
    """A run directory that cannot be used: locked, changed, finished, absent."""


class RunInUse(RunError):  # noqa: N818 - a state of the run, which commands wait out
    """Another process trains the run, as far as is known."""


class CheckpointError(LabError):
    """A checkpoint that is damaged or does not fit."""


class MissingPackageError(LabError):
    """An optional package is not installed; the message names the extra that brings it."""


LONGEST = 80
"""Characters of a name out of a file that are shown."""


def printable(text: str, but: str = "\n\t") -> str:
    """A text as a terminal may show it: what is not printed, line ends and tabs excepted, as an escape."""
    return "".join(c if c.isprintable() or c in but else c.encode("unicode_escape").decode() for c in text)


def shown_name(name: str) -> str:
    """A name out of a file: on one line, escaped, cut in its middle."""
    name = printable(name, but="")
    half = LONGEST // 2
    return name if len(name) <= LONGEST else f"{name[: half - 1]}…{name[-half:]}"


_NAMES = (
    "EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT", "EFBIG", "ENAMETOOLONG", "ELOOP",
    "EMFILE", "ENFILE", "EIO", "EPIPE", "ESTALE", "ENOTDIR", "EISDIR",
    "ENOENT", "EEXIST", "ENODEV", "ENXIO",
)  # fmt: skip
ENVIRONMENT = frozenset(getattr(errno, name) for name in _NAMES)
"""What a disk, its rights or the other end of a pipe can be at fault for."""


WAYS_OUT = {
    "EACCES": "give yourself the right to it, or use another place",
    "EPERM": "give yourself the right to it, or use another place",
    "EROFS": "use another place",
    "ENOSPC": "free some space, and start again; what was saved stands",
    "EDQUOT": "free some space, and start again; what was saved stands",
    "EFBIG": "raise the limit (ulimit -f), and start again; what was saved stands",
    "ENAMETOOLONG": "use a shorter name",
    "ELOOP": "a link there leads back to itself; remove it",
    "EMFILE": "allow more open files (ulimit -n)",
    "ENFILE": "end some programs: the machine has too many files open",
    "EIO": "see whether the disk is in order",
    "ESTALE": "see whether the network disk is mounted",
    "ENOTDIR": "something else than a folder is on its path; move that away, or use another place",
    "EISDIR": "a folder is in its place; move that away, or use another name",
    "EEXIST": "something else is in its place; move that away, or use another name",
    "ENOENT": "see whether it was moved or removed",
}
"""What a user can do of each."""


def is_of_environment(error: OSError) -> bool:
    """Whether the machine is at fault, not the program: a full disk, no permission, a name too long, a closed pipe."""
    return error.errno in ENVIRONMENT


def of_environment(error: OSError) -> LabError:
    """The same as an error for the user: which file, and what the system says of it."""
    names = " -> ".join(
        repr(os.fsdecode(n))[1:-1] for n in (error.filename, error.filename2) if isinstance(n, str | bytes)
    )
    way_out = WAYS_OUT.get(errno.errorcode.get(error.errno or 0, ""), "")
    return LabError(f"{names or 'the output'}: {error.strerror}{'; ' if way_out else ''}{way_out}")


class TrainingError(Exception):
    """A run that failed while it ran (exit code 1): its cause is in the message and in events.jsonl."""


def count_of(number: int, noun: str) -> str:
    """A number and what it counts: `1 row`, `2,000 rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
