"""Why a run may not come out alike when it is made again: how the two records differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.provenance import read_provenance

NOTHING_TO_COMPARE = ("data", "tokenizer", "normalizer")
"""Where these have changed, another run was made."""
MEANINGS = {
    "data": "the data are others than it was trained on",
    "tokenizer": "the tokenizer is another one",
    "normalizer": "transcripts are normalised otherwise",
    "test": "the test sets are others than were scored",
    "code": "the code is another one",
}


def reasons(run: RunDirectory, again: RunDirectory) -> tuple[str, ...]:
    """A line for each difference between the record of a run and of the one that was made again."""
    attempts, new = read_provenance(run), read_provenance(again)[-1]
    old = attempts[-1]
    return (
        *_other_hashes(old, new),
        *_other_packages(old["environment"], new["environment"]),
        *_other_machine(old, new),
        *_of_its_attempts(attempts),
    )


def _other_hashes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    before, now = old["hashes"], new["hashes"]
    return [
        f"{meaning}: {before[kind][:12]} -> {now[kind][:12]}"
        for kind, meaning in MEANINGS.items()
        if kind in before and kind in now and before[kind] != now[kind]
    ]


def _other_packages(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    names = sorted(old.keys() | new.keys())
    return [f"{n} {old.get(n, 'absent')} -> {new.get(n, 'absent')}" for n in names if old.get(n) != new.get(n)]


def _other_machine(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    lines = [
        f"another machine, {key}: {value} -> {new['host'].get(key)}"
        for key, value in old["host"].items()
        if key in ("system", "cpu", "num_threads", "accelerators") and new["host"].get(key) != value
    ]
    before, now = old.get("determinism") or {}, new.get("determinism") or {}
    return lines + [
        f"{name}: {before[key]} -> {now.get(key)}"
        for key, name in (("cpu", "instruction set"), ("gpu", "GPU"), ("cuda", "CUDA"), ("cudnn", "cuDNN"))
        if key in before and before[key] != now.get(key)
    ]


def _of_its_attempts(attempts: list[dict[str, Any]]) -> list[str]:
    """What the run's own attempts say against equal bits."""
    level = (attempts[-1].get("determinism") or {}).get("level")
    lines = [] if level != "off" else ["determinism.level is off: nothing is promised"]
    for number, record in enumerate(attempts, start=1):
        if not record.get("exact", True):
            kinds = [change["kind"] for change in record.get("accepted", [])]
            others = ["other processes"] if record.get("other_world") else []
            why = ", ".join([*(f"changed {kind}" for kind in kinds), *record.get("other_host", []), *others])
            lines.append(f"its attempt {number} went on under {why}")
    threads = {str(d["threads"]) for record in attempts if (d := record.get("determinism") or {}).get("threads")}
    if len(threads) > 1:
        lines.append(f"its attempts ran with {' and '.join(sorted(threads))} threads")
    return lines
