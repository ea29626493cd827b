"""The code of a run: what it is, and a copy of it that later edits don't touch."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

import asr_lab
from asr_lab.config.imports import PATH_VARIABLE
from asr_lab.errors import RunError
from asr_lab.files import write_json
from asr_lab.runs.fresh import fresh_folder

PACKAGE = "asr_lab"
LISTED = "files.json"
"""In a snapshot: its files with their SHA-256."""


@attrs.frozen
class Code:
    """Source files by name (`asr_lab/units.py`, `path0/blocks/mine.py`) with their SHA-256 and the hash of them all."""

    files: dict[str, str]
    folders: dict[str, Path]
    """Where each first part of the names stands on disk."""

    @property
    def hash(self) -> str:
        """SHA-256 over names and contents, hex."""
        whole = hashlib.sha256()
        for name, digest in sorted(self.files.items()):
            whole.update(f"{name}\0{digest}\n".encode())
        return whole.hexdigest()


def running_code() -> Code:
    """The package that runs now, and every folder of `ASRLAB_PATH`."""
    folders = {PACKAGE: Path(asr_lab.__file__).resolve().parent}
    for number, root in enumerate(filter(None, os.environ.get(PATH_VARIABLE, "").split(os.pathsep))):
        folders[f"path{number}"] = Path(root).resolve()
    return code_of(folders)


def code_of(folders: Mapping[str, Path]) -> Code:
    """The source files under some folders."""
    files = {}
    for prefix, folder in folders.items():
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder)
            hidden = any(part.startswith(".") or part == "__pycache__" for part in name.parts)
            if path.is_file() and not hidden and path.suffix not in (".pyc", ".so"):
                files[f"{prefix}/{name.as_posix()}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    return Code(files, dict(folders))


def take_snapshot(code: Code, folder: Path) -> Path:
    """Copy the code to `folder/<hash16>`, unless it is there; give that path. What is copied is what was hashed.

    RunError names the file where a copy that is there was changed.
    """
    target = folder / code.hash[:16]
    if target.exists():
        check_snapshot(target)
        return target
    with fresh_folder(folder, target.name) as fresh:
        for name, digest in code.files.items():
            copy = fresh / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(_source(code, name), copy)
            if hashlib.sha256(copy.read_bytes()).hexdigest() != digest:
                raise RunError(f"{_source(code, name)} changed while the run was being prepared; start it again")
        write_json(fresh / LISTED, code.files)
        try:
            fresh.rename(target)
        except OSError:
            if not target.exists():  # else another process was faster
                raise
    return target


def check_snapshot(snapshot: Path) -> None:
    """Make sure that a snapshot holds what its name is the hash of; RunError names the files that it does not."""
    way = f"remove {snapshot} and start the run again: its code is copied anew"
    try:
        files = json.loads((snapshot / LISTED).read_bytes())
        listed = Code({str(name): str(digest) for name, digest in files.items()}, {})
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise RunError(f"{snapshot / LISTED} cannot be read: {error}; {way}") from error
    if listed.hash[:16] != snapshot.name:
        raise RunError(f"{snapshot / LISTED} is damaged: it lists other code than that of the folder's name; {way}")
    found = code_of({path.name: path for path in snapshot.iterdir() if path.is_dir()})
    wrong = [
        f"{name} is {'gone' if name not in found.files else 'new' if name not in listed.files else 'changed'}"
        for name in sorted(found.files.keys() | listed.files.keys())
        if found.files.get(name) != listed.files.get(name)
    ]
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise RunError(f"the run's code in {snapshot} is damaged: {', '.join(wrong[:5])}{more}; {way}")


def snapshot_environment(
    snapshot: Path, environment: Mapping[str, str], parts: Sequence[str] | None = None
) -> dict[str, str]:
    """The environment of a process that runs the snapshot's code in place of this process's.

    `parts` are the user's folders in a snapshot that is not there yet: `path0`, `path1`, …
    """
    names = [p.name for p in snapshot.glob("path*") if p.is_dir()] if parts is None else parts
    paths = [snapshot / name for name in sorted(names, key=lambda name: int(name[4:]))]
    python_path = [str(snapshot.resolve()), *filter(None, [environment.get("PYTHONPATH", "")])]
    changed = dict(environment)
    changed["PYTHONPATH"] = os.pathsep.join(python_path)
    changed["PYTHONSAFEPATH"] = "1"  # the working directory may hold another asr_lab
    changed[PATH_VARIABLE] = os.pathsep.join(str(p.resolve()) for p in paths)
    return changed


def changed_files(before: Path, code: Code) -> list[str]:
    """Lines on what differs between a snapshot and code: `asr_lab/nn/conv.py  +3 -1`."""
    old = code_of({p.name: p for p in before.iterdir() if p.is_dir()}) if before.exists() else None
    if old is None:
        return [f"(the snapshot {before} is gone)"]
    lines = []
    for name in sorted(old.files.keys() | code.files.keys()):
        if old.files.get(name) != code.files.get(name):
            was = _lines(before / name) if name in old.files else []
            now = _lines(_source(code, name)) if name in code.files else []
            diff = [d for d in difflib.ndiff(was, now) if d[0] in "+-"]
            added = sum(d[0] == "+" for d in diff)
            note = "  (new)" if name not in old.files else "  (gone)" if name not in code.files else ""
            lines.append(f"{name}  +{added} -{len(diff) - added}{note}")
    return lines


def _source(code: Code, name: str) -> Path:
    prefix, _, rest = name.partition("/")
    return code.folders[prefix] / rest


def _lines(path: Path) -> list[str]:
    return path.read_text(errors="replace").splitlines()
