"""`asrlab eval`: the error rates of a run on any data."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import output_console
from cli.options import AsJson, Checkpoint, Overrides, Run

if TYPE_CHECKING:
    from asr_lab.commands.evaluate import Evaluated

Data = Annotated[
    list[str],
    typer.Option(
        "--data",
        metavar="FILE|DIR|SLOT",
        help="A manifest, a folder, or a table as in a recipe; repeatable; none = the recipe's data.test.",
    ),
]


def eval(
    run: Run = "",
    data: Data = [],  # noqa: B006
    checkpoint: Checkpoint = "best",
    overrides: Overrides = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Score a run: WER and CER with intervals, by speaker and length, and every hypothesis.

    Example: asrlab eval --data '{type = "folder", path = "fsdd", where = {split = "test"}}' --set decode.beam=4
    """
    from asr_lab.commands.weights_line import weights_line
    from asr_lab.runs.directory import runs_root
    from asr_lab.runs.find import find_run

    found = find_run(run, runs_root())
    print(weights_line(found, checkpoint), file=sys.stderr if as_json else sys.stdout)
    from asr_lab.commands.evaluate import evaluate_run
    from asr_lab.devices import best_device

    device = best_device().type
    evaluated = evaluate_run(found, checkpoint, data, overrides, device, show=True)
    if evaluated.reads > 1:
        print(f"note: this set has now been scored {evaluated.reads} times with this run", file=sys.stderr)
    if evaluated.problem:
        print(f"note: nothing is kept of this evaluation: {evaluated.problem}", file=sys.stderr)
    if as_json:
        _print_json(evaluated)
    else:
        _print_tables(evaluated)


def _print_json(evaluated: Evaluated) -> None:
    import json

    from asr_lab.evaluation.evaluation_files import evaluation_json

    path = evaluated.path
    hypotheses = str(path.with_suffix(".jsonl")) if path else ""
    content = {**evaluation_json(evaluated.evaluation, hypotheses), "path": str(path) if path else None}
    print(json.dumps(content, indent=1, ensure_ascii=False))


def _print_tables(evaluated: Evaluated) -> None:

    from asr_lab.evaluation.report import print_evaluation

    out = output_console(markup=True)
    print_evaluation(out, evaluated.evaluation)
    if evaluated.path is not None:
        out.print(f"scores: {evaluated.path}", highlight=False, soft_wrap=True)
        out.print(f"hypotheses: {evaluated.path.with_suffix('.jsonl')}", highlight=False, soft_wrap=True)
