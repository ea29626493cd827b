"""What choosing a module costs is told to those who ask, and nothing else is held back."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from asr_lab.config.imports import import_chosen, import_costs, import_module, module_names
from asr_lab.errors import LabError

FOLDER = "folder_of_modules"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package with one module, and a user's folder with two more; one of these imports a package of its own."""
    for name, text in {
        f"{FOLDER}/__init__.py": "",
        f"{FOLDER}/ours.py": "",
        f"mine/{FOLDER}/theirs.py": "import warnings, brought_along\nwarnings.warn('of its own')",
        f"mine/{FOLDER}/idle.py": "",
        "brought_along.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("ASRLAB_PATH", str(tmp_path / "mine"))
    __import__(FOLDER)
    yield tmp_path
    for name in [n for n in sys.modules if n.partition(".")[0] in (FOLDER, "brought_along")]:
        del sys.modules[name]


@pytest.mark.usefixtures("path")
def test_names_are_those_of_files_and_import_nothing() -> None:
    assert module_names(FOLDER) == ("idle", "ours", "theirs")
    assert [n for n in sys.modules if n.startswith(f"{FOLDER}.")] == []


def test_the_first_choice_of_a_users_module_is_told_with_what_it_brought(path: Path) -> None:
    module_names(FOLDER)
    with warnings.catch_warnings(record=True) as passed:
        warnings.simplefilter("always")
        with import_costs() as costs:
            import_chosen(FOLDER, "ours")
            import_chosen(FOLDER, "theirs")
            import_chosen(FOLDER, "theirs")
    (cost,) = costs
    assert cost.file == str(path / "mine" / FOLDER / "theirs.py")
    assert cost.packages == {"brought_along"}
    assert 0 <= cost.seconds < 60
    assert [str(w.message) for w in passed] == ["of its own"]


@pytest.mark.usefixtures("path")
def test_what_is_imported_only_to_be_listed_is_not_told() -> None:
    module_names(FOLDER)
    with import_costs() as costs:
        import_module(FOLDER, "idle")
    assert costs == []


def test_a_users_module_may_not_have_the_name_of_one_of_ours(path: Path) -> None:
    (path / "mine" / FOLDER / "ours.py").write_text("")
    with pytest.raises(LabError, match=rf"{FOLDER}/ours: the name 'ours' is taken in {FOLDER}; rename the file"):
        module_names(FOLDER)
