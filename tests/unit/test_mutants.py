"""What the mutation tester breaks, and which tests it then runs."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def mutants() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mutants", ROOT / "tests" / "mutants.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def broken(mutants: ModuleType, source: str) -> list[str]:
    """Every text that the source may be broken into; each compiles and differs."""
    found = [mutant.broken(source) for mutant in mutants.mutants_of("x.py", source)]
    for text in found:
        compile(text, "x.py", "exec")
        assert ast.dump(ast.parse(text)) != ast.dump(ast.parse(source))
    return found


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a < b", ["x = (a <= b)", "x = (a >= b)"]),
        ("x = a <= b", ["x = (a < b)", "x = (a > b)"]),
        ("x = a > b", ["x = (a <= b)", "x = (a >= b)"]),
        ("x = a == b", ["x = (a != b)"]),
        ("x = a is not b", ["x = (a is b)"]),
        ("x = a in b", ["x = (a not in b)"]),
        ("x = a < b == c", ["x = (a < b != c)", "x = (a <= b == c)", "x = (a >= b == c)"]),
        ("x = a + b", ["x = (a - b)"]),
        ("x = a - b", ["x = (a + b)"]),
        ("x = a * b", ["x = (a / b)"]),
        ("x = a / b", ["x = (a * b)"]),
        ("x = a // b", ["x = (a * b)"]),
        ("x = a % b", ["x = (a * b)"]),
        ("x = a**b", ["x = (a * b)"]),
        ("x = a & b", ["x = (a | b)"]),
        ("x = a << b", ["x = (a >> b)"]),
        ("x += a", ["x -= a"]),
        ("x = a and b", ["x = (a or b)"]),
        ("x = a or b", ["x = (a and b)"]),
        ("x = not a", ["x = (a)"]),
        ("x = -a", ["x = (a)"]),
        ("x = 3", ["x = 2", "x = 4"]),
        ("x = 0", ["x = -1", "x = 1"]),
        ("x = 0.5", ["x = 1.0"]),
        ("x = 0.0", ["x = 1.0"]),
        ("x = True", ["x = False"]),
        ("x = a if b else c", ["x = a if (not b) else c"]),
        ("if a:\n    x = b", ["if (not a):\n    x = b"]),
        ("while f():\n    pass", ["while (not f()):\n    pass"]),
        ("def f() -> bool:\n    return a.b", ["def f() -> bool:\n    pass", "def f() -> bool:\n    return (not a.b)"]),
        ("def f(a):\n    a = b\n    c = a", ["def f(a):\n    pass\n    c = a"]),
        ("def f():\n    g()", ["def f():\n    pass"]),
        ("def f():\n    x.y = a", ["def f():\n    pass"]),
        ("def f():\n    raise a", ["def f():\n    pass"]),
        ("for x in a:\n    break", []),
        ("def f():\n    for x in a:\n        continue", ["def f():\n    for x in a:\n        pass"]),
        ("é = a  # ü\nx = 'ö', a + b", ["é = a  # ü\nx = 'ö', (a - b)"]),
    ],
)
def test_each_kind_of_place_is_broken_in_each_of_its_ways(
    mutants: ModuleType, source: str, expected: list[str]
) -> None:
    assert sorted(broken(mutants, source)) == sorted(expected)


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring."""',
        "x = 'text'",
        "x = f'{a + 1}'",
        "import a\nfrom b import c",
        "if TYPE_CHECKING:\n    x = 1",
        "__all__ = ['a'] + ['b']",
        "assert a == 1",
        "x = zip(a, b, strict=True)",
        "@f(1)\ndef g(a: Literal[1]) -> Literal[2]: ...",
        "class A:\n    x: Literal[1]\n    '''What x is.'''",
        "def f():\n    x = a\n    '''What x is.'''",
    ],
)
def test_what_no_test_can_notice_is_left_alone(mutants: ModuleType, source: str) -> None:
    assert broken(mutants, source) == []


def test_all_of_asr_lab_can_be_broken_and_each_broken_file_compiles(mutants: ModuleType) -> None:
    for name in ("nn/conv.py", "streaming/session.py", "units.py"):
        assert len(broken(mutants, (ROOT / "asr_lab" / name).read_text(encoding="utf-8"))) > 10


def test_a_diff_shows_the_broken_line_alone(mutants: ModuleType) -> None:
    source = "a = b\nc = d + e  # why\n"
    [mutant] = mutants.mutants_of("x.py", source)
    assert (mutant.line, mutant.diff(source)) == (2, ["- c = d + e  # why", "+ c = (d - e)  # why"])


def test_a_module_is_tested_by_its_name_then_its_folder_then_the_law_then_by_who_imports_it(
    mutants: ModuleType, tmp_path: Path
) -> None:
    unit = tmp_path / "tests" / "unit"
    for file, text in {
        "nn/test_conv.py": "",
        "nn/test_norm.py": "",
        "stems/test_layers.py": "from asr_lab.nn.conv import Conv",
        "stems/test_others.py": "from asr_lab.nn import norm, convert",
        "data/deep/test_one.py": "",
        "test_units.py": "",
    }.items():
        (unit / file).parent.mkdir(parents=True, exist_ok=True)
        (unit / file).write_text(text)
    assert mutants.stages_of("asr_lab/nn/conv.py", tmp_path) == [
        ("tests/unit/nn/test_conv.py",),
        ("tests/unit/nn", "--ignore=tests/unit/nn/test_conv.py"),
        ("tests/contract",),
        ("tests/unit/stems/test_layers.py",),
    ]
    # A package that moves takes its tests with it; the nearest folder above stands in for one that is absent.
    assert mutants.stages_of("asr_lab/data/deep/deeper/one.py", tmp_path) == [("tests/unit/data/deep/test_one.py",)]
    assert mutants.stages_of("asr_lab/units.py", tmp_path) == [("tests/unit/test_units.py",)]
    assert mutants.stages_of("asr_lab/launch/here.py", tmp_path) == [("tests/unit/runs",)]


def test_what_fails_and_what_hangs_is_found_and_what_passes_is_not(mutants: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "test_good.py").write_text("def test_good(): pass\n")
    (tmp_path / "test_bad.py").write_text("def test_bad(): assert False\n")
    (tmp_path / "test_slow.py").write_text("def test_slow():\n    while True: pass\n")
    assert mutants.failure(tmp_path, ["test_good.py"], 60.0) is None
    assert mutants.failure(tmp_path, ["test_good.py", "test_bad.py"], 60.0) == "test_bad.py::test_bad"
    assert mutants.failure(tmp_path, ["test_slow.py"], 3.0) == "time limit"
