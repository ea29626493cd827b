"""Owners of runs that give no sign: one look at a run cannot tell them from those that train."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from asr_lab.runs.lock import BEAT_S, SILENCE_S, Attempt, last_attempt

LOOK_S = 1.5 * BEAT_S
"""Seconds within which a heartbeat moves."""


def silences(holders: Mapping[Path, Attempt], look: Callable[[float], None] = time.sleep) -> dict[Path, float | None]:
    """For each lock whose holder is silent, for how many seconds; None where the times of its files do not say.

    What the times of files make doubtful (other machines and disks have clocks of their own, and clocks jump) is looked
    at again after `look` let a heartbeat's time go by, once for all of them.
    """
    ages = {folder: _age_s(folder, attempt) for folder, attempt in holders.items()}
    doubtful = {folder: age for folder, age in ages.items() if not 0 <= age <= SILENCE_S}
    if not doubtful:
        return {}
    look(LOOK_S)
    return {f: age if age > 0 else None for f, age in doubtful.items() if last_attempt(f) == holders[f]}


def _age_s(folder: Path, attempt: Attempt) -> float:
    """Seconds since the heartbeat's file was written, by this machine's clock."""
    for kind in ("beat", "json"):
        try:
            return time.time() - (folder / f"{attempt.number:04d}.{kind}").stat().st_mtime
        except OSError:
            continue
    return 0.0
