"""Where what can be made again is kept."""

from __future__ import annotations

import os
from pathlib import Path

CACHE_VARIABLE = "ASRLAB_CACHE"


def cache_root() -> Path:
    """The folder that `ASRLAB_CACHE` names, by default `~/.cache/asrlab`."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "asrlab").absolute()
