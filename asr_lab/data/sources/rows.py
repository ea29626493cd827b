"""What readers of corpora share: rows that are utterances or bad, counts to hold against published ones."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from asr_lab.data.sources.text_lines import is_text
from asr_lab.data.utterance import Source, UnreadableUtterance, Utterance
from asr_lab.errors import DataError, count_of
from asr_lab.files import real_path

Found = Utterance | UnreadableUtterance


def source_of(found: Iterable[Found], files: Sequence[Path] = ()) -> Source:
    """The rows of a reader, the bad ones apart; `files` are all that decide them, where that is known."""
    bad: list[UnreadableUtterance] = []

    def utterances() -> Iterator[Utterance]:
        for one in found:
            if isinstance(one, UnreadableUtterance):
                bad.append(one)
            else:
                yield one

    return Source(utterances(), bad, files)


def tried(name: str, place: Path | str, problem: str, make: Callable[[], Utterance], text: str | None = None) -> Found:
    """A row's utterance, or why there is none: `problem`, or the ValueError that making it raised.

    `text` is its transcript as far as the row tells it: the words of what cannot be read count as deleted.
    """
    try:
        if problem:
            raise ValueError(problem)
        return make()
    except ValueError as error:
        known = text if text is not None and is_text(text) else None
        return UnreadableUtterance(name, str(place)[:4096], str(error), known)


def counted(found: Iterable[Found], what: str, published: int | None) -> Iterator[Found]:
    """The same rows; a warning at their end where they are not as many as were published."""
    count = 0
    for one in found:
        count += 1
        yield one
    if published is not None and count != published:
        warnings.warn(f"{what}: {count_of(count, 'utterance')}; {published:,} are published", stacklevel=2)


def absent(title: str, looked: Sequence[Path], root: Path, way_out: str) -> DataError:
    """The error for a corpus that is not there: the paths looked for, and how to get it."""
    shown = "".join(f"\n  {path}" for path in looked[:8])
    more = f"\n  and {len(looked) - 8} more" if len(looked) > 8 else ""
    return DataError(
        f"{title} is not there; looked for{shown}{more}\n{way_out}\n"
        f"or set ASRLAB_DATA (now {real_path(root)}) or `path` to where it is"
    )


def fetch(name: str, parts: Sequence[str] = ()) -> str:
    """How to get a corpus that is free to fetch."""
    only = f" --only {','.join(parts[:8])}" if parts else ""
    return f"get it with\n  asrlab data prepare {name}{only}"
