"""The import law: a row may import the rows above it, never below; slot modules load without the heavy packages."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "asr_lab"
ROWS: tuple[tuple[str, ...], ...] = (
    ("errors", "units", "files", "number_formats"),
    ("devices",),
    ("config",),
    ("streaming",),
    ("nn",),
    ("audio",),
    ("text",),
    ("data",),
    ("models",),
    ("training",),
    ("recognition",),
    ("evaluation",),
    ("slots",),
    ("recipe",),
    ("compiler",),
    ("families",),
    ("runs",),
    ("commands",),
    ("serving",),
)
ROW = {name: row for row, names in enumerate(ROWS) for name in names}
FACES = ("__init__.py", "tokenizers.py", "models/ssm.py", "models/whisper.py", "models/conformer.py")
"""What the Python API promises by name: these re-export from any row, and nothing imports them."""
COMMANDS = PACKAGE.parent / "cli"
SLOTS = sorted(p.name for p in (PACKAGE / "slots").iterdir() if p.is_dir() and p.name != "__pycache__")
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


def broken(name: str, text: str) -> Iterator[str]:
    """What a file of the package, `nn/conv.py`, imports against the law; late imports count as well."""
    own = name.removesuffix(".py").split("/")[0]
    faces = {f"asr_lab.{face.removesuffix('.py').replace('/', '.')}" for face in FACES}
    for found in imports(ast.parse(text)):
        top, _, rest = found.module.partition(".")
        other = rest.split(".")[0]
        if top in ("cli", "tests"):
            yield f"{name}:{found.line} imports {found.module}"
        if top != "asr_lab" or not rest or name in FACES:
            continue
        if found.module in faces:
            yield f"{name}:{found.line} imports {found.module}, a face"
        elif other != own and ROW[other] >= ROW[own]:
            yield f"{name}:{found.line} imports {found.module}, which is not above it"


def test_every_part_of_the_package_has_its_row() -> None:
    parts = {p.stem for p in PACKAGE.iterdir() if (p.is_dir() and p.name != "__pycache__") or p.suffix == ".py"}
    assert parts - {"__init__", "py", "tokenizers"} == set(ROW)


def test_a_row_imports_only_rows_above_it() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 150
    found = [p for f in files for p in broken(f.relative_to(PACKAGE).as_posix(), f.read_text(encoding="utf-8"))]
    assert found == []


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("evaluation/scoring.py", "from asr_lab.recipe import Decode"),
        ("models/model.py", "from asr_lab.slots.blocks import Block"),
        ("training/learner.py", "def late():\n    from asr_lab.runs.lock import RunLock"),
        ("units.py", "import asr_lab.devices"),
        ("compiler/build.py", "from asr_lab.models.ssm import SSMConfig"),
        ("runs/status.py", "import cli.main"),
    ],
)
def test_an_import_that_runs_back_is_found(name: str, line: str) -> None:
    assert len(list(broken(name, line))) == 1


def test_faces_only_re_export() -> None:
    for face in FACES[1:]:
        body = ast.parse((PACKAGE / face).read_text(encoding="utf-8")).body
        assert all(isinstance(n, ast.Expr | ast.Import | ast.ImportFrom | ast.Assign) for n in body), face


def test_a_class_name_stands_once_but_for_a_section_and_its_layer() -> None:
    places = defaultdict(list)
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(file.relative_to(PACKAGE).parts[0])
    twice = {name: where for name, where in places.items() if len(where) > 1}
    for name, where in twice.items():
        assert len(where) == 2, f"{name} stands in {where}"
        assert where.count("slots") == 1, f"{name} stands in {where}"


@pytest.mark.parametrize("slot", SLOTS)
def test_a_slot_module_never_imports_its_sibling(slot: str) -> None:
    for file in sorted((PACKAGE / "slots" / slot).glob("*.py")):
        found = imports(ast.parse(file.read_text()))
        assert [f for f in found if f.module.startswith(f"asr_lab.slots.{slot}.")] == [], f"{file} imports its sibling"


def test_slots_commands_and_what_reads_a_run_load_without_the_heavy_packages() -> None:
    files = sorted((PACKAGE / "slots").glob("*/[!_]*.py"))
    modules = [f"asr_lab.slots.{file.parent.name}.{file.stem}" for file in files]
    modules += ["asr_lab.recipe", "asr_lab.compiler.load", "asr_lab.compiler.notes", "asr_lab.compiler.facts"]
    modules += ["asr_lab.config.schema", "asr_lab.config.description"]
    modules += ["asr_lab.runs.find", "asr_lab.runs.status", "asr_lab.runs.view", "asr_lab.commands.result"]
    modules += ["asr_lab.evaluation.evaluation_files", "asr_lab.evaluation.report"]
    modules += [f"cli.{file.stem}" for file in sorted(COMMANDS.glob("[!_]*.py"))]
    script = f"""
import importlib, sys
for module in {modules!r}:
    importlib.import_module(module)
    loaded = [name for name in {HEAVY!r} if name in sys.modules]
    assert not loaded, f"{{module}} loads {{loaded}}"
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr.splitlines()[-1]
