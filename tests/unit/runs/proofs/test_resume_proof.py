"""The resume proof: a run that is killed again and again ends with the bits of one that never was.

`asrlab verify-resume` is what is tried here: kills are SIGKILL to process groups, at drawn instants.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from asr_lab.compiler.load import load_recipe
from asr_lab.errors import LabError, RunError
from asr_lab.runs.directory import RunDirectory, create_run, runs_root
from asr_lab.runs.proofs.digests import LABELS
from asr_lab.runs.proofs.jobs import RankedJob, start_job
from asr_lab.runs.proofs.moments import KINDS, draw_aims
from asr_lab.runs.proofs.resume import recipe_of_proof
from asr_lab.runs.request import AttemptRequest
from asr_lab.runs.status import status_of
from cli.main import app

ROOT = Path(__file__).resolve().parents[4]
Write = Callable[..., Path]
HASTY = '''
import os
from pathlib import Path
import numpy as np
from asr_lab.audio.augmentation import Augmentation
from asr_lab.config.section import section
from asr_lab.slots.augments import Augment

@section
class Hasty(Augment):
    """Noise that no key decides."""

    def build(self, root: Path = Path()):
        return HastyNoise()

class HastyNoise(Augmentation):
    def waveform(self, audio, sample_rate, key):
        rng = np.random.default_rng(int.from_bytes(os.urandom(8), "big"))
        return audio + rng.normal(0, 0.01, len(audio)).astype(np.float32)
'''


def verify(path: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["verify-resume", str(path), *words])


def test_kills_of_each_kind_change_no_bit(recipe: Write) -> None:
    done = verify(recipe(), "--steps", "20", "--kills", "4", "--seed", "3", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["holds"]
    assert (found["steps"], len(found["kills"]), sum(found["counts"].values())) == (20, 4, 4)
    assert found["differences"] == [[]] * found["runs"]
    assert set(found["sha256"]) == set(LABELS) - {"precision"}  # fp32 keeps nothing
    assert [kill["aim"] for kill in found["kills"]][-1] == "evaluation"
    assert [kill["attempt"] for kill in found["kills"] if kill["copy"] == 1] == list(
        range(1, 1 + sum(kill["copy"] == 1 for kill in found["kills"]))
    )
    assert not runs_root().exists() or not list(runs_root().iterdir())


def test_a_run_that_goes_on_otherwise_is_found(recipe: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own" / "augments").mkdir(parents=True)
    (tmp_path / "own" / "augments" / "hasty.py").write_text(HASTY)
    monkeypatch.setenv("ASRLAB_PATH", str(tmp_path / "own"))
    done = verify(recipe('type = "noise"', 'type = "hasty"'), "--steps", "6", "--kills", "1")
    assert done.exit_code == 1, done.output
    assert "1 of 1 run DIFFER; all are kept: " in done.stdout
    rows = {
        cells[1].strip(): cells[3].strip() for line in done.stdout.splitlines() if len(cells := line.split("│")) > 3
    }
    assert {"weights", "metrics"} <= {name for name, resumed in rows.items() if resumed != "equal"}
    (kept,) = (runs_root() / "verify-resume").iterdir()
    assert {status_of(RunDirectory(path)).phase for path in kept.iterdir()} == {"done"}


def test_what_promises_no_equal_bits_is_refused(recipe: Write) -> None:
    with pytest.raises(RunError, match=r"max_wall_min: .*; use max_steps"):
        recipe_of_proof(recipe(), ["train.max_wall_min=5"], None, runs_root())
    with pytest.raises(RunError, match=r"try --set determinism\.level=bitwise"):
        recipe_of_proof(recipe(), ["determinism.level=off"], None, runs_root())


def test_a_job_that_fails_by_itself_ends_the_proof_with_its_reason(
    recipe: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = recipe()
    monkeypatch.setenv("ASRLAB_DATA", str(tmp_path / "nothing"))
    done = verify(path, "--kills", "1")
    assert isinstance(done.exception, LabError)
    assert str(done.exception).startswith("its job failed: ")
    assert str(tmp_path / "nothing") in str(done.exception)


def test_aims_come_in_the_order_of_the_run_and_cover_every_kind() -> None:
    aims = draw_aims(100, KINDS, 60, np.random.default_rng(0))
    counts = Counter(aim.kind for aim in aims)
    assert len(aims) == 100
    assert min(counts[kind] for kind in KINDS) >= 10
    steps = [aim.step for aim in aims]
    assert steps == sorted(steps)
    assert len(set(steps)) > 40
    assert [aim.kind for aim in aims[-10:]] == ["evaluation"] * 10
    assert aims == draw_aims(100, KINDS, 60, np.random.default_rng(0))
    assert not {"validation", "evaluation"} & {
        aim.kind for aim in draw_aims(9, KINDS[:2], 60, np.random.default_rng(0))
    }


@pytest.fixture
def long_job(recipe: Write) -> Iterator[RankedJob]:
    """A job that trains on, with two processes that read."""
    document = load_recipe(recipe("num_workers = 0", "num_workers = 2", "max_steps = 12", "max_steps = 100000"))
    run = create_run(document, runs_root())
    AttemptRequest().write(run)
    job = start_job(run)
    try:
        assert wait_until(lambda: job.is_over or len(members(job)) >= 3)
        job.must_be_well()
        yield job
    finally:
        job.kill()


def test_a_kill_takes_the_whole_process_group(long_job: RankedJob) -> None:
    long_job.kill()
    assert wait_until(lambda: not members(long_job))
    assert long_job.processes[0].exitcode == -signal.SIGKILL


def test_readers_end_with_the_process_that_is_killed(long_job: RankedJob) -> None:
    (leader,) = long_job.processes
    assert leader.pid is not None
    os.kill(leader.pid, signal.SIGKILL)
    assert wait_until(lambda: not members(long_job))


def wait_until(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + 120
    while not holds() and time.monotonic() < until:
        time.sleep(0.01)
    return holds()


def members(job: RankedJob) -> list[int]:
    """The living processes of the first rank's group."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            state, _, number = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if state not in "ZX" and int(number) == job.processes[0].pid:
            found.append(int(pid))
    return found


