"""Whether the tests notice: asr_lab is broken in one random place at a time, and its tests are run.

    just mutants 40 --seed 1 --paths asr_lab/nn asr_lab/streaming --jobs 2

Every place of the source that can be broken is listed: comparisons and arithmetic operators swapped, numbers and bools
changed, `and` and `or` swapped, `not` and minus signs taken away, conditions and bools that are returned negated,
statements deleted. N of them are drawn, the same for the same seed and source. Left out is what no test can notice or
what breaks every import: strings, docstrings, imports, annotations, decorators, `if TYPE_CHECKING:`, `__all__`, asserts
and `strict` (they state the impossible), and the deletion of a name's first assignment or of a module's statements.

Each job has a copy of the repository, which alone is broken. A module is tested by the files of its name in
`tests/unit`, by the rest of the folder that mirrors its package (the nearest above, where there is none), where it
holds layers by `tests/contract`, and by the other files that import it; the first failure ends it, and so does the
time limit, for what hangs is noticed too. The same tests are run on the sound source before; where they fail there,
nothing is said of the mutant. The exit code is 0 whatever survives: survivors are to be read, for some are no mistake
(a block's size, say), and each of the others is a test to be written. Code that ends processes or removes files is
broken like any other: not beside work that matters.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import difflib
import functools
import importlib.util
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
LAYERS = {"audio", "blocks", "decoders", "features", "mixers", "nn", "stems", "streaming", "tokenizers"}
"""Packages, wherever they lie, whose modules are under `tests/contract` too."""
FURTHER = {
    "augments": "tests/unit/audio",
    "compiler": "tests/recipes",
    "launch": "tests/unit/runs",
    "models": "tests/recipes",
    "parallel": "tests/unit/training",
    "precision": "tests/unit/training",
    "rates": "tests/unit/evaluation",
    "sources": "tests/unit/slots/datasets",
}
"""Tests of a package, wherever it lies, that stand elsewhere than its name says."""
SPARE_S, SPARE = 30.0, 4.0
"""Time limit: this, and so many times what the tests take on the sound source."""
SWAPS: dict[type[ast.AST], tuple[type[Any], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,), ast.NotIn: (ast.In,), ast.And: (ast.Or,), ast.Or: (ast.And,),
    ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.Div,), ast.Div: (ast.Mult,), ast.Pow: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,), ast.Mod: (ast.Mult,), ast.BitAnd: (ast.BitOr,), ast.BitOr: (ast.BitAnd,),
    ast.BitXor: (ast.BitAnd,), ast.LShift: (ast.RShift,), ast.RShift: (ast.LShift,),
}  # fmt: skip
NOT_CODE = {"annotation", "returns", "decorator_list"}
"""Parts of a node in which nothing is broken."""


class Mutant(NamedTuple):
    """One broken place: bytes `start` to `end` of a file become `text`."""

    file: str
    line: int
    start: int
    end: int
    text: str

    def broken(self, source: str) -> str:
        encoded = source.encode()
        return (encoded[: self.start] + self.text.encode() + encoded[self.end :]).decode()

    def diff(self, source: str) -> list[str]:
        """The lines that go and come, marked by - and +."""
        lines = difflib.unified_diff(source.splitlines(), self.broken(source).splitlines(), lineterm="", n=0)
        return [f"{line[0]} {line[1:].strip()}" for line in list(lines)[2:] if line[0] in "+-"]


def mutants_of(file: str, source: str) -> list[Mutant]:
    """All mutants of a file, in the order of their places."""
    starts = [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    for node, text in _changes(ast.parse(source)):
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start, end = starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset
        found.append(Mutant(file, node.lineno, start, end, text))
    return sorted(found, key=lambda m: (m.start, m.end, m.text))


def _changes(tree: ast.AST, gives_bool: bool = False, bound: set[str] | None = None) -> Iterator[tuple[Any, str]]:
    """Nodes below this one, each with a text in its place; `bound` are the function's names so far, None outside."""
    for name, value in ast.iter_fields(tree):
        for node in value if isinstance(value, list) else [value]:
            if name in NOT_CODE or not isinstance(node, ast.AST) or _is_left_out(node):
                continue
            yield from _broken(node, gives_bool)
            if isinstance(node, ast.stmt) and _may_go(node, tree, bound):
                yield node, "pass"
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                names = {arg.arg for arg in ast.walk(node.args) if isinstance(arg, ast.arg)}
                yield from _changes(node, getattr(node.returns, "id", "") == "bool", names)
            else:
                yield from _changes(node, gives_bool, None if isinstance(node, ast.ClassDef) else bound)
            if bound is not None and isinstance(node, ast.stmt):
                bound |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _is_left_out(node: ast.AST) -> bool:
    match node:
        case ast.Import() | ast.ImportFrom() | ast.JoinedStr() | ast.Assert() | ast.Expr(value=ast.Constant()):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
            return True
        case ast.Assign(targets=[ast.Name(id="__all__")]) | ast.keyword(arg="strict"):
            return True
    return False


