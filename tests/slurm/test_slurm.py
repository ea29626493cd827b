"""Jobs of a real SLURM: what it does to them, and what their user sees. `short` is the gate's, all is `prove`'s."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator

import attrs
import pytest
from slurm_lab import PATIENCE_S, Lab, kill, processes

from asr_lab.compiler.load import load_recipe
from asr_lab.runs.code_snapshot import snapshot_environment
from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.dispatch import prepare, write_request
from asr_lab.runs.submit import submit
from asr_lab.slots.launch.slurm import Slurm
from asr_lab.training import state
from asr_lab.training.store import CheckpointStore

STEPS = {"max_steps": 240, "valid_every_steps": 240}


def fingerprint(run: RunDirectory) -> str:
    """SHA-256 of the last checkpoint but for the clock's part of it: weights, optimizer, random state, cursor."""
    newest = CheckpointStore(run.checkpoints).newest()
    assert newest is not None
    assert newest[0].step == STEPS["max_steps"]
    del newest[1].numbers["progress"]["wall_s"]
    return state.fingerprint(newest[1])


@contextlib.contextmanager
def undisturbed(lab: Lab, seed: int, *more: str) -> Iterator[Callable[[], str]]:
    """Trains the same recipe in one go, by one process elsewhere, meanwhile; gives what waits for its fingerprint."""
    elsewhere = Lab(lab.cluster, lab.folder / f"undisturbed-{seed}")
    elsewhere.folder.mkdir(exist_ok=True)
    for name in ("data", "tiny.toml"):
        if not (elsewhere.folder / name).exists():
            (elsewhere.folder / name).symlink_to(lab.folder / name)
    words = [word for key, value in STEPS.items() for word in ("--set", f"train.{key}={value}")]
    with elsewhere.running("run", "tiny.toml", "--set", f"seed={seed}", *words, *more) as process:

        def wait() -> str:
            printed, _ = process.communicate(timeout=PATIENCE_S)
            assert process.returncode == 0, printed
            return fingerprint(elsewhere.run(re.findall(r"(tiny-[0-9a-f]{8}): ", printed)[0]))

        yield wait


def is_training(status: object) -> bool:
    return getattr(status, "step", 0) >= 2


BITWISE = ("--set", 'determinism={level="bitwise"}')
ONE_AS_TWO = (*BITWISE, "--set", 'parallel={type="single", parts=2}')


@attrs.frozen
class Shape:
    """How many processes a job is."""

    launch: str
    more: tuple[str, ...]
    first_seed: int
    """Neither is part of a run's hash: each shape has seeds of its own."""

    def start(self, lab: Lab, seed: int, launch: str = "", **values: object) -> RunDirectory:
        """Submit a run in this shape."""
        return lab.start(self.first_seed + seed, ", ".join(filter(None, (self.launch, launch))), *self.more, **values)


SHAPES = {
    "one process": Shape("", (), 0),
    "two nodes": Shape("nodes=2, cpus_per_task=1", ("--set", 'parallel={type="ddp", timeout_s=60}'), 1000),
}
TIMED = 'type="slurm", timeout_min=5'
of_every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))


@pytest.mark.parametrize("cluster", [False], indirect=True, ids=["short"])
def test_a_job_on_two_nodes_by_the_script_of_a_dry_run_is_preempted_and_ends_with_the_bits_of_one_process(
    lab: Lab,
) -> None:
    before = sorted((lab.folder / "runs").glob("*"))
    launch = 'partition="low", nodes=2, cpus_per_task=1, mem_gb=0.5, sbatch={comment="a b"}'
    ddp = (*BITWISE, "--set", 'parallel={type="ddp"}')
    script = lab.dry_run(101, launch, *ddp, **STEPS)
    assert sorted((lab.folder / "runs").glob("*")) == before
    with undisturbed(lab, 101, *ONE_AS_TWO) as of_one:
        run = preempted(lab, 101, launch, *ddp)
        assert fingerprint(run) == of_one()
    (submitted_script,) = run.submitit.glob("*_submission.sh")
    assert submitted_script.read_text() == script.removesuffix("\n")
    shown = lab.cluster.output("scontrol", "show", "job", "-o", lab.job(run))
    for field in (
        "Requeue=1", "Restarts=1", "TimeLimit=00:20:00", "CPUs/Task=1", "Comment=a b", f"JobName={run.name}",
        "NumNodes=2",
    ):  # fmt: skip
        assert field in shown


