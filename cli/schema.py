"""`asrlab schema`: the JSON Schema that editors read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def schema(
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write there instead of to stdout.")] = None,
) -> None:
    """Print the JSON Schema of a recipe, choices on ASRLAB_PATH included.

    Example: asrlab schema --out recipes/recipe.schema.json
    """
    import json

    from asr_lab.config.schema import json_schema
    from asr_lab.recipe import Recipe

    text = json.dumps(json_schema(Recipe), indent=1, ensure_ascii=False) + "\n"
    if out is None:
        print(text, end="")
    else:
        out.write_text(text, encoding="utf-8")