def _broken(node: ast.AST, gives_bool: bool) -> Iterator[tuple[ast.AST, str]]:
    """A node, or a part of it, with what may stand there instead."""
    match node:
        case ast.Compare(ops=ops):
            for i, op in enumerate(ops):
                for other in SWAPS[type(op)]:
                    swapped = ast.Compare(node.left, [*ops[:i], other(), *ops[i + 1 :]], node.comparators)
                    yield node, f"({ast.unparse(swapped)})"
        case ast.BinOp() | ast.BoolOp() | ast.AugAssign():
            for other in SWAPS.get(type(node.op), ()):
                changed: Any = copy.copy(node)
                changed.op = other()
                text = ast.unparse(changed)
                yield node, text if isinstance(node, ast.AugAssign) else f"({text})"
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield node, f"({ast.unparse(node.operand)})"
        case ast.Constant(value=bool(value)):
            yield node, str(not value)
        case ast.Constant(value=int(value)):
            yield from ((node, str(value + 1)), (node, str(value - 1)))
        case ast.Constant(value=float(value)):
            yield node, repr(2 * value if value else 1.0)
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test) if _is_plain(test):
            yield test, f"(not {ast.unparse(test)})"
        case ast.Return(value=ast.expr() as value) if gives_bool and _is_plain(value):
            yield value, f"(not {ast.unparse(value)})"


def _is_plain(condition: ast.expr) -> bool:
    """Whether no other change negates it."""
    return isinstance(condition, ast.Name | ast.Attribute | ast.Call | ast.Subscript)


