"""`asrlab doctor`: what this machine can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from cli.console import output_console
from cli.options import AsJson

if TYPE_CHECKING:
    from asr_lab.commands.doctor import Checkup


def doctor(as_json: AsJson = False) -> None:
    """Look at this machine: torch, GPUs, optional packages, SLURM, disks, and a step in each number format.

    Example: asrlab doctor
    """
    from asr_lab.commands.doctor import check_up, checkup_json

    found = check_up()
    if as_json:
        from asr_lab.files import json_text

        print(json_text(checkup_json(found), indent=2))
    else:
        _print(found)
    if any(one.problem for one in found.packages):
        raise typer.Exit(1)


def _print(found: Checkup) -> None:
    from rich.table import Table

    out, torch = output_console(), found.torch
    facts = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    facts.add_column(no_wrap=True, style="dim")
    facts.add_column(overflow="fold")
    facts.add_row("python", found.python)
    facts.add_row("system", found.system)
    facts.add_row("processors", f"{found.processors}, {torch['cpu']}; {found.memory_gb:.0f} GB of memory")
    cuda = f"for CUDA {torch['cuda']}" if torch["cuda"] else "without CUDA"
    facts.add_row("torch", f"{torch['version']}, {cuda}, {torch['threads']} threads")
    facts.add_row("GPUs", ", ".join(found.gpus) or "none: what needs one is emulated or refused by name")
    facts.add_row("SLURM", found.slurm)
    facts.add_row("C++", found.compiler or "no compiler: kernels.compile needs one (Debian: apt-get install g++)")
    for one in found.storage:
        state = "" if one.is_there else ", absent"
        facts.add_row(one.what, f"{one.path} ({one.variable}{state}), {one.free_gb:.0f} GB free")
    out.print(facts)
    out.print()
    packages = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("package", "version", "state", "lets you write or run"):
        packages.add_column(name, overflow="fold")
    for held in found.packages:
        packages.add_row(held.package.name, held.version, held.word, held.package.unlocks)
    out.print(packages)
    for held in found.packages:
        if held.word == "absent":
            out.print(f"{held.package.name}: {held.package.install}", style="dim", soft_wrap=True)
        elif held.problem:
            out.print(f"{held.package.name} does not load: {held.problem}", style="red", soft_wrap=True)
    out.print()
    out.print("a step in each number format: " + ", ".join(f"{one.name} {one.outcome}" for one in found.steps))
    if not found.gpus:
        out.print("No pinned package trains MXFP4 on hardware; it is emulated everywhere.", style="dim")
