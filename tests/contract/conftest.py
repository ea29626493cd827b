"""Makes the law importable here and hands its cases to the tests by the names of their arguments."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "unit" / "training" / "parallel"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`case, context`: every case in every context; `cuttable, context`: where it streams; `case` alone: once each;
    `waveform_case`: those that take samples in pieces of any size."""
    from cases import cases, pairs, waveform_cases

    if "case" in metafunc.fixturenames and "context" in metafunc.fixturenames:
        found = [pair for case in cases() for pair in pairs(case, streaming=False)]
        metafunc.parametrize(("case", "context"), found, ids=[_name(*pair) for pair in found])
    elif "cuttable" in metafunc.fixturenames:
        found = [pair for case in cases() for pair in pairs(case, streaming=True)]
        metafunc.parametrize(("cuttable", "context"), found, ids=[_name(*pair) for pair in found])
    elif "waveform_case" in metafunc.fixturenames:
        waveforms = list(waveform_cases())
        metafunc.parametrize("waveform_case", waveforms, ids=[case.name for case in waveforms])
    elif "case" in metafunc.fixturenames:
        each = list(cases())
        metafunc.parametrize("case", each, ids=[case.name for case in each])


def _name(case, context) -> str:  # type: ignore[no-untyped-def]
    size = "whole" if context.is_whole else f"chunk {context.chunk_frames} left {context.left_frames}"
    return f"{case.name}-{size}"
