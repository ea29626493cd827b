"""`asrlab eval`: the error rates of a run on any data."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from asr_lab.errors import LabError
from cli.console import output_console
from cli.options import AsJson, Checkpoint, Overrides, Run

if TYPE_CHECKING:
    from asr_lab.commands.evaluate import Evaluated
    from asr_lab.runs.directory import RunDirectory
    from asr_lab.training.parallel.group import Group

Data = Annotated[
    list[str],
    typer.Option(
        "--data",
        metavar="FILE|DIR|SLOT",
        help="A manifest, a folder, or a table as in a recipe; repeatable; none = the recipe's data.test.",
    ),
]


Fleurs = Annotated[str, typer.Option("--fleurs", metavar="all|there|CODE,…", help="FLEURS' test sets, by language.")]
LibriSpeech = Annotated[str, typer.Option("--librispeech", metavar="PART,…", help="Parts of LibriSpeech: test-clean.")]
Launch = Annotated[
    Literal["local", "slurm"] | None,
    typer.Option("--launch", help="Decode in jobs, one for each of --workers; their table is set by launch.KEY."),
]
Workers = Annotated[int, typer.Option("--workers", metavar="N", min=1, help="Processes that decode sets side by side.")]


def eval(
    run: Run = "",
    data: Data = [],  # noqa: B006
    checkpoint: Checkpoint = "best",
    overrides: Overrides = [],  # noqa: B006
    as_json: AsJson = False,
    fleurs: Fleurs = "",
    librispeech: LibriSpeech = "",
    workers: Workers = 1,
    launch: Launch = None,
) -> None:
    """Score a run: WER and CER with intervals, and every hypothesis.

    Example: asrlab eval --fleurs en_us,de_de --set decode.beam=4
    """
    from asr_lab.runs.world_size import open_decoders
    from asr_lab.training.parallel.world import world_of

    world = world_of(os.environ)
    if fleurs or librispeech or workers > 1 or launch:
        if world.size > 1:
            raise LabError(
                f"{world.launcher} started {world.size} processes; sets are decoded side by side by --workers N: "
                "start one"
            )
        evaluated = _by_set(run, as_json, checkpoint, data, overrides, fleurs, librispeech, workers, launch)
    else:
        with open_decoders(world) if world.size > 1 else contextlib.nullcontext() as group:
            whole = _evaluated(run, data, checkpoint, overrides, as_json, group)
        if whole is None:
            return  # another process than the first
        evaluated = whole
    if evaluated.reads > 1:
        print(f"note: this set has now been scored {evaluated.reads} times with this run", file=sys.stderr)
    if evaluated.problem:
        print(f"note: nothing is kept of this evaluation: {evaluated.problem}", file=sys.stderr)
    if as_json:
        _print_json(evaluated)
    else:
        _print_tables(evaluated)


def _by_set(
    name: str,
    as_json: bool,
    checkpoint: str,
    data: list[str],
    overrides: list[str],
    fleurs: str,
    librispeech: str,
    workers: int,
    launch: str | None,
) -> Evaluated:
    from asr_lab.commands.decode_sets import DecodeRequest
    from asr_lab.commands.evaluate_sets import evaluate_sets
    from asr_lab.commands.named_sets import FLEURS_SCORE, fleurs_sets, librispeech_sets
    from asr_lab.compiler.inputs import data_root
    from asr_lab.devices import best_device

    run = _found(name, checkpoint, as_json)
    device = best_device().type if launch is None else "auto"
    sets = [*data]
    sets += fleurs_sets(fleurs, data_root()) if fleurs else []
    sets += librispeech_sets(librispeech) if librispeech else []
    options = {}
    if fleurs:
        options["--fleurs"] = FLEURS_SCORE
    if launch and run.document_as_made().value.launch.tag() != launch:
        options["--launch"] = f'launch={{ type = "{launch}" }}'
    given = (("fleurs", fleurs), ("librispeech", librispeech), ("data", ", ".join(data)))
    words = {name: text for name, text in given if text} if fleurs or librispeech else {}
    request = DecodeRequest(str(run.path), checkpoint, tuple(sets), tuple(overrides), options, device)
    return evaluate_sets(request, words, workers, show=True, launch=launch is not None)


def _found(name: str, checkpoint: str, as_json: bool) -> RunDirectory:
    """The run that is meant; which weights of it are taken is printed."""
    from asr_lab.commands.weights_line import weights_line
    from asr_lab.runs.directory import runs_root
    from asr_lab.runs.find import find_run

    found = find_run(name, runs_root())
    print(weights_line(found, checkpoint), file=sys.stderr if as_json else sys.stdout, flush=True)
    return found


def _evaluated(
    name: str, data: list[str], checkpoint: str, overrides: list[str], as_json: bool, group: Group | None
) -> Evaluated | None:
    """The run's evaluation; of several processes the first finds the run, says which it is, and gets it."""
    from asr_lab.runs.directory import RunDirectory

    def find() -> str:
        return str(_found(name, checkpoint, as_json).path)

    found = RunDirectory(Path(find() if group is None else group.first(find, "finding the run")))
    from asr_lab.commands.evaluate import evaluate_run
    from asr_lab.devices import best_device

    show = group is None or group.world.is_first
    return evaluate_run(found, checkpoint, data, overrides, best_device().type, show, group)


def _print_json(evaluated: Evaluated) -> None:
    import json

    from asr_lab.evaluation.evaluation_files import evaluation_json

    path = evaluated.path
    hypotheses = str(path.with_suffix(".jsonl")) if path else ""
    content = {**evaluation_json(evaluated.evaluation, hypotheses), "path": str(path) if path else None}
    print(json.dumps(content, indent=1, ensure_ascii=False))


def _print_tables(evaluated: Evaluated) -> None:

    from asr_lab.evaluation.language_table import print_languages
    from asr_lab.evaluation.report import print_evaluation

    out = output_console(markup=True)
    if evaluated.evaluation.languages is not None:
        print_languages(out, evaluated.evaluation, evaluated.speeds)
    else:
        print_evaluation(out, evaluated.evaluation)
    if evaluated.path is not None and evaluated.evaluation.languages is not None:
        out.print(f"page: {evaluated.path.with_suffix('.html')}", highlight=False, soft_wrap=True)
        out.print(f"table: {evaluated.path.with_suffix('.csv')}", highlight=False, soft_wrap=True)
    if evaluated.path is not None:
        out.print(f"scores: {evaluated.path}", highlight=False, soft_wrap=True)
        out.print(f"hypotheses: {evaluated.path.with_suffix('.jsonl')}", highlight=False, soft_wrap=True)
