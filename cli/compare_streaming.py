"""`asrlab compare-streaming`: whether a model streams what it computes offline, and what streaming costs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from cli.console import output_console
from cli.options import AsJson, Checkpoint, Overrides, Readme, Run
from cli.progress import progress_bar

if TYPE_CHECKING:
    from asr_lab.commands.compare_streaming import Compared, ComparedModel, Played
    from asr_lab.evaluation.streaming.proof import Proof

Step = TypeVar("Step")
Result = TypeVar("Result")

Data = Annotated[
    list[str],
    typer.Option(
        "--data",
        metavar="FILE|DIR|SLOT",
        help="A manifest, a folder, or a table as in a recipe; repeatable; none = the recipe's data.test.",
    ),
]
Chunks = Annotated[
    str,
    typer.Option(
        "--chunk-ms",
        metavar="MS,MS,…",
        help="Chunks to compare, `whole` among them; none = those it was trained with and 80,160,320,640,1280,whole.",
    ),
]
Publish = Annotated[
    str,
    typer.Option("--publish", metavar="TITLE", help="Keep table and curve in --out, and in --readme."),
]
Folder = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where what is published is kept.")]
MaxUtterances = Annotated[int, typer.Option("--max-utterances", metavar="N", min=0, help="Draw so many; 0 = all.")]


def compare_streaming(
    run: Run = "",
    data: Data = [],  # noqa: B006
    chunks: Chunks = "",
    checkpoint: Checkpoint = "best",
    overrides: Overrides = [],  # noqa: B006
    max_utterances: MaxUtterances = 0,
    publish: Publish = "",
    out: Folder = Path("docs/streaming"),
    readme: Readme = Path("README.md"),
    as_json: AsJson = False,
) -> None:
    """Prove that a run streams what it computes offline, and show what streaming costs in errors and delay.

    Exit code 1 when the proof fails. Example: asrlab compare-streaming speech_ssm --chunk-ms 160,320,whole
    """
    from asr_lab.commands.weights_line import weights_line
    from asr_lab.runs.directory import runs_root
    from asr_lab.runs.find import find_run

    chunks_ms = _milliseconds(chunks)
    found = find_run(run, runs_root())
    print(weights_line(found, checkpoint), file=sys.stderr if as_json else sys.stdout)
    from asr_lab.commands.compare_streaming import content_of, prepare, write
    from asr_lab.devices import best_device
    from asr_lab.evaluation.streaming.report import print_proof, print_rows

    model = prepare(
        found,
        checkpoint,
        data,
        overrides,
        chunks_ms=chunks_ms,
        max_utterances=max_utterances or None,
        device=best_device().type,
    )
    console = output_console(markup=True, quiet=as_json)
    proof = _prove(model)
    print_proof(console, proof)
    if not proof.holds:
        if as_json:
            _print_json(content_of(model, proof))
        _refuse(proof.problems)
    compared = write(model, proof, _play(model))
    print_rows(console, compared.rows, compared.score, model.refused)
    console.print(f"curve: {compared.folder / 'curve.png'}, and .svg", highlight=False, soft_wrap=True)
    console.print(f"everything: {compared.folder / 'streaming.json'}", highlight=False, soft_wrap=True)
    if compared.reads > 1:
        print(f"note: this set has now been scored {compared.reads} times with this run", file=sys.stderr)
    if publish:
        options = {"--chunk-ms": [chunks], "--data": data, "--set": overrides, "--publish": [publish]}
        given = [part for name, values in options.items() for value in values if value for part in (name, value)]
        _publish(model.recipe.name, compared, publish, given, out, readme)
    if as_json:
        _print_json(compared.content)


def _publish(name: str, compared: Compared, title: str, options: Sequence[str], out: Path, readme: Path) -> None:
    import shlex

    from asr_lab.evaluation.streaming.readme import publish_streaming, update_streaming
    from asr_lab.runs.version import package_version

    command = shlex.join(["asrlab", "compare-streaming", name, *options])
    curve = compared.folder / "curve.svg"
    path = publish_streaming(out, name, title, command, compared.content, curve, package_version())
    print(path, file=sys.stderr)
    if readme.exists() and update_streaming(readme, out):
        print(f"{readme}: streaming section written anew", file=sys.stderr)


def _milliseconds(text: str) -> list[float | None]:
    """Chunks, None for the whole utterance."""
    found: list[float | None] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            found.append(None if part == "whole" else float(part))
        except ValueError:
            raise typer.BadParameter(f"--chunk-ms takes milliseconds and `whole`, not {part!r}") from None
        if found[-1] is not None and not 0 < found[-1] < float("inf"):
            raise typer.BadParameter(f"--chunk-ms: a chunk lasts longer than nothing, not {part} ms")
    return found


def _prove(model: ComparedModel) -> Proof:
    from asr_lab.commands.compare_streaming import prove

    with progress_bar() as progress:
        task = progress.add_task("proving", total=model.num_checks)
        return _to_end(
            prove(model),
            lambda check: progress.update(task, advance=1, description=f"proving {check.context}, {check.dtype}"),
        )


def _play(model: ComparedModel) -> Played:
    from asr_lab.commands.compare_streaming import play

    with progress_bar() as progress:
        task = progress.add_task(f"streaming {model.num_utterances:,} utterances", total=1.0)
        return _to_end(play(model), lambda share: progress.update(task, completed=share))


def _to_end(steps: Generator[Step, None, Result], show: Callable[[Step], None]) -> Result:
    """Take every step and show it; what the generator returns."""
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result
        show(step)


def _refuse(problems: Sequence[str]) -> NoReturn:
    """End with 1: a table of a model that streams something else than it computes offline would say nothing."""
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    print("no table: what this run streams is not what was trained", file=sys.stderr)
    raise typer.Exit(1)


def _print_json(content: dict[str, Any]) -> None:
    from asr_lab.evaluation.streaming.as_json import as_text

    print(as_text(content), end="")
