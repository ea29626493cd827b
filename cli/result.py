"""What a finished run came to, for people or for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.console import output_console

if TYPE_CHECKING:
    from rich.console import Console

    from asr_lab.evaluation.scoring import Scored
    from asr_lab.runs.directory import RunDirectory

PAIRS = 4
"""Utterances shown with reference and hypothesis."""


def print_result(run: RunDirectory, as_json: bool) -> None:
    """The scores of the test sets, some sentences, where everything lies, and what to try next."""
    from asr_lab.commands.result import evaluation_of, result_json

    if as_json:
        import json

        print(json.dumps(result_json(run), indent=2, ensure_ascii=False))
        return
    from asr_lab.evaluation.report import print_evaluation

    out = output_console(markup=True)
    evaluation = evaluation_of(run)
    if evaluation is not None:
        print_evaluation(out, evaluation, worst=0, tables=False)
        _print_pairs(out, evaluation.score.scored)
        out.print(f"\nall hypotheses: {run.eval / 'test.jsonl'}", highlight=False, soft_wrap=True)
    _print_run(out, run)


def _print_pairs(out: Console, scored: tuple[Scored, ...]) -> None:
    from rich.table import Table

    table = Table("reference", "hypothesis", "errors", title="some of them", title_justify="left")
    for one in scored[:: max(1, len(scored) // PAIRS)][:PAIRS]:
        table.add_row(one.reference, one.hypothesis, str(one.num_errors))
    out.print(table, markup=False)


def _print_run(out: Console, run: RunDirectory) -> None:
    from asr_lab.data.left_out import trained_on
    from asr_lab.runs.status import status_of

    status = status_of(run)
    best = ""
    if status.best is not None:
        best = f"; best on valid at step {status.best_step:,}, {status.metric.upper()} {status.best:.1%}"
    record = status.utterances or {}
    of, left_out = trained_on(record), record.get("left_out")
    lines = [
        f"the run: {run.path}, {status.step:,} steps{best}",
        *([f"{of}: {run.left_out_file}" if left_out else of] if of else []),
        *([f"training ended by {status.ended_by}"] if status.ended_by else []),
        "next:",
        f"  asrlab transcribe FILE.wav --run {run.name}",
        f"  asrlab eval {run.name} --data FOLDER",
        "  asrlab runs",
    ]
    out.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
