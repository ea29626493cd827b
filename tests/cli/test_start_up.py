"""How fast commands start, in processor time: what the clock shows on an idle machine, whatever else runs here."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ASRLAB = (sys.executable, "-m", "cli.main")
TRIES = 3


def processor_s(*command: str) -> float:
    """Seconds of user and system time that a command takes, threads and children with it; the best of a few tries."""
    best = float("inf")
    for _ in range(TRIES):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=120
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0, done.stderr
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return best


@pytest.mark.prove
def test_help_is_there_in_less_than_0_4_s() -> None:
    assert processor_s(*ASRLAB, "--help") < 0.4


@pytest.mark.prove
@pytest.mark.parametrize("recipe", ["ssm_b200", "hybrid"])
def test_check_takes_less_than_a_second(recipe: str) -> None:
    assert processor_s(*ASRLAB, "check", f"recipes/{recipe}.toml") < 1


@pytest.mark.prove
def test_explain_of_150m_parameters_takes_less_than_2_s_above_torch() -> None:
    torch_s = processor_s(sys.executable, "-c", "import torch")
    assert processor_s(*ASRLAB, "explain", "recipes/ssm_b200.toml") - torch_s < 2


@pytest.mark.parametrize("words", [("--help",), ("check", "recipes/ssm_base.toml"), ("run", "--help"), ("describe",)])
def test_commands_that_need_no_torch_do_not_import_it(words: tuple[str, ...]) -> None:
    script = (
        "import sys; from cli.main import app; app(sys.argv[1:], standalone_mode=False);"
        "heavy = {'torch', 'lhotse', 'scipy', 'sentencepiece', 'soundfile'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script, *words], check=True, cwd=ROOT, capture_output=True)
