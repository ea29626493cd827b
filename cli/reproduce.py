"""`asrlab reproduce`: make a run again from its record, and compare."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import output_console
from cli.options import AsJson, Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from asr_lab.runs.directory import RunDirectory
    from asr_lab.runs.proofs.reproduction import Reproduction
    from asr_lab.runs.status import RunStatus

SHOWN = 12
"""Hex digits of a SHA-256 that are shown."""


def reproduce(
    run: Run = "",
    trust_code: Annotated[
        bool, typer.Option("--trust-code", help="Let the run's own copy of the code run where another is installed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a run again from its record, and compare.

    Exit code 1 when a bit differs; the records then say why. Example: asrlab reproduce quickstart
    """
    from asr_lab.runs.directory import runs_root
    from asr_lab.runs.find import find_run
    from asr_lab.runs.proofs.reproduction import code_to_run, last_record
    from asr_lab.runs.proofs.reproduction import reproduce as make_again

    found = find_run(run, runs_root())
    code = code_to_run(found, last_record(found), trust_code)
    which = (
        f"its own copy of the code, {code.hash[:SHOWN]}" if code.is_own_copy else "the installed code, which made it"
    )
    print(f"{found.path}: made again on {which}", file=sys.stderr)
    reproduction = make_again(found, runs_root(), code, _follow)
    if as_json:
        import json

        print(json.dumps(_content(reproduction), indent=1))
    else:
        _print(reproduction)
    if not reproduction.holds:
        raise typer.Exit(1)


def _follow(run: RunDirectory, is_over: Callable[[], bool]) -> RunStatus:
    from asr_lab.runs.view import follow, open_view

    view = open_view(run)
    try:
        return follow(run, view, is_over=is_over)
    finally:
        view.close()


def _content(found: Reproduction) -> dict[str, Any]:
    return {
        "run": found.run.name,
        "holds": found.holds,
        "parts": {part: {"run": old, "again": found.found.get(part)} for part, old in found.wanted.items()},
        "scores": [{"name": name, "run": old, "again": new} for name, old, new in found.scores],
        "reasons": list(found.reasons),
        "again": None if found.holds else str(found.again.path),
    }


def _print(found: Reproduction) -> None:
    from rich.table import Table

    from asr_lab.evaluation.percentages import percent
    from asr_lab.runs.proofs.digests import LABELS

    out = output_console()
    table = Table("", "the run", "made again", "")
    for part, old in found.wanted.items():
        new = found.found.get(part, "")
        table.add_row(LABELS.get(part, part), old[:SHOWN], new[:SHOWN] or "-", "equal" if old == new else "DIFFERS")
    for name, was, now in found.scores:
        shown = ["-" if value is None else percent(value) for value in (was, now)]
        table.add_row(name, *shown, "equal" if was == now else "DIFFERS")
    out.print(table)
    if found.holds:
        out.print("equal: the record makes the run again, bit for bit")
        return
    out.print(f"it DIFFERS; made again in {found.again.path}", soft_wrap=True)
    for line in found.reasons:
        out.print(f"  {line}", soft_wrap=True)
    if not found.reasons:
        out.print("  the two records show no reason: same code, data, packages, machine and threads")
