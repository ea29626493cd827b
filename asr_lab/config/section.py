"""Sections and slots: a table is a frozen attrs class, and its tag is its module's name."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar, dataclass_transform

import attrs

from asr_lab.config.imports import import_chosen, import_module, module_names
from asr_lab.errors import LabError

T = TypeVar("T", bound=type)

ABSENT = "absent"
"""Where `added` keeps its value among a field's metadata."""


def added(*, default: Any, absent: Any = attrs.NOTHING, validator: Any = None) -> Any:
    """A key that its section did not always have; recipes from before it mean `absent`, the default unless given.

    At that value the key is left out of what is hashed, so that those recipes keep their hashes. A later change of
    the default writes `absent` out: what a recipe meant without the key stays as it was.
    """
    metadata = {ABSENT: default if absent is attrs.NOTHING else absent}
    return attrs.field(default=default, validator=validator, metadata=metadata)


def key_of(name: str) -> str:
    """The key of a field: its name, but for the underscore behind a Python keyword."""
    return name.removesuffix("_")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(attrs.field, added))
def section(cls: T) -> T:
    """Make a class a table of the recipe: frozen, keyword-only, its annotations are its keys.

    A key that is a Python keyword is written with an underscore behind it: field `from_`, key `from`.
    """
    return attrs.frozen(cls, kw_only=True, slots=False)


class Slot:
    """A place in a recipe where `type = "x"` picks the section in module `x` of the slot's package.

    A slot class stands in its package's `__init__`. The choices are the package's modules that hold a section of
    that slot; folders of the same name under `ASRLAB_PATH` add theirs. Only the module that is chosen is imported.
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
    def choice(cls, tag: str) -> type[Slot] | None:
        """The choice of a name, None when there is none; no other module is imported.

        LabError when its module cannot be imported.
        """
        if tag not in module_names(cls.folder):
            return None
        import_chosen(cls.folder, tag)
        return _load(cls, tag)

    @classmethod
    def choices(cls) -> dict[str, type[Slot]]:
        """Every choice by name; LabError when a module cannot be imported."""
        found = ((name, _load(cls, name)) for name in module_names(cls.folder))
        return {name: choice for name, choice in found if choice is not None}

    @classmethod
    def tags(cls) -> tuple[str, ...]:
        """The names of all choices, sorted; that of a module that cannot be imported is among them."""
        return tuple(name for name in module_names(cls.folder) if _may_hold(cls, name))


def _load(slot: type[Slot], name: str) -> type[Slot] | None:
    module = import_module(slot.folder, name)
    own = [c for c in vars(module).values() if _is_choice(c, slot, module.__name__)]
    if len(own) > 1:
        names = ", ".join(c.__name__ for c in own)
        raise LabError(f"{module.__file__}: one module holds one {slot.__name__}, this one holds {names}")
    return own[0] if own else None


def _may_hold(slot: type[Slot], name: str) -> bool:
    try:
        return _load(slot, name) is not None
    except LabError:
        return True


def _is_choice(value: Any, slot: type[Slot], module: str) -> bool:
    return isinstance(value, type) and issubclass(value, slot) and value is not slot and value.__module__ == module
