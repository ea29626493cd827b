"""The `asrlab` command: one module a command, imported light, run late."""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import os
import pkgutil
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from asr_lab import slots
from asr_lab.errors import LabError, TrainingError, is_of_environment, of_environment, printable

COMMANDS = (
    "run",
    "check",
    "explain",
    "describe",
    "diff",
    "schema",
    "data",
    "runs",
    "watch",
    "cancel",
    "logs",
    "eval",
    "rescore",
    "compare",
    "compare-streaming",
    "sweep",
    "precision-ab",
    "verify-reproducible",
    "results",
    "verify-resume",
    "reproduce",
    "transcribe",
    "align",
    "serve",
    "doctor",
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
    _command = getattr(importlib.import_module(f"cli.{_module}"), _module)
    if isinstance(_command, typer.Typer):
        app.add_typer(_command, name=_name)
    else:
        app.command(_name)(_command)


def main() -> None:
    """Run the command line. Warnings are notes; errors a user can fix end with 2, a failed run with 1, bugs with their
    traceback."""
    _open_standard_files()
    warnings.formatwarning = _as_note
    try:
        app(prog_name="asrlab")
    except LabError as error:
        sys.exit(_say(error, 2))
    except TrainingError as error:
        sys.exit(_say(error, 1))
    except OSError as error:
        if not is_of_environment(error):
            raise
        if error.filename is None and error.errno in (errno.EPIPE, errno.EIO):  # whoever read our output is gone
            for file in (sys.stdout, sys.stderr):
                os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())
            sys.exit(1)
        sys.exit(_say(of_environment(error), 2))


def _open_standard_files() -> None:
    """Where standard files are closed, nothing that the command opens may come in their place."""
    while (file := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(file)
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
    for output in (sys.stdout, sys.stderr):
        if isinstance(output, io.TextIOWrapper):
            # Names of files may hold bytes that are not UTF-8; in JSON the escape is JSON's own.
            output.reconfigure(errors="backslashreplace")


def _as_note(message: Warning | str, *_: object, **__: object) -> str:
    return f"note: {printable(str(message))}\n"


def _say(error: Exception, code: int) -> int:
    with contextlib.suppress(OSError):  # the exit code still tells
        print(f"error: {printable(str(error))}", file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    main()
