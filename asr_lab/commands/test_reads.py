"""How often a test set was looked at: selection happens on valid, and every look at test is written down."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from asr_lab.errors import LabError
from asr_lab.evaluation.evaluation_files import read_evaluation
from asr_lab.files import JsonAppender, read_jsonl
from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.events import read_events

FILE = "reads.jsonl"


def num_reads(run: RunDirectory, set_hash: str) -> int:
    """How often a set was scored with weights of this run: by the run itself, and by `asrlab eval`."""
    return _by_the_run(run, set_hash) + sum(1 for r in read_jsonl(run.eval / FILE) if r.get("hash") == set_hash)


def add_read(run: RunDirectory, set_hash: str, about: Mapping[str, Any]) -> int:
    """Write down that a set is read once more; how often that makes."""
    before = num_reads(run, set_hash)
    file = JsonAppender(run.eval / FILE)
    file.write({"time": round(time.time(), 3), "hash": set_hash, **about}, synced=True)
    file.close()
    return before + 1


def _by_the_run(run: RunDirectory, set_hash: str) -> int:
    try:
        if read_evaluation(run.eval / "test.json")["hash"] != set_hash:
            return 0
    except LabError:
        return 0
    return sum(e.kind == "state" and e.data.get("state") == "scoring" for e in read_events(run.events_file))
