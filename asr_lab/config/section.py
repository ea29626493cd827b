"""Sections and slots: a table is a frozen attrs class, and its tag is its module's name."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from pathlib import Path
from typing import Any, ClassVar, TypeVar, dataclass_transform

import attrs

from asr_lab.errors import LabError

T = TypeVar("T", bound=type)

PATH_VARIABLE = "ASRLAB_PATH"
ABSENT = "absent"
"""Where `added` keeps its value among a field's metadata."""


def added(*, default: Any, absent: Any = attrs.NOTHING, validator: Any = None) -> Any:
    """A key that its section did not always have; recipes from before it mean `absent`, the default unless given.

    At that value the key is left out of what is hashed, so that those recipes keep their hashes. A later change of
    the default writes `absent` out: what a recipe meant without the key stays as it was.
    """
    metadata = {ABSENT: default if absent is attrs.NOTHING else absent}
    return attrs.field(default=default, validator=validator, metadata=metadata)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(attrs.field, added))
def section(cls: T) -> T:
    """Make a class a table of the recipe: frozen, keyword-only, its annotations are its keys.

    A key that is a Python keyword is written with an underscore behind it: field `from_`, key `from`.
    """
    return attrs.frozen(cls, kw_only=True, slots=False)


class Slot:
    """A place in a recipe where `type = "x"` picks the section in module `x` of the slot's package.

    A slot class stands in its package's `__init__`. The choices are the package's modules that hold a section of
    that slot; folders of the same name under `ASRLAB_PATH` add theirs.
    """

    folder: ClassVar[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if Slot in cls.__bases__:
            cls.folder = cls.__module__

    @classmethod
    def is_slot(cls) -> bool:
        """Whether this is a slot itself, not a choice in one."""
        return Slot in cls.__bases__

    @classmethod
    def slot(cls) -> type[Slot]:
        """The slot that this choice belongs to."""
        return next(c for c in cls.__mro__ if Slot in c.__bases__)

    @classmethod
    def tag(cls) -> str:
        """The choice's name: that of its module."""
        return cls.__module__.rpartition(".")[2]

    @classmethod
    def tags(cls) -> tuple[str, ...]:
        """The names of all choices, sorted."""
        return tuple(sorted(cls.choices()))

    @classmethod
    def choices(cls) -> dict[str, type[Slot]]:
        """Every choice by name."""
        package = sys.modules[cls.folder]
        extend_path(package)
        found: dict[str, type[Slot]] = {}
        for module in pkgutil.iter_modules(package.__path__):
            if (choice := _load(cls, module.name)) is not None:
                found[module.name] = choice
        return found


def extend_path(package: Any) -> None:
    """Add the package's folders under `ASRLAB_PATH` to where its modules are looked for."""
    for root in filter(None, os.environ.get(PATH_VARIABLE, "").split(os.pathsep)):
        folder = str(Path(root).resolve() / package.__name__.rpartition(".")[2])
        if folder not in package.__path__ and Path(folder).is_dir():
            package.__path__.append(folder)


def _load(slot: type[Slot], name: str) -> type[Slot] | None:
    try:
        module = importlib.import_module(f"{slot.folder}.{name}")
    except LabError:
        raise
    except Exception as error:
        raise LabError(f"{slot.folder}.{name} cannot be imported: {type(error).__name__}: {error}") from error
    own = [c for c in vars(module).values() if _is_choice(c, slot, module.__name__)]
    if len(own) > 1:
        names = ", ".join(c.__name__ for c in own)
        raise LabError(f"{module.__file__}: one module holds one {slot.__name__}, this one holds {names}")
    return own[0] if own else None


def _is_choice(value: Any, slot: type[Slot], module: str) -> bool:
    return isinstance(value, type) and issubclass(value, slot) and value is not slot and value.__module__ == module
