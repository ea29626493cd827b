"""A recipe, read and checked."""

from __future__ import annotations

import os
from collections.abc import Sequence

from asr_lab.compiler.rules import problems
from asr_lab.config.load import Document, load
from asr_lab.errors import RecipeError
from asr_lab.recipe import Recipe


def load_recipe(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> Document[Recipe]:
    """The recipe in a file; RecipeError holds every problem, those across tables too."""
    return checked(load(path, Recipe, overrides))


def checked(document: Document[Recipe]) -> Document[Recipe]:
    """The document, once its rules across tables hold; RecipeError with every problem."""
    if found := problems(document):
        raise RecipeError(document.file, found)
    return document
