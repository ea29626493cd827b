"""`asrlab runs`: the runs there are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr_lab.errors import printable
from cli.console import output_console
from cli.options import AsJson

if TYPE_CHECKING:
    from asr_lab.runs.directory import RunDirectory

MAX_NAME = 16
"""Characters of a test set's name in the table."""


def runs(as_json: AsJson = False) -> None:
    """List the runs: state, step, best score, age. A silent run's owner gives no sign; `asrlab run` goes on with it.

    Example: asrlab runs
    """
    from asr_lab.runs.directory import runs_root
    from asr_lab.runs.find import all_runs

    rows = [_row(run) for run in reversed(all_runs(runs_root()))]
    _mark_silent(rows)
    if as_json:
        from asr_lab.files import json_text

        print(json_text(rows, indent=2))
    elif not rows:
        print(f"no runs under {runs_root()}; start one: asrlab run recipes/quickstart.toml")
    else:
        _print_table(rows)


def _mark_silent(rows: list[dict[str, Any]]) -> None:
    """Tell runs whose owner gives no sign from those that train."""
    from asr_lab.runs.directory import RunDirectory
    from asr_lab.runs.lock import last_attempt
    from asr_lab.runs.silence import silences

    locks = {RunDirectory(Path(row["path"])).lock: row for row in rows if row["state"] == "running"}
    holders = {lock: attempt for lock in locks if (attempt := last_attempt(lock)) is not None}
    for lock, silent_s in silences(holders).items():
        locks[lock] |= {"state": "silent", "silent_s": None if silent_s is None else round(silent_s, 1)}


def _row(run: RunDirectory) -> dict[str, Any]:
    import time

    from asr_lab.errors import RunError
    from asr_lab.evaluation.evaluation_files import rates_of
    from asr_lab.evaluation.rates import MAIN
    from asr_lab.runs.jobs import watch_of
    from asr_lab.runs.status import RunStatus, state_of, status_of

    problem, status, resolved, state, job = None, RunStatus(), None, "damaged", None
    try:
        resolved, status = run.resolved(), status_of(run)
        watch = watch_of(run)
        state = state_of(run, status, watch)[0]
        if watch is not None and state in ("queued", "dead"):
            look = watch.look()
            job = {"id": watch.job.ids[0], "state": look.word, "reason": look.reason, "start": look.start}
            job["text"] = watch.silence or str(look)
            state = look.word if state == "dead" and look.has_failed else state
    except RunError as error:
        problem = str(error)
    tests = (status.result or {}).get("results", [])
    return {
        "run": run.name,
        "state": state,
        "silent_s": None,
        "problem": problem,
        "job": job,
        "step": status.step,
        "share": status.share,
        "metric": status.metric,
        "best": status.best,
        "test_wer": [{"name": t["name"], "wer": rates_of(t)[MAIN]["value"]} for t in tests if _has_words(t)],
        "hash": resolved and resolved.hash,
        "label": resolved and resolved.name,
        "age_s": round(
            max(0.0, time.time() - (status.time or (resolved and resolved.created) or run.path.stat().st_mtime)), 1
        ),
        "path": str(run.path),
    }


def _has_words(score: dict[str, Any]) -> bool:
    """Whether there is a WER: the references hold a word."""
    from asr_lab.evaluation.evaluation_files import rates_of
    from asr_lab.evaluation.rates import MAIN

    return bool(rates_of(score).get(MAIN, {}).get("reference", 1)) and MAIN in rates_of(score)


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    from asr_lab.runs.view import duration

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("run", overflow="fold")  # its label and its hash, whole on a narrow terminal too
    table.add_column("state", no_wrap=True)
    for name in ("step", "done", "best valid", "test WER", "age"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        best = "" if row["best"] is None else f"{row['metric'].upper()} {row['best']:.1%}"
        scores = row["test_wer"]
        names = [f"{t['name'][:MAX_NAME]} " if len(scores) > 1 else "" for t in scores]
        tests = "\n".join(f"{name}{t['wer']:.1%}" for name, t in zip(names, scores, strict=True))
        table.add_row(
            row["run"],
            row["state"] + (f" for {duration(row['silent_s'])}" if row["silent_s"] else ""),
            f"{row['step']:,}",
            f"{row['share']:.0%}",
            best,
            tests,
            duration(row["age_s"]),
        )
    output_console().print(table)
    for row in rows:
        if row["problem"] is not None:
            print(f"note: {printable(str(row['problem']))}", file=sys.stderr)
        if row["job"] is not None and row["state"] != "dead":
            print(f"note: {row['run']}: job {row['job']['id']}: {printable(row['job']['text'])}", file=sys.stderr)
