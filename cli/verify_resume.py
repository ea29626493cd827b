"""`asrlab verify-resume`: whether a recipe's run, killed again and again, ends with the bits of one that never was."""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import output_console
from cli.options import AsJson, Overrides
from cli.progress import progress_bar

if TYPE_CHECKING:
    from asr_lab.runs.proofs.resume import ResumeProof

MIN_WIDTH = 12
"""Hex digits of a SHA-256 that are shown."""


def verify_resume(
    recipe: Annotated[Path, typer.Argument(help="A recipe.")],
    overrides: Overrides = [],  # noqa: B006
    kills: Annotated[int, typer.Option("--kills", metavar="N", min=1, max=10_000, help="SIGKILLs in all.")] = 10,
    steps: Annotated[
        int | None,
        typer.Option("--steps", metavar="N", min=1, help="Train so many steps only, with five validations."),
    ] = None,
    ranks: Annotated[int, typer.Option("--ranks", metavar="N", min=1, max=64, help="Processes of one run.")] = 1,
    seed: Annotated[int, typer.Option("--seed", metavar="S", min=0, help="Draws the instants.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Kill a recipe's run again and again, and compare it with a whole one.

    Exit code 1 when a bit differs. Example: asrlab verify-resume recipes/quickstart.toml --steps 60 --kills 10
    """
    from asr_lab.runs.directory import runs_root
    from asr_lab.runs.proofs.resume import recipe_of_proof
    from asr_lab.runs.proofs.resume import verify_resume as verify

    document = recipe_of_proof(recipe, overrides, steps, runs_root())
    proof = _shown(verify(document, runs_root(), kills, seed, ranks), kills)
    content = _content(proof, document.value.name, seed, ranks)
    if as_json:
        import json

        print(json.dumps(content, indent=1))
    else:
        _print(proof)
    if not proof.holds:
        raise typer.Exit(1)


def _shown(steps: Generator[Any, None, ResumeProof], num_kills: int) -> ResumeProof:
    """Take every kill, with a bar on a terminal and a line each elsewhere."""
    from asr_lab.runs.proofs.resume import Kill

    with progress_bar() as progress:
        task = progress.add_task("running undisturbed", total=num_kills)
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                proof: ResumeProof = end.value
                return proof
            if isinstance(step, Kill):
                progress.update(task, advance=1, description=f"killed in {step.hit}, goes on")
            else:
                progress.update(task, description="starting")
            if progress.disable:
                print(step if isinstance(step, Kill) else f"{step.path}: finished undisturbed", file=sys.stderr)


def _content(proof: ResumeProof, name: str, seed: int, ranks: int) -> dict[str, Any]:
    import attrs

    return {
        "recipe": name,
        "steps": proof.num_steps,
        "seed": seed,
        "ranks": ranks,
        "holds": proof.holds,
        "counts": proof.counts,
        "runs": len(proof.differences),
        "sha256": proof.digests,
        "differences": [[attrs.asdict(one) for one in found] for found in proof.differences],
        "folder": None if proof.holds else str(proof.folder),
        "kills": [attrs.asdict(kill) for kill in proof.kills],
    }


def _print(proof: ResumeProof) -> None:
    from rich.table import Table

    from asr_lab.runs.proofs.digests import LABELS

    out = output_console()
    table = Table("part", "SHA-256, undisturbed", "killed and resumed")
    parts = dict.fromkeys([*proof.digests, *(one.part for found in proof.differences for one in found)])
    for part in parts:
        others = {one.found for found in proof.differences for one in found if one.part == part}
        shown = ", ".join(sorted(other[:MIN_WIDTH] or "none" for other in others)) if others else "equal"
        table.add_row(LABELS.get(part, part), proof.digests.get(part, "")[:MIN_WIDTH] or "none", shown)
    out.print(table)
    counts = ", ".join(f"{count} in {kind}" for kind, count in proof.counts.items())
    num_runs, num_different = len(proof.differences), sum(map(bool, proof.differences))
    noun = "run" if num_runs == 1 else "runs"
    out.print(f"{len(proof.kills)} kills over {num_runs} {noun} of {proof.num_steps:,} steps: {counts}")
    if proof.holds:
        out.print("0 differences: it resumes exactly")
    else:
        out.print(f"{num_different} of {num_runs} {noun} DIFFER; all are kept: {proof.folder}", soft_wrap=True)