ASTERISK = (
    'data.valid=[{type="folder", path="asterisk-prompts-5lang", where={split="train", prompt="u*"}}]',
    'data.test=[{type="folder", path="asterisk-prompts-5lang", where={split="test", prompt="l*"}}]',
    "schedule.warmup_steps=10",
    "train.batch_s=20",
)
SHIPPED = {
    "quickstart": (
        'data.train=[{type="synthetic", split="train", num_utterances=300}]',
        'data.valid=[{type="synthetic", split="valid", num_utterances=20}]',
        'data.test=[{type="synthetic", split="test", num_utterances=20}]',
        "train.batch_s=10",
    ),
    "speech_ssm": ASTERISK,
    "speech_conformer": ASTERISK,
    "speech_whisper": (
        'data.valid=[{type="folder", path="kerstin-de", where={split="train", id="*17"}}]',
        'data.test=[{type="folder", path="kerstin-de", where={split="test", id=["*3", "*7"]}}]',
        "schedule.warmup_steps=10",
        "train.batch_s=20",
    ),
}
"""Each with less data than it ships with: what is proved is the going on, not the score."""
NUM_KILLS = {1: 19, 2: 6}
"""Of each recipe, by how many processes train it: a hundred in all, a quarter of them of two."""
STRATEGIES = {"quickstart": "ddp", "speech_ssm": "fsdp", "speech_conformer": "ddp", "speech_whisper": "fsdp"}
"""By which two train it."""


@pytest.mark.prove
@pytest.mark.parametrize("ranks", NUM_KILLS)
@pytest.mark.parametrize("name", SHIPPED)
def test_a_hundred_kills_of_shipped_recipes_change_no_bit(
    name: str, ranks: int, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASRLAB_DATA", str(speech))
    monkeypatch.setenv("ASRLAB_RUNS", str(tmp_path / "runs"))
    shared = (f"parallel.type={STRATEGIES[name]}",) if ranks > 1 else ()
    words = [word for override in (*SHIPPED[name], *shared) for word in ("--set", override)]
    words += ["--steps", "60", "--kills", str(NUM_KILLS[ranks]), "--ranks", str(ranks)]
    began = time.monotonic()
    done = verify(ROOT / "recipes" / f"{name}.toml", *words, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    took = f"{found['runs']} runs of {found['steps']} steps; {time.monotonic() - began:.0f} s"
    print(f"{name} by {ranks}: {found['counts']}, {took}")
    print(*(f"  {part:10} {digest}" for part, digest in found["sha256"].items()), sep="\n")
    assert len(found["kills"]) == NUM_KILLS[ranks]
    if ranks == 1:  # a few may all miss a kind
        assert all(found["counts"][kind] for kind in ("step", "checkpoint", "validation", "evaluation"))