def preempted(lab: Lab, seed: int, launch: str, *more: str) -> RunDirectory:
    """A run that was preempted once and went on by itself to its end."""
    run = lab.start(seed, launch, *more, **STEPS)
    lab.wait(run, lambda status: status.phase != "")  # SLURM takes seconds to preempt, in which a small run may end
    with lab.watching(run) as watching:
        lab.take_nodes(2)
        printed, _ = watching.communicate(timeout=600)
    assert watching.returncode == 0, printed
    records = [json.loads(line) for line in run.events_file.read_text().splitlines()]
    (requeued,) = [one for one in records if one.get("state") == "requeued"]
    assert requeued["reason"] == "preemption"
    assert re.search(r"requeued  step \d+", printed)
    assert "PENDING in " in printed
    attempts = json.loads(run.provenance_file.read_text())["attempts"]
    assert [one["resumed_from"] for one in attempts] == [None, requeued["step"]]
    assert [one["exact"] for one in attempts] == [True, True]
    assert {one["job"] for one in attempts} == {lab.job(run)}
    return run


@pytest.mark.prove
def test_preemption_with_requeue_is_exact(lab: Lab) -> None:
    with undisturbed(lab, 1) as in_one_go:
        run = preempted(lab, 1, 'partition="low"')
        assert fingerprint(run) == in_one_go()


@pytest.mark.prove
def test_fsdp_on_two_nodes_with_two_processes_each_is_preempted_and_leaves_each_rank_its_log(lab: Lab) -> None:
    launch = 'partition="low", nodes=2, tasks_per_node=2, cpus_per_task=1'
    run = preempted(lab, 12, launch, "--set", 'parallel={type="fsdp"}')
    for rank in range(4):
        assert "submitit" in lab.asrlab("logs", run.name, "--rank", str(rank)).stdout
    assert "there are: 0, 1, 2, 3" in lab.asrlab("logs", run.name, "--rank", "4", code=2).stderr
    assert lab.row(run)["state"] == "finished"


@pytest.mark.prove
def test_where_the_cluster_cancels_preempted_jobs_one_with_grace_requeues_itself(lab: Lab) -> None:
    preempted(lab, 2, 'partition="doomed"')


@pytest.mark.prove
def test_where_there_is_no_grace_either_a_job_that_waits_takes_over(lab: Lab) -> None:
    run = lab.start(11, 'partition="abrupt", resubmit=2', max_steps=100_000)
    lab.wait(run, is_training)
    lab.take_nodes(2)
    status = lab.wait(run, lambda status: status.attempt == 2 and status.loss is not None)
    first, second, third = lab.jobs(run)
    attempts = json.loads(run.provenance_file.read_text())["attempts"]
    assert attempts[0]["job"] == first
    assert attempts[1]["job"] in (first, second)  # SLURM 22.05 may take a job back that it is about to cancel
    assert lab.row(run)["state"] == "running"
    done = lab.asrlab("cancel", run.name)
    assert "stopped by a cancelled job" in done.stderr, status
    time.sleep(8)
    assert lab.cluster.output("squeue", "-h", "-j", f"{second},{third}") == ""


@pytest.mark.prove
@of_every_shape
def test_a_time_limit_is_no_end(lab: Lab, shape: Shape) -> None:
    values = {"max_steps": 10_000, "valid_every_steps": 10_000}
    run = shape.start(lab, 3, "timeout_min=2", **values)
    # The signal comes two minutes before the limit: each attempt ends after its first step, however slow the machine.
    lab.wait(run, lambda status: status.attempt >= 2 and status.phase in ("training", "requeued"))
    records = [json.loads(line) for line in run.events_file.read_text().splitlines()]
    requeued = [one for one in records if one.get("state") == "requeued"]
    assert {one["reason"] for one in requeued} == {"the job's time limit"}
    attempts = json.loads(run.provenance_file.read_text())["attempts"]
    assert attempts[1]["resumed_from"] == requeued[0]["step"] > 0


