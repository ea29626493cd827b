"""What a run leaves out of its training and validation sets: counted by reason, listed in a table, held to a share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import attrs

from asr_lab.data.utterance import DRAWN, BadCut
from asr_lab.errors import printable
from asr_lab.files import write_text

FILE = "left_out.tsv"
"""The table's name in a run's directory."""
COLUMNS = ("id", "path", "reason", "detail")

Row = tuple[str, str, str, str]
Split = Literal["train", "valid"]
NAMES: dict[Split, str] = {"train": "training", "valid": "validation"}


@attrs.define
class LeftOut:
    """The utterances left out of a run's sets: those known before it trains, and those that reading them finds."""

    given: Mapping[Split, int]
    """Utterances of each, those left out included."""
    before: Mapping[Split, Sequence[BadCut]]
    """What is left out from the start."""
    remedies: Mapping[str, str]
    """What to do about each reason."""
    _found: dict[Row, Split] = attrs.field(factory=dict, init=False)
    _known: set[Row] = attrs.field(init=False)

    @_known.default
    def _known_before(self) -> set[Row]:
        return {_row(cut) for cuts in self.before.values() for cut in cuts}

    def __len__(self) -> int:
        return sum(map(len, self.before.values())) + len(self._found)

    def add(self, cut: BadCut, split: Split) -> Row | None:
        """Leave one more out; its row, None where it is left out already."""
        row = _row(cut)
        if row in self._known:
            return None
        self._known.add(row)
        self._found[row] = split
        return row

    def counts(self, split: Split) -> dict[str, int]:
        """How many for each reason, the commonest first."""
        found: Counter[str] = Counter(cut.kind for cut in self.before.get(split, ()))
        found.update(reason for (_, _, reason, _), its in self._found.items() if its == split)
        return dict(found.most_common())

    def used(self, split: Split) -> int:
        """Utterances that are not left out; one that was too short as it was drawn is used when it is drawn again."""
        return self.given[split] - sum(n for reason, n in self.counts(split).items() if reason != DRAWN)

    def record(self) -> dict[str, Any]:
        """Plain data: `used`, `given` and `left_out` by reason, of the training set."""
        return {"used": self.used("train"), "given": self.given["train"], "left_out": self.counts("train")}

    def line(self, path: Path) -> str:
        """What is left out, by reason, what to do about it, and where it is listed; "" where nothing is."""
        parts = [self._part(split) for split in NAMES if self.counts(split)]
        return f"left out: {' and '.join(parts)}; {self._ways_out(path, NAMES)}" if parts else ""

    def excess(self, max_share: float, path: Path) -> str:
        """The same as an error where more than a share of a set, or the whole of it, is left out; else ""."""
        for split in NAMES:
            count = sum(self.counts(split).values())
            if count > max_share * self.given[split] or (count and not self.used(split)):
                return f"{self._part(split)} {_more_than(max_share)}; {self._ways_out(path, [split])}"
        return ""

    def _part(self, split: Split) -> str:
        counts = self.counts(split)
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in counts.items())
        return f"{sum(counts.values()):,} of {self.given[split]:,} {NAMES[split]} utterances ({reasons})"

    def _ways_out(self, path: Path, splits: Iterable[Split]) -> str:
        reasons = dict.fromkeys(reason for split in splits for reason in self.counts(split))
        ways = dict.fromkeys(self.remedies[reason] for reason in reasons if reason in self.remedies)
        return "; ".join([*ways, f"listed in {path}"])

    def write(self, path: Path) -> None:
        """Write the table."""
        rows = [_row(cut) for split in NAMES for cut in self.before.get(split, ())]
        write_text(path, "".join(map(_line, [COLUMNS, *rows, *self._found])))

    def take_up(self, path: Path, in_valid: Collection[tuple[str, str]]) -> None:
        """Leave out what an earlier attempt of the run found, as its table has it; `in_valid` are (id, path)."""
        if not path.exists():
            return
        valid = {(_cell(id), _cell(audio)) for id, audio in in_valid}
        for line in path.read_text(encoding="utf-8", errors="replace").split("\n")[1:]:
            cells = line.split("\t")
            if len(cells) != len(COLUMNS):  # the end, or a last line that a kill tore
                continue
            row = (cells[0], cells[1], cells[2], cells[3])
            if row not in self._known:
                self._known.add(row)
                self._found[row] = "valid" if row[:2] in valid else "train"


def trained_on(record: Mapping[str, Any]) -> str:
    """What a run was trained on, from `LeftOut.record`: `trained on 1,705 of 1,720 utterances (15 unspellable)`.

    "" for a record of another shape.
    """
    used, given, left_out = (record.get(key) for key in ("used", "given", "left_out"))
    if not (isinstance(used, int) and isinstance(given, int) and isinstance(left_out, dict)):
        return ""
    reasons = f" (left out: {', '.join(f'{n} {reason}' for reason, n in left_out.items())})" if left_out else ""
    return f"trained on {used:,} of {given:,} utterances{reasons}"


def append_row(path: Path, row: Row) -> None:
    """Add a row to a table that is there."""
    with path.open("a", encoding="utf-8", newline="\n") as table:
        table.write(_line(row))


def _more_than(share: float) -> str:
    return f"cannot be used, more than data.max_left_out = {share:g} allows" if share < 1 else "cannot be used"


def _row(cut: BadCut) -> Row:
    return (_cell(cut.id), _cell(cut.audio), cut.kind, _cell(cut.reason))


def _line(row: Sequence[str]) -> str:
    return "\t".join(row) + "\n"


def _cell(text: str) -> str:
    """A text on one line without tabs; what cannot be printed is escaped, and so are the backslashes that it has."""
    return printable(text.replace("\\", "\\\\"), but="")
