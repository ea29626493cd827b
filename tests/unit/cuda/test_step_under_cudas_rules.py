"""Whole steps, validation and decoding of every family on a pretended GPU: CUDA's rules, true values, counted costs.

Of a machine with a GPU nothing is pretended: there `tests/gpu` runs.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from pretended_steps import Counted, Tried
from without_driver import CHECKED_TORCH

RECIPES = Path(__file__).parents[3] / "recipes"
FAMILIES = ("ssm_tiny", "conformer_tiny", "whisper_tiny")
BF16 = 'precision.type="bf16"'
NO_DROPOUT = "encoder.dropout=0.0"
"""Which the two devices draw from generators of their own."""

pytestmark = [
    pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: nothing is to be pretended"),
    pytest.mark.skipif(
        not torch.__version__.startswith(CHECKED_TORCH), reason=f"torch {torch.__version__}: its tables were not read"
    ),
]


class Cost(NamedTuple):
    """What a family's step may cost at most, in bf16 at 5M parameters."""

    kernels: int
    waits: int


MOST = {"ssm_tiny": Cost(2340, 1), "conformer_tiny": Cost(2190, 1), "whisper_tiny": Cost(1200, 1)}


def run_script(name: str, *words: str) -> str:
    """What a script beside this one prints."""
    script = Path(__file__).with_name(name)
    done = subprocess.run([sys.executable, script, *words], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


def try_steps(recipe: str, overrides: Sequence[str], microbatches: int = 1) -> Tried:
    """`pretended_steps.try_steps` in a process of its own."""
    found = json.loads(run_script("pretended_steps.py", str(RECIPES / f"{recipe}.toml"), str(microbatches), *overrides))
    step, decoding = Counted(**found.pop("step")), found.pop("decoding")
    return Tried(**found, step=step, decoding={name: Counted(**one) for name, one in decoding.items()})


def test_it_has_cudas_rules() -> None:
    assert run_script("rules.py").split() == ["devices", "waits", "autocast"]


@pytest.fixture(scope="module", params=FAMILIES)
def tried(request: pytest.FixtureRequest) -> tuple[str, Tried]:
    return request.param, try_steps(request.param, [BF16])


def test_a_step_costs_no_more_kernels_and_waits_than_said(tried: tuple[str, Tried]) -> None:
    family, found = tried
    assert found.step.kernels <= MOST[family].kernels, found.step.by_line
    assert sum(found.step.waits.values()) <= MOST[family].waits, found.step.waits


def test_greedy_ctc_waits_no_more_than_said(tried: tuple[str, Tried]) -> None:
    _, found = tried
    waits = found.decoding["ctc, beam 1"].waits
    assert sum(waits.values()) <= 2, waits


def test_attentions_search_waits_once_a_token(tried: tuple[str, Tried]) -> None:
    family, found = tried
    if family != "whisper_tiny":
        pytest.skip("it has no attention decoder")
    waits = found.decoding["attention, beam 3"].waits
    tokens = max(waits.values())
    assert sum(waits.values()) <= tokens + 4, waits  # the limits, what no text needs any more, and all texts


def test_losses_are_the_processors_but_for_dropout_and_rounding(tried: tuple[str, Tried]) -> None:
    _, found = tried
    for on_cpu, on_gpu in zip(found.losses_on_cpu, found.losses_on_gpu, strict=True):
        assert math.isclose(on_cpu, on_gpu, rel_tol=0.02)


@pytest.mark.prove
@pytest.mark.parametrize("precision", ["fp32", "fp16", "fp8", "mxfp8", "mxfp4", "nvfp4"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_precision_runs_under_cudas_rules(family: str, precision: str) -> None:
    emulate = ", emulate=true" if precision not in ("fp32", "fp16") else ""
    found = try_steps(family, [f'precision={{type="{precision}"{emulate}}}', NO_DROPOUT], microbatches=2)
    for on_cpu, on_gpu in zip(found.losses_on_cpu, found.losses_on_gpu, strict=True):
        assert math.isclose(on_cpu, on_gpu, rel_tol=0.01)
