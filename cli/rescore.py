"""`asrlab rescore`: scores made anew from kept hypotheses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.console import output_console
from cli.options import AsJson

How = Annotated[
    list[str], typer.Option("--set", metavar="score.KEY=VALUE", help="Score otherwise than it was; repeatable.")
]


def rescore(
    evaluation: Annotated[str, typer.Argument(metavar="EVAL", help="A JSON that eval wrote, or a run: its test sets.")],
    overrides: How = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Score kept hypotheses anew, without decoding.

    Example: asrlab rescore runs/digits-1a2b3c4d --set 'score.normalizer={ type = "basic" }'
    """
    from asr_lab.commands.rescore import rescore as scored_anew
    from asr_lab.runs.directory import runs_root
    from asr_lab.runs.find import find_run

    path = Path(evaluation)
    found = scored_anew(path if path.is_file() else find_run(evaluation, runs_root()).eval / "test.json", overrides)
    if as_json:
        import json

        from asr_lab.evaluation.evaluation_files import evaluation_json

        content = evaluation_json(found.evaluation, str(found.path.with_suffix(".jsonl")))
        print(json.dumps({**content, "path": str(found.path)}, indent=1, ensure_ascii=False))
        return
    from asr_lab.evaluation.language_table import print_languages
    from asr_lab.evaluation.report import print_evaluation

    out = output_console(markup=True)
    if found.evaluation.languages is not None:
        print_languages(out, found.evaluation, found.speeds)
    else:
        print_evaluation(out, found.evaluation)
    out.print(f"scores: {found.path}", highlight=False, soft_wrap=True)
