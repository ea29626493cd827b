"""What a run ran on: the record that each attempt leaves, and what changed since the one before."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from asr_lab.config.stored import read_json, stored
from asr_lab.devices import num_processors
from asr_lab.errors import RunError
from asr_lab.files import write_text
from asr_lab.runs.code_snapshot import Code, changed_files
from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.version import git_state, package_version

KINDS = ("code", "environment", "data", "tokenizer", "normalizer", "test")
"""The hashes that a run must keep from its first attempt to its last, unless the user accepts a change.

`test` is compared once a run is finished: until then its test sets may change."""


@attrs.frozen
class Host:
    """The kind of machine: on another kind, equal bits are not promised."""

    system: str
    cpu: str
    num_cpus: int
    """CPUs that this process may use."""
    num_threads: int
    """Threads of one matrix product."""
    accelerators: tuple[str, ...]


@attrs.frozen
class Recorded:
    """What later attempts are compared with in the record of each."""

    hashes: dict[str, str]
    environment: dict[str, str]
    host: dict[str, Any]


@attrs.frozen
class RecordChange:
    """Something that is not as it was: its kind, and lines on what differs."""

    kind: str
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join([f"{self.kind}:", *(f"  {line}" for line in self.lines)])


def packages() -> dict[str, str]:
    """Versions of the packages that asr-lab asks for, and of the fast kernels if they are there."""
    try:
        asked = importlib.metadata.requires("asr-lab") or []
    except importlib.metadata.PackageNotFoundError:
        asked = []
    names = {re.split(r"[^A-Za-z0-9_.-]", line, maxsplit=1)[0] for line in asked if "extra ==" not in line}
    found = {}
    for name in sorted(names | {"torch", "numpy", "mamba-ssm", "flash-attn", "transformer-engine", "torchao"}):
        try:
            found[name.lower()] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def environment() -> dict[str, str]:
    """What is hashed as the environment: Python and the packages, by version."""
    return {"python": platform.python_version(), **packages()}


def hash_of(content: Any) -> str:
    """SHA-256 of a JSON value in canonical form, hex."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def this_host() -> Host:
    """The machine under this process; it loads torch."""
    import torch

    names = tuple(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
    return Host(
        system=f"{platform.system()} {platform.machine()}",
        cpu=_cpu_name(),
        num_cpus=num_processors(),
        num_threads=torch.get_num_threads(),
        accelerators=names,
    )


def read_provenance(run: RunDirectory) -> list[dict[str, Any]]:
    """The records of a run's attempts, oldest first; empty when there was none. RunError when they are damaged."""
    path = run.provenance_file
    if not path.exists():
        if any(run.checkpoints.glob("step-*")):
            raise RunError(f"{path} is gone: what the run was trained on is not known")
        return []
    content = read_json(path)
    attempts = content.get("attempts") if isinstance(content, dict) else None
    if not isinstance(attempts, list):
        raise RunError(f"{path} is damaged: no usable attempts")
    for number, record in enumerate(attempts, start=1):
        stored(record, Recorded, f"{path}, record {number}")
    return attempts


def add_provenance(run: RunDirectory, record: dict[str, Any]) -> None:
    """Add an attempt's record; a file that is damaged stays beside the new one."""
    try:
        before = read_provenance(run)
    except RunError:
        before = []
        if run.provenance_file.exists():
            run.provenance_file.replace(run.provenance_file.with_suffix(".damaged.json"))
    attempts = [*before, record]
    write_text(run.provenance_file, json.dumps({"attempts": attempts}, indent=1, ensure_ascii=False) + "\n")


def record_attempt(
    attempt: int, code: Code, hashes: dict[str, str], host: Host, parts: dict[str, Any]
) -> dict[str, Any]:
    """An attempt's record; `hashes` are those of data, tokenizer and normalizer, `parts` whatever else belongs in."""
    return {
        "attempt": attempt,
        "time": time.time(),
        "command": sys.argv,
        "folder": str(Path.cwd()),
        "host_name": platform.node(),
        "host": attrs.asdict(host),
        "environment": environment(),
        "version": package_version(),
        "git": git_state(code.folders["asr_lab"]),
        "hashes": {"code": code.hash, "environment": hash_of(environment()), **hashes},
        **parts,
    }


def changes(run: RunDirectory, code: Code, hashes: dict[str, str] | None) -> list[RecordChange]:
    """What differs from the newest attempt's record; `hashes` None leaves data, tokenizer and normalizer out.

    A record that is damaged or gone is a change too: nothing can be compared with it.
    """
    try:
        attempts = read_provenance(run)
    except RunError as error:
        return [RecordChange("record", (str(error),))]
    if not attempts:
        return []
    before = attempts[-1]
    now = {"code": code.hash, "environment": hash_of(environment()), **(hashes or {})}
    found = []
    for kind in KINDS:
        old, new = before["hashes"].get(kind), now.get(kind)
        if old is None or new is None or old == new:
            continue
        if kind == "code":
            lines = changed_files(run.code / old[:16], code)
        elif kind == "environment":
            lines = _versions(before["environment"], environment())
        elif kind == "test":
            lines = [f"{old[:12]} -> {new[:12]}: other audio or references than were scored; asrlab eval scores them"]
        else:
            lines = [f"{old[:12]} -> {new[:12]}"]
        found.append(RecordChange(kind, tuple(lines)))
    return found


def refusal(run: RunDirectory, found: Sequence[RecordChange], is_finished: bool) -> str:
    """Why a run does not go on, with the diff and the ways out."""
    kinds = ", ".join(change.kind for change in found)
    what = "is finished, but has changed since" if is_finished else "was begun with something else"
    diff = "\n".join(f"  {line}" for change in found for line in str(change).splitlines())
    accept = "takes it as it is" if is_finished else "goes on under the change, and the record says so"
    return (
        f"{run.path} {what}: {kinds}\n{diff}\n"
        f"  --again            trains afresh, beside it\n"
        f"  --accept-changes   {accept}"
    )


def host_changes(run: RunDirectory, host: Host) -> list[str]:
    """How this machine differs from the newest attempt's: equal bits are promised on equal machines alone."""
    try:
        attempts = read_provenance(run)
    except RunError:
        return []  # `changes` says so
    if not attempts:
        return []
    old, new = attempts[-1]["host"], json.loads(json.dumps(attrs.asdict(host)))
    return [f"{key}: {old.get(key)} -> {value}" for key, value in new.items() if old.get(key) != value]


def _versions(old: dict[str, str], new: dict[str, str]) -> list[str]:
    names: Sequence[str] = sorted(old.keys() | new.keys())
    return [f"{n} {old.get(n, 'absent')} -> {new.get(n, 'absent')}" for n in names if old.get(n) != new.get(n)]


def _cpu_name() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1) if found else platform.processor()
