"""The import law: a row may import the rows above it, never below; slot modules load without the heavy packages."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "asr_lab"
SLOTS = (
    "augments",
    "blocks",
    "datasets",
    "decoders",
    "features",
    "launch",
    "optimizers",
    "parallel",
    "precision",
    "schedules",
    "stems",
    "tokenizers",
)
ROWS: tuple[tuple[str, ...], ...] = (
    ("errors", "processors", "units"),
    ("config",),
    ("streaming",),
    ("nn",),
    ("audio",),
    ("text", *SLOTS),
    ("recipe",),
    ("models",),
    ("data",),
    ("training",),
    ("evaluation",),
    ("compiler",),
    ("runs",),
    ("serving",),
)
ROW = {name: row for row, names in enumerate(ROWS) for name in names}
HEAVY = ("torch", "torchaudio", "lhotse", "sentencepiece", "soundfile", "scipy", "jiwer", "submitit", "safetensors")


class Import(NamedTuple):
    module: str
    line: int
    late: bool
    """Inside a function or under TYPE_CHECKING: it does not run when the module loads."""


def imports(tree: ast.AST, late: bool = False) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        checking = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if isinstance(node, ast.ImportFrom) and node.module:
            yield Import(node.module, node.lineno, late)
            for alias in node.names:
                if node.module == "asr_lab":
                    yield Import(f"asr_lab.{alias.name}", node.lineno, late)
        elif isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, late) for alias in node.names)
        else:
            yield from imports(node, late or function or checking)


def part(module: str) -> str:
    """`blocks` of `asr_lab.blocks.macaron`."""
    return module.split(".")[1] if "." in module else ""


def broken(file: Path) -> Iterator[str]:
    own = file.relative_to(PACKAGE).with_suffix("").parts[0]
    for found in imports(ast.parse(file.read_text(encoding="utf-8"))):
        other = part(found.module)
        if found.module.split(".")[0] in ("cli", "tests"):
            yield f"{file}:{found.line} imports {found.module}"
        if not found.module.startswith("asr_lab.") or other == own:
            continue
        if own == "__init__" or ROW[other] < ROW[own] or (ROW[other] == ROW[own] and "text" in (own, other)):
            continue
        # What a section builds may live in a row below it (datasets give utterances, precision a manager).
        if own in SLOTS and found.late and ROW[other] > ROW[own] and other in ("data", "training"):
            continue
        yield f"{file}:{found.line} imports {found.module}, which is not above it"


def test_every_part_of_the_package_has_its_row() -> None:
    parts = {p.stem for p in PACKAGE.iterdir() if (p.is_dir() and p.name != "__pycache__") or p.suffix == ".py"}
    assert parts - {"__init__", "py"} == set(ROW)


def test_a_row_imports_only_rows_above_it() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 50
    assert [problem for file in files for problem in broken(file)] == []


@pytest.mark.parametrize("slot", SLOTS)
def test_a_slot_module_never_imports_its_sibling(slot: str) -> None:
    for file in sorted((PACKAGE / slot).glob("*.py")):
        siblings = [f for f in imports(ast.parse(file.read_text())) if f.module.startswith(f"asr_lab.{slot}.")]
        late = file.name == "__init__.py"
        assert [f for f in siblings if not (late and f.late)] == [], f"{file} imports its sibling"


def test_every_slot_module_loads_without_the_heavy_packages() -> None:
    modules = [f"asr_lab.{slot}.{file.stem}" for slot in SLOTS for file in sorted((PACKAGE / slot).glob("[!_]*.py"))]
    modules += ["asr_lab.recipe", "asr_lab.compiler.load", "asr_lab.compiler.notes", "asr_lab.compiler.facts"]
    modules += ["asr_lab.config.schema", "asr_lab.config.description"]
    script = f"""
import importlib, sys
for module in {modules!r}:
    importlib.import_module(module)
    loaded = [name for name in {HEAVY!r} if name in sys.modules]
    assert not loaded, f"{{module}} loads {{loaded}}"
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr.splitlines()[-1]