def _may_go(node: ast.stmt, parent: ast.AST, bound: set[str] | None) -> bool:
    """Whether a statement can be deleted without taking a name away that others need."""
    if isinstance(node, ast.Assign | ast.AnnAssign) and bound is not None:
        names = [n for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
        return node.value is not None and all(n.id in bound for n in names)
    simple = (ast.Expr, ast.AugAssign, ast.Return, ast.Raise, ast.Break, ast.Continue, ast.Delete)
    return bound is not None and isinstance(node, simple)


@functools.cache
def stages_of(file: str, root: Path) -> list[tuple[str, ...]]:
    """The arguments of each pytest run that a module's mutants are put to, the most likely to fail first."""
    module, unit = Path(file), root / "tests" / "unit"
    folder = unit / module.parent.relative_to(module.parts[0])
    while not folder.is_dir():
        folder = folder.parent
    mirror = set() if folder == unit else set(folder.rglob("test_*.py"))
    package, name = ".".join(module.parts[:-1]), module.stem
    dotted = re.escape(package if name == "__init__" else f"{package}.{name}")
    imports = re.compile(rf"(from|import) {dotted}\b|from {re.escape(package)} import [^\n]*\b{name}\b")
    importing = {path for path in unit.rglob("test_*.py") if imports.search(path.read_text(encoding="utf-8"))}
    near = {path for path in mirror | importing | set(unit.glob("test_*.py")) if name in path.stem}
    near |= importing & mirror
    if not near:
        closest = difflib.get_close_matches(f"test_{name}", [path.stem for path in mirror], 1, 0)
        near = {path for path in mirror if path.stem in closest}

    def paths(files: set[Path]) -> list[str]:
        return [str(p.relative_to(root)) for p in sorted(files, key=lambda p: (p not in mirror, name not in p.stem, p))]

    stages = [paths(near)]
    if mirror - near:
        stages.append([str(folder.relative_to(root)), *(f"--ignore={path}" for path in paths(near & mirror))])
    if LAYERS & set(module.parts):
        stages.append(["tests/contract"])
    stages.append(paths(importing - near - mirror))
    stages += [[path] for part, path in FURTHER.items() if part in module.parts]
    return [tuple(stage) for stage in stages if stage]


def copy_repository(to: Path) -> Path:
    """The files that git knows or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-zco", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, to / name)
    return to


def failure(root: Path, stage: Sequence[str], limit_s: float | None) -> str | None:
    """The first test that fails, `time limit`, or None when all pass."""
    speech = ROOT.parent / "shared" / "data"
    env = {"ASRLAB_TEST_SPEECH": str(speech), **os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n0", "--tb=no", "-p", "no:cacheprovider", *stage]
    process = subprocess.Popen(
        command, cwd=root, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        output, _ = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        return "time limit"
    finally:
        with contextlib.suppress(ProcessLookupError):  # what a broken test has left behind goes too
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode in (0, 5):  # 5: nothing was collected, as where all are marked `prove`
        return None
    found = re.search(r"^(?:FAILED|ERROR) (.*?)(?: - .*)?$", output, flags=re.MULTILINE)
    return found[1] if found else f"pytest's exit code {process.returncode}"


def put(root: Path, file: str, source: str) -> None:
    """Write a source file, and forget what it was compiled to: two that are made in one second look alike."""
    (root / file).write_text(source, encoding="utf-8")
    Path(importlib.util.cache_from_source(str(root / file))).unlink(missing_ok=True)


class Jobs:
    """Copies of the repository, each used by one mutant at a time."""

    def __init__(self, folder: Path, count: int) -> None:
        self.copies: SimpleQueue[Path] = SimpleQueue()
        self.limits_s: dict[tuple[str, ...], float] = {}
        for number in range(count):
            self.copies.put(copy_repository(folder / str(number) / ROOT.name))

    def judge(self, mutant: Mutant) -> tuple[str, str | None]:
        """`found`, `SURVIVED` or `unsound`, and by which test; stage by stage until one fails."""
        root = self.copies.get()
        source = (root / mutant.file).read_text(encoding="utf-8")
        try:
            for stage in stages_of(mutant.file, root):
                if stage not in self.limits_s:
                    start = time.monotonic()
                    # Once more where it fails: what is short of time or memory may pass alone.
                    if failure(root, stage, None) and (failed := failure(root, stage, None)):
                        return "unsound", failed
                    self.limits_s[stage] = SPARE_S + SPARE * (time.monotonic() - start)
                put(root, mutant.file, mutant.broken(source))
                if by := failure(root, stage, self.limits_s[stage]):
                    return "found", by
                put(root, mutant.file, source)
            return "SURVIVED", None
        finally:
            put(root, mutant.file, source)
            self.copies.put(root)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser("just mutants", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("number", nargs="?", type=int, default=20, help="mutants to try (default 20)")
    parser.add_argument("--seed", type=int, default=0, help="which are drawn (default 0)")
    parser.add_argument("--paths", nargs="+", default=["asr_lab"], help="only files under these (default asr_lab)")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at a time (default 2)")
    parser.add_argument("--json", type=Path, help="write the list to this file")
    given = parser.parse_args(arguments)
    files = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "asr_lab").rglob("*.py"))
    sources = {f: (ROOT / f).read_text(encoding="utf-8") for f in files if f.startswith(tuple(given.paths))}
    places: dict[tuple[str, int, int], list[Mutant]] = {}
    for mutant in (mutant for file, source in sources.items() for mutant in mutants_of(file, source)):
        places.setdefault(mutant[:1] + mutant[2:4], []).append(mutant)
    draw = random.Random(given.seed)
    drawn = [draw.choice(places[at]) for at in draw.sample(sorted(places), min(given.number, len(places)))]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, ThreadPoolExecutor(given.jobs) as pool:
        try:
            judged = pool.map(Jobs(Path(folder), given.jobs).judge, drawn)
            for mutant, (verdict, by) in zip(drawn, judged, strict=True):
                place, diff = f"{mutant.file}:{mutant.line}", mutant.diff(sources[mutant.file])
                rows.append({"place": place, "diff": diff, "verdict": verdict, "by": by})
                print(f"{verdict:8} {place} {' '.join(diff)[:160]} [{by}]", flush=True)
        finally:
            pool.shutdown(cancel_futures=True)
    for row in rows:
        if row["verdict"] == "SURVIVED":
            print(f"\n{row['place']}", *row["diff"], sep="\n")
    count = Counter(row["verdict"] for row in rows)
    found, tried = count["found"], count["found"] + count["SURVIVED"]
    print(f"\n{found} of {tried} found ({found / max(1, tried):.0%}), of {len(places)} places; seed {given.seed}")
    if count["unsound"]:
        print(f"{count['unsound']} not tried: their tests fail on the sound source too")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
