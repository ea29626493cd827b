"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Overrides = Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override one key; repeatable.")]
AcceptChanges = Annotated[bool, typer.Option("--accept-changes", help="Go on although code, data or packages changed.")]
Readme = Annotated[Path, typer.Option("--readme", metavar="FILE", help="The page that is written anew.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Run = Annotated[str, typer.Argument(metavar="[RUN]", help="Path, name or hash prefix; none = the newest finished one.")]
Running = Annotated[
    str, typer.Argument(metavar="[RUN]", help="Path, name or hash prefix; none = the newest that runs.")
]
Checkpoint = Annotated[str, typer.Option(metavar="best|last|average[:N]|PATH", help="Which weights.")]
Workers = Annotated[
    int | None,
    typer.Option(min=1, max=1024, metavar="N", help="Training runs at once; default: one for each GPU, or one."),
]
