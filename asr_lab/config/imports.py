"""The modules of a slot's folder: their names, and each one imported when it is asked for."""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from asr_lab.errors import LabError

PATH_VARIABLE = "ASRLAB_PATH"


class ImportCost(ImportWarning):
    """What it took to import a module under `ASRLAB_PATH`; Python shows such warnings only where asked to."""

    def __init__(self, file: str, seconds: float, packages: frozenset[str]) -> None:
        super().__init__(f"{file} took {seconds:.1f} CPU-seconds to import")
        self.file = file
        self.seconds = seconds
        self.packages = packages
        """Top-level packages that were not imported before."""


def module_names(folder: str) -> tuple[str, ...]:
    """The modules of a package, sorted, those in folders of its name under `ASRLAB_PATH` included; none is imported.

    LabError where a folder has a module whose name is taken: which of the two is meant would depend on the order.
    """
    package = sys.modules[folder]
    for root in filter(None, os.environ.get(PATH_VARIABLE, "").split(os.pathsep)):
        more = Path(root).resolve() / folder.rpartition(".")[2]
        if str(more) in package.__path__ or not more.is_dir():
            continue
        present = {module.name for module in pkgutil.iter_modules(package.__path__)}
        for module in pkgutil.iter_modules([str(more)]):
            if module.name in present:
                raise LabError(f"{more / module.name}: the name {module.name!r} is taken in {folder}; rename the file")
        package.__path__.append(str(more))
    return tuple(sorted(module.name for module in pkgutil.iter_modules(package.__path__)))


def import_module(folder: str, name: str) -> ModuleType:
    """A module of a package; LabError names its file when it cannot be imported."""
    full = f"{folder}.{name}"
    if full in sys.modules:
        return sys.modules[full]
    spec = importlib.util.find_spec(full)
    file = (spec.origin if spec else None) or full
    try:
        return importlib.import_module(full)
    except LabError:
        raise
    except Exception as error:
        raise LabError(f"{file} cannot be imported: {type(error).__name__}: {error}") from error


def import_chosen(folder: str, name: str) -> ModuleType:
    """The same, with a warning ImportCost where the module is a user's and had not been imported."""
    before, began = set(sys.modules), time.process_time()
    module = import_module(folder, name)
    file = str(module.__file__)
    if module.__name__ not in before and Path(file).parent != Path(str(sys.modules[folder].__file__)).parent:
        packages = frozenset(n for n in set(sys.modules) - before if "." not in n)
        warnings.warn(ImportCost(file, time.process_time() - began, packages), stacklevel=2)
    return module


@contextmanager
def import_costs() -> Iterator[list[ImportCost]]:
    """What choosing modules costs inside the block; known at its end. Other warnings pass."""
    costs: list[ImportCost] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ImportCost)
        try:
            yield costs
        finally:
            costs += [w.message for w in caught if isinstance(w.message, ImportCost)]
    for one in caught:
        if not isinstance(one.message, ImportCost):
            warnings.showwarning(one.message, one.category, one.filename, one.lineno)