@pytest.mark.prove
@of_every_shape
def test_a_cancelled_job_saves_and_stays_away(lab: Lab, shape: Shape) -> None:
    run = shape.start(lab, 4, max_steps=100_000)
    lab.wait(run, is_training)
    with lab.watching(run) as watching:
        assert lab.row(run)["state"] == "running"
        done = lab.asrlab("cancel", run.name)
        printed, _ = watching.communicate(timeout=120)
    assert watching.returncode == 130
    for text in (printed, done.stderr):
        assert "stopped by a cancelled job after step" in text
        assert "go on with: asrlab run" in text
    assert lab.row(run)["state"] == "stopped"
    again = shape.start(lab, 4, max_steps=100_000)
    assert again == run
    lab.wait(run, lambda status: status.attempt == 2 and status.loss is not None)
    lab.cluster.output("scancel", lab.job(run))  # by its number, as users do
    status = lab.wait(run, lambda status: status.ended)
    assert (status.phase, status.reason) == ("stopped", "a cancelled job")
    lab.wait_for_end(run)


@pytest.mark.prove
def test_a_job_cancelled_before_it_began_ends_with_that_word(lab: Lab) -> None:
    lab.take_nodes(60)
    time.sleep(1)
    run = lab.start(5)
    with lab.watching(run) as watching:
        assert lab.row(run)["state"] == "queued"
        listed = lab.asrlab("runs")
        assert re.search(rf"{run.name}.*queued", listed.stdout)
        assert re.search(rf"{run.name}: job \d+: PENDING in low \((Resources|Priority)\)", listed.stderr)
        refused = lab.asrlab("run", "tiny.toml", "--set", "seed=5", "--detach")  # it is not submitted twice
        assert "runs already" in refused.stderr
        time.sleep(6)
        lab.cluster.output("scancel", lab.job(run))
        printed, _ = watching.communicate(timeout=120)
    assert watching.returncode == 1
    assert re.search(r"PENDING in low \((Resources|Priority)\)(, expected to start 20\d\d-)?", printed)
    assert f"job {lab.job(run)} ended before it began: CANCELLED" in printed
    assert lab.row(run)["state"] == "CANCELLED"


@pytest.mark.prove
@of_every_shape
def test_a_step_that_is_killed_ends_with_that_word(lab: Lab, shape: Shape) -> None:
    values = {"max_steps": 100_000, "valid_every_steps": 100_000, "save_every_steps": 2}
    run = shape.start(lab, 6, **values)
    lab.wait(run, lambda status: getattr(status, "step", 0) >= 4)
    ranks = processes(lab.job(run))
    with lab.watching(run) as watching:
        kill(ranks[max(ranks)])
        printed, _ = watching.communicate(timeout=PATIENCE_S)
    assert watching.returncode == 1
    by_slurm = r"after step \d+: FAILED \(killed by SIGKILL, as where memory runs out\)"
    if len(ranks) == 1:
        assert re.search(by_slurm, printed), printed
        assert "go on with: asrlab run" in printed
    else:  # rank 0 has the twenty seconds of SLURM's KillWait to find out which one is gone
        assert re.search(rf"no word from rank 1|{by_slurm}", printed), printed
    assert lab.row(run)["state"] in (("FAILED",) if len(ranks) == 1 else ("failed", "FAILED"))
    again = shape.start(lab, 6, **values)
    assert again == run
    lab.wait(run, lambda status: status.attempt == 2 and status.loss is not None)
    attempts = json.loads(run.provenance_file.read_text())["attempts"]
    assert attempts[1]["resumed_from"] > 0


