"""A run's checkpoints: the last few and the best."""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from torch import Tensor

from asr_lab.errors import CheckpointError
from asr_lab.files import number_of, write_json
from asr_lab.training import checkpoint
from asr_lab.training.parallel.group import Group
from asr_lab.training.rank import Rank
from asr_lab.training.state import Snapshot

_NAME = re.compile(r"step-(\d{8,})")
BEST = "best.json"


@attrs.frozen
class Saved:
    """A checkpoint in the store."""

    step: int
    folder: Path
    rank: Rank | None
    """How good validation found it; None where it was saved without one."""


def saved_in(folder: Path) -> Saved:
    """The checkpoint in a folder, not verified; CheckpointError when its state cannot be read."""
    numbers = checkpoint.read_numbers(folder)
    return Saved(int(numbers["progress"]["step"]), folder, _rank(numbers))


class CheckpointStore:
    """The folder `checkpoints/` of a run: `step-00001234/`, the last `keep_last` of them and the `keep_best`
    best, and `best.json`.

    The best is the latest of those with the lowest rank. Only the owner of the run may write; `clean` comes first. What
    writes, and `newest`, all of the owner's processes call.
    """

    def __init__(self, folder: Path, keep_last: int = 2, keep_best: int = 1, group: Group = checkpoint.ALONE) -> None:
        if keep_last < 1 or keep_best < 1:
            raise ValueError("at least one checkpoint is kept")
        self.folder = folder
        self.keep_last = keep_last
        self.keep_best = keep_best
        self.group = group

    def clean(self) -> list[str]:
        """Remove what killed writes left behind and bring `best.json` up to date; the names of what was removed."""
        removed: list[str] = self.group.first(self._clean, "cleaning the checkpoints")
        return removed

    def _clean(self) -> list[str]:
        self.folder.mkdir(parents=True, exist_ok=True)
        removed = checkpoint.remove_leftovers(self.folder)
        self._write_best()
        return removed

    def save(self, snapshot: Snapshot, *, rank: Rank | None = None, job: Mapping[str, Any] | None = None) -> Saved:
        """Write a checkpoint for the snapshot's step, then `best.json`, then remove those no longer kept.

        `rank` is what validation found; `job` is anything JSON can hold that the caller wants back
        (`read(...).numbers["job"]`): its own state goes with the weights or not at all.
        """
        if rank is not None and not math.isfinite(rank.value):
            raise ValueError(f"a checkpoint's value is a finite number, got {rank.value}")
        step = int(snapshot.numbers["progress"]["step"])
        folder = self.folder / f"step-{step:08d}"
        value, ties = (None, []) if rank is None else (rank.value, rank.ties())
        numbers = {**snapshot.numbers, "value": value, "ties": ties, "job": dict(job or {})}
        checkpoint.write(folder, Snapshot(snapshot.tensors, numbers), self.group)
        self.group.first(self._tidy, f"saving {folder.name}")
        return Saved(step, folder, rank)

    def all(self) -> list[Saved]:
        """The checkpoints by step, oldest first, not verified; those whose state cannot be read are left out."""
        found = []
        for name in self._names():
            try:
                numbers = checkpoint.read_numbers(self.folder / name)
            except CheckpointError:
                continue
            found.append(Saved(_step(name), self.folder / name, _rank(numbers)))
        return found

    def newest(self, like: Mapping[str, Mapping[str, Tensor]] | None = None) -> tuple[Saved, Snapshot] | None:
        """The newest whole checkpoint and what is in it; a warning for each damaged one passed over.

        `like` are a learner's tensors, as `checkpoint.read` takes them.
        """
        for name in self.group.first(self._names, "looking for checkpoints")[::-1]:
            path = self.folder / name
            try:
                snapshot = checkpoint.read(path, like=like, group=self.group)
            except CheckpointError as error:
                warnings.warn(f"checkpoint passed over, it is damaged: {error}", stacklevel=2)
                continue
            return Saved(_step(name), path, _rank(snapshot.numbers)), snapshot
        return None

    def _names(self) -> list[str]:
        """Of the folders of checkpoints, by step, oldest first."""
        found = self.folder.iterdir() if self.folder.is_dir() else ()
        return sorted((path.name for path in found if _NAME.fullmatch(path.name)), key=_step)

    @property
    def has_best(self) -> bool:
        """Whether validation chose one, be it whole, damaged or lost."""
        return (self.folder / BEST).exists() or self.best() is not None

    def best(self) -> Saved | None:
        """The checkpoint with the lowest rank, the latest of them."""
        return next(iter(self._ranked()), None)

    def _ranked(self) -> list[Saved]:
        """Those with a rank, best first."""
        return sorted((s for s in self.all() if s.rank is not None), key=lambda s: (s.rank, -s.step))

    def find(self, name: str) -> Path:
        """The folder of `last`, `best`, or a step's number or name; CheckpointError when absent or damaged.

        In the place of a damaged `last` or `best` the next one that is whole is given, with a warning.
        """
        saved = self.all()
        if name == "last":
            return self._first_whole(name, saved[::-1])
        if name == "best":
            ranked, lost = self._ranked(), self._lost_best(saved)
            rest = [s for s in saved[::-1] if s.rank is None] if ranked or lost else []
            return self._first_whole(name, [*ranked, *rest], lost)
        number = name.removeprefix("step-")
        chosen = next((s for s in saved if number.isdigit() and s.step == int(number)), None)
        if chosen is None:
            raise CheckpointError(self._absent(name))
        checkpoint.verify(chosen.folder)
        return chosen.folder

    def best_few(self, count: int) -> list[Path]:
        """The folders of the `count` best checkpoints that are whole, best first, with a warning for each damaged one.

        CheckpointError where there are fewer.
        """
        whole: list[Path] = []
        ranked = self._ranked()
        damage = self._lost_best(self.all())
        for one in ranked:
            if len(whole) == count:
                break
            try:
                checkpoint.verify(one.folder)
            except CheckpointError as error:
                damage.append(str(error))
                continue
            whole.append(one.folder)
        if len(whole) < count:
            have = ", ".join(path.name for path in whole) or "none"
            raise CheckpointError(
                f"{self.folder}: the {count} best checkpoints are asked for, and validation ranked {len(whole)} whole "
                f"ones that are still there ({have}): train.keep_best says how many stay"
                + "".join(f"\n  {problem}" for problem in damage)
            )
        for problem in damage:
            warnings.warn(f"{problem}; the next best is taken in its place", stacklevel=3)
        return whole

    def _lost_best(self, saved: list[Saved]) -> list[str]:
        """A line on the best that was written down, where nothing can be read of it."""
        try:
            named = json.loads((self.folder / BEST).read_bytes())["folder"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return []
        return [] if named in [s.folder.name for s in saved] else [f"{self.folder / str(named)}: gone, or damaged"]

    def _first_whole(self, name: str, saved: list[Saved], damage: Sequence[str] = ()) -> Path:
        damage = list(damage)
        for one in saved:
            try:
                checkpoint.verify(one.folder)
            except CheckpointError as error:
                damage.append(str(error))
                continue
            for problem in damage:
                warnings.warn(f"{problem}; {one.folder.name} is taken in its place", stacklevel=3)
            return one.folder
        raise CheckpointError("; ".join(damage) or self._absent(name))

    def _absent(self, name: str) -> str:
        have = ", ".join(s.folder.name for s in self.all()) or "none"
        return f"{self.folder}: no checkpoint {name!r} (have: {have})"

    def drop_after(self, step: int) -> list[str]:
        """Remove checkpoints beyond `step` (damaged ones, when a run goes on from an older one); their names."""
        removed: list[str] = self.group.first(lambda: self._drop_after(step), "dropping checkpoints")
        return removed

    def _drop_after(self, step: int) -> list[str]:
        beyond = [name for name in self._names() if _step(name) > step]
        for name in beyond:
            checkpoint.remove(self.folder / name)
        self._write_best()
        return beyond

    def _tidy(self) -> None:
        self._write_best()
        self._prune()

    def _write_best(self) -> None:
        best = self.best()
        path = self.folder / BEST
        if best is None or best.rank is None:
            path.unlink(missing_ok=True)
        else:
            named = {"step": best.step, "value": best.rank.value, "ties": best.rank.ties()}
            write_json(path, {**named, "folder": best.folder.name})

    def _prune(self) -> None:
        saved, best = self.all(), self._ranked()[: self.keep_best]
        for old in saved[: -self.keep_last]:
            if old not in best:
                checkpoint.remove(old.folder)


def _step(name: str) -> int:
    return int(name.removeprefix("step-"))


def _rank(numbers: Mapping[str, Any]) -> Rank | None:
    value = number_of(numbers.get("value"))
    return None if value is None else Rank.of(value, numbers.get("ties"))
