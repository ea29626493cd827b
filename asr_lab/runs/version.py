"""Which version of the package this is, and which one made a run."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
from pathlib import Path
from typing import Any

BEFORE_VERSIONS = "a version before 0.2.0"
"""What made a run whose record names no version."""


def package_version() -> str:
    """What records and published figures say of the code: `0.2.0`, in a checkout `0.2.0, commit 1a2b3c4d`."""
    try:
        version = importlib.metadata.version("asr-lab")
    except importlib.metadata.PackageNotFoundError:
        version = "unknown"
    git = git_state(Path(__file__).parent)
    return version if git is None else f"{version}, commit {git['commit'][:8]}{' and edits' if git['edited'] else ''}"


def version_of(provenance: Path) -> str:
    """The version that made the newest attempt, as far as a provenance.json tells."""
    try:
        return str(json.loads(provenance.read_text(encoding="utf-8"))["attempts"][-1]["version"])
    except (OSError, ValueError, KeyError, IndexError, TypeError, RecursionError):
        return BEFORE_VERSIONS


def git_state(folder: Path) -> dict[str, Any] | None:
    """The commit that a folder's code stands at, and whether it was edited since; None outside a checkout."""
    try:
        commit = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True
        )
        status = subprocess.run(
            ["git", "-C", str(folder), "status", "--porcelain", "--", "."],
            capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit.stdout.strip(), "edited": bool(status.stdout.strip())}
