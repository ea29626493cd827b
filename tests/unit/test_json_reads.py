"""JSON from outside is never decoded unguarded: nested a thousand deep, it is a RecursionError, no ValueError."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "asr_lab"
OWN = {"audio/espeak.py": 1, "data/sources/synthesis.py": 1, "training/parallel/group.py": 2}
"""What processes of ours tell one another."""


def unguarded(tree: ast.AST, guarded: bool = False) -> Iterator[int]:
    """The lines of `json.loads` outside a `try` that catches RecursionError; what `json.dumps` gave is our own."""
    if isinstance(tree, ast.Try):
        caught = any(handler.type and "RecursionError" in ast.unparse(handler.type) for handler in tree.handlers)
        for node in tree.body:
            yield from unguarded(node, guarded or caught)
        for other in (*tree.handlers, *tree.orelse, *tree.finalbody):
            yield from unguarded(other, guarded)
        return
    is_read = isinstance(tree, ast.Call) and ast.unparse(tree.func) in ("json.loads", "json.load")
    if is_read and not guarded and "json.dumps" not in ast.unparse(tree):
        yield tree.lineno  # type: ignore[attr-defined]
    for node in ast.iter_child_nodes(tree):
        yield from unguarded(node, guarded)


def test_json_from_outside_is_guarded() -> None:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = str(path.relative_to(PACKAGE))
        found = list(unguarded(ast.parse(path.read_text())))
        assert len(found) == OWN.get(name, 0), f"{name}: json.loads without RecursionError in lines {found}"


def test_what_is_unguarded_is_found() -> None:
    some = "try:\n  json.loads(a)\nexcept ValueError:\n  pass\n"
    both = "try:\n  json.loads(a)\nexcept (OSError, RecursionError):\n  pass\n"
    assert list(unguarded(ast.parse(some + both))) == [2]
