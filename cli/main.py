"""The `asrlab` command: one module a command, imported light, run late."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from asr_lab import slots
from asr_lab.errors import LabError, TrainingError

COMMANDS = (
    "run",
    "check",
    "explain",
    "describe",
    "diff",
    "schema",
    "runs",
    "watch",
    "eval",
    "compare",
    "compare-streaming",
    "results",
    "transcribe",
    "align",
    "serve",
)

app = typer.Typer(
    help="A declarative laboratory for speech recognition: recipes in, proved models and honest scores out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def shared(
    path: Annotated[
        list[Path],
        typer.Option("--path", metavar="DIR", help="Add DIR's blocks/, stems/, … to the choices; repeatable."),
    ] = [],  # noqa: B006
) -> None:
    """Read by every command before it runs."""
    if not path:
        return
    named = sorted(module.name for module in pkgutil.iter_modules(slots.__path__) if module.ispkg)
    for folder in path:
        if not folder.is_dir():
            raise LabError(f"--path {folder}: no such folder")
        if not any((folder / name).is_dir() for name in named):
            raise LabError(f"--path {folder}: it has none of the folders {', '.join(f'{name}/' for name in named)}")
    found = [str(p) for p in path] + [p for p in [os.environ.get("ASRLAB_PATH", "")] if p]
    os.environ["ASRLAB_PATH"] = os.pathsep.join(found)


for _name in COMMANDS:
    _module = _name.replace("-", "_")
    app.command(_name)(getattr(importlib.import_module(f"cli.{_module}"), _module))


def main() -> None:
    """Run the command line; errors a user can fix end with 2, a failed run with 1, bugs with their traceback."""
    try:
        app(prog_name="asrlab")
    except LabError as error:
        sys.exit(_say(error, 2))
    except TrainingError as error:
        sys.exit(_say(error, 1))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _say(error: Exception, code: int) -> int:
    print(f"error: {error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
