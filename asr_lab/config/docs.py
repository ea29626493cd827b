"""The docstrings of sections and of their fields, read from the source."""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from pathlib import Path


def field_docs(section: type) -> dict[str, str]:
    """What the source says under each field of a class, inherited fields included; fields without are left out."""
    docs: dict[str, str] = {}
    for cls in reversed(section.__mro__):
        file = getattr(sys.modules.get(cls.__module__), "__file__", None)
        if file and file.endswith(".py"):
            docs |= _class_docs(file).get(cls.__qualname__, {})
    return docs


def summary(section: type) -> str:
    """The first line of a class's own docstring."""
    lines = inspect.cleandoc(section.__dict__.get("__doc__") or "").splitlines()
    return lines[0] if lines else ""


@functools.cache
def _class_docs(file: str) -> dict[str, dict[str, str]]:
    """Field docstrings by class, of one source file."""
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    return {node.name: _attribute_docs(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _attribute_docs(node: ast.ClassDef) -> dict[str, str]:
    docs = {}
    for field, below in zip(node.body, node.body[1:], strict=False):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str):
            docs[field.target.id] = inspect.cleandoc(below.value.value)
    return docs
