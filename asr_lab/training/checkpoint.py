"""A checkpoint on disk: a folder of safetensors and JSON that is there whole or not at all.

It is written under a temporary name, synced, and renamed; `checksums.json` holds each file's size and SHA-256.
Nothing in it is executed when it is read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import load_file, save_file
from torch import Tensor

from asr_lab.errors import CheckpointError
from asr_lab.files import is_leftover, sync
from asr_lab.training.state import PARTS, Snapshot

FORMAT = 1
"""Raised when what the files hold changes."""
STATE, CHECKSUMS = "state.json", "checksums.json"
_TEMPORARY = ".writing-"
_REPLACED = ".replaced-"


def write(folder: Path, snapshot: Snapshot) -> None:
    """Write a checkpoint to `folder`; a kill at any instant leaves either all of it or nothing by that name.

    One that stands there already is replaced. CheckpointError where the disk refuses.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    token = f"{os.getpid()}-{secrets.token_hex(4)}"
    temporary = folder.parent / f"{_TEMPORARY}{folder.name}-{token}"
    temporary.mkdir()
    try:
        files = []
        for part in PARTS:
            if tensors := snapshot.tensors.get(part):
                files.append(temporary / f"{part}.safetensors")
                save_file({name: _plain(t) for name, t in tensors.items()}, files[-1])
        files.append(temporary / STATE)
        files[-1].write_text(json.dumps({"format": FORMAT, **snapshot.numbers}, indent=1, allow_nan=True))
        sums = {f.name: {"bytes": f.stat().st_size, "sha256": _sha256(f)} for f in files}
        files.append(temporary / CHECKSUMS)
        files[-1].write_text(json.dumps(sums, indent=1))
        for path in [*files, temporary]:
            sync(path)
        if folder.exists():
            os.rename(folder, folder.parent / f"{_REPLACED}{folder.name}-{token}")
        os.rename(temporary, folder)
        sync(folder.parent)
    except (OSError, safetensors.SafetensorError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise CheckpointError(f"{folder} cannot be written: {error}; what was saved before it stands") from error
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    shutil.rmtree(folder.parent / f"{_REPLACED}{folder.name}-{token}", ignore_errors=True)


def read(folder: Path, *, parts: Sequence[str] = PARTS, is_verified: bool = False) -> Snapshot:
    """Read a checkpoint, tensors on the CPU; CheckpointError says what is wrong with a damaged one.

    `parts` are the kinds of tensors that are wanted. One that `verify` has just passed need not be hashed again.
    """
    if not is_verified:
        verify(folder)
    numbers = read_numbers(folder)
    tensors: dict[str, dict[str, Tensor]] = {}
    for part in parts:
        path = folder / f"{part}.safetensors"
        if path.exists():
            try:
                tensors[part] = load_file(path)
            except (safetensors.SafetensorError, OSError) as error:
                raise CheckpointError(f"{path}: not a safetensors file: {error}") from error
    return Snapshot(tensors, numbers)


def read_numbers(folder: Path) -> dict[str, Any]:
    """The JSON part alone; CheckpointError when it is absent, damaged or of another format."""
    numbers = _read_json(folder / STATE)
    if numbers.pop("format", None) != FORMAT:
        raise CheckpointError(f"{folder / STATE}: not a checkpoint of format {FORMAT}")
    return numbers


def step_of(folder: Path) -> int:
    """The steps that a checkpoint's weights had been trained for; CheckpointError when its state cannot be read."""
    return int(read_numbers(folder)["progress"]["step"])


def has_part(folder: Path, part: str) -> bool:
    """Whether a checkpoint has tensors of a kind."""
    return (folder / f"{part}.safetensors").exists()


def verify(folder: Path) -> None:
    """CheckpointError unless every file of a checkpoint is there with the size and checksum that were written."""
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such checkpoint")
    sums = _read_json(folder / CHECKSUMS)
    known = {STATE, *(f"{part}.safetensors" for part in PARTS)}
    if STATE not in sums or not set(sums) <= known:
        raise CheckpointError(f"{folder / CHECKSUMS}: does not list a checkpoint's files")
    for name, expected in sums.items():
        path = folder / name
        if not isinstance(expected, dict) or not {"bytes", "sha256"} <= set(expected):
            raise CheckpointError(f"{folder / CHECKSUMS}: does not list a checkpoint's files")
        if not path.is_file():
            raise CheckpointError(f"{path}: missing")
        if path.stat().st_size != expected["bytes"]:
            raise CheckpointError(f"{path}: {path.stat().st_size} bytes, {expected['bytes']} were written")
        if _sha256(path) != expected["sha256"]:
            raise CheckpointError(f"{path}: its checksum is not the one that was written")
    for name in sorted(known - set(sums)):
        if (folder / name).exists():
            raise CheckpointError(f"{folder / name}: was not written with this checkpoint")


def remove(folder: Path) -> None:
    """Remove a checkpoint, where it is still there; a kill leaves it whole or gone by its name."""
    doomed = folder.parent / f"{_REPLACED}{folder.name}-{os.getpid()}-{secrets.token_hex(4)}"
    with contextlib.suppress(FileNotFoundError):  # removed by an owner that was overtaken in the midst of saving
        os.rename(folder, doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def remove_leftovers(folder: Path) -> list[str]:
    """Remove what killed writes left in a folder of checkpoints; their names. Only the run's owner may call it."""
    removed = []
    for path in sorted(folder.glob(".*")) if folder.is_dir() else []:
        if path.name.startswith((_TEMPORARY, _REPLACED)) or is_leftover(path):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
            removed.append(path.name)
    return removed


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu").contiguous()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: missing") from error
    except (ValueError, OSError, RecursionError) as error:
        raise CheckpointError(f"{path}: not readable: {error}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: not an object")
    return value