@pytest.mark.prove
@of_every_shape
def test_the_traceback_of_a_job_that_fails_reaches_the_terminal(lab: Lab, shape: Shape) -> None:
    """A user's own block has a bug that shows in training."""
    mine = lab.folder / "mine" / "augments"
    mine.mkdir(parents=True, exist_ok=True)
    (mine / "broken.py").write_text(
        "from asr_lab.config.section import section\nfrom asr_lab.slots.augments import Augment\n\n\n"
        '@section\nclass Broken(Augment):\n    """Fails."""\n\n'
        "    def build(self, *words):\n        raise ZeroDivisionError('a bug of mine')\n"
    )
    words = ("--path", "mine", "run", "tiny.toml", "--set", f"seed={shape.first_seed + 7}", *shape.more)
    launch = f"launch={{{', '.join(filter(None, (TIMED, shape.launch)))}}}"
    done = lab.asrlab(*words, "--set", 'augment=[{type="broken"}]', "--set", launch, code=1)
    assert "Traceback (most recent call last)" in done.stderr
    assert "in build" in done.stderr
    assert "ZeroDivisionError: a bug of mine" in done.stderr
    name = re.findall(r"(tiny-[0-9a-f]{8}): ", done.stderr)[0]
    assert "a bug of mine" in lab.asrlab("logs", name).stdout


@pytest.mark.prove
def test_several_runs_are_one_array(lab: Lab) -> None:
    runs = submitted(lab, (81, 82, 83), Slurm(timeout_min=10, array_parallelism=2))
    assert [lab.job(run).partition("_")[2] for run in runs] == ["0", "1", "2"]
    for run in runs:
        assert lab.wait(run, lambda status: status.ended).phase == "done"
        assert "submitit" in lab.asrlab("logs", run.name).stdout
        assert lab.row(run)["state"] == "finished"


def submitted(lab: Lab, seeds: tuple[int, ...], launch: Slurm) -> list[RunDirectory]:
    """Runs of these seeds, submitted together."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in lab.environ.items():
            patch.setenv(name, value)
        runs = []
        for seed in seeds:
            document = load_recipe(lab.folder / "tiny.toml", [f"seed={seed}"])
            prepared = prepare(document, lab.folder / "runs")
            snapshot = write_request(prepared, document, accept_changes=False)
            runs.append(prepared.run)
        for name, value in snapshot_environment(snapshot, os.environ).items():
            patch.setenv(name, value)
        patch.setattr("asr_lab.__file__", str(snapshot / "asr_lab" / "__init__.py"))  # the process that submits runs it
        submit(runs, launch, runs[0].submitit)
    return runs


@pytest.mark.prove
def test_a_node_without_the_data_is_named_before_anything_starts(lab: Lab) -> None:
    """One node has another file system where the data are."""
    hidden = lab.folder / "on_n2.sh"
    hidden.write_text(
        '#!/bin/sh\n[ "$SLURMD_NODENAME" = n2 ] || exec "$@"\n'
        f'exec unshare -m sh -c \'mount -t tmpfs none {lab.folder}/data && exec "$@"\' sh "$@"\n'
    )
    hidden.chmod(0o755)
    (run,) = submitted(lab, (9,), Slurm(timeout_min=5, nodes=2, container=str(hidden)))
    told = lab.asrlab("watch", run.name, code=1).stderr
    assert f"n2: {lab.folder}/data/tones is not there" in told
    assert "n1: " not in told
    assert "FAILED (exit code 2)" in told
    assert not run.events_file.exists()


@pytest.mark.prove
def test_a_job_whose_code_was_changed_meanwhile_names_the_file(lab: Lab) -> None:
    lab.take_nodes(60)
    time.sleep(1)
    run = lab.start(10)
    (snapshot,) = run.code.iterdir()
    with (snapshot / "asr_lab" / "nn" / "conv.py").open("a") as file:
        file.write("# changed\n")
    lab.cluster.output("scancel", "-p", "high", "--user=root")
    printed = lab.asrlab("watch", run.name, code=1).stderr
    assert "asr_lab/nn/conv.py is changed" in printed
    assert "ended before it began: FAILED (exit code 2)" in printed
    assert not run.events_file.exists()
