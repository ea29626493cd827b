"""Standard output for results that people read."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 10_000
"""Columns where there is no terminal: whatever reads a pipe or a file gets lines and names whole."""


def output_console(markup: bool = False, quiet: bool = False) -> Console:
    """As wide as the terminal; in a pipe or a file nothing is cut or wrapped.

    Without `markup`, brackets in names are brackets; colons never make pictures.
    """
    from rich.console import Console

    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(width=width, markup=markup, emoji=False, highlight=False, quiet=quiet)
