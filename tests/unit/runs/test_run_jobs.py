"""Submitted jobs: what is written down of them, how they are watched, cancelled and read."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from slurm_commands import NO_ACCOUNTS, write_commands
from typer.testing import CliRunner, Result

from asr_lab.compiler.load import load_recipe
from asr_lab.errors import LabError, RunError
from asr_lab.runs.directory import RunDirectory, create_run, runs_root
from asr_lab.runs.dispatch import prepare
from asr_lab.runs.events import EventWriter
from asr_lab.runs.jobs import JobWatch, SubmittedJob, submitted_job
from asr_lab.runs.lock import RunLock
from asr_lab.runs.scheduler import GONE, JobState
from asr_lab.runs.status import state_of, status_of
from asr_lab.runs.view import PlainView, follow
from cli.main import app

Write = Callable[..., Path]


def asrlab(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def states(**found: JobState) -> Callable[[Sequence[str]], dict[str, JobState]]:
    return lambda jobs: {job: found[f"j{job}"] for job in jobs}


def slurm_job(*ids: str, folder: Path = Path()) -> SubmittedJob:
    return SubmittedJob("slurm", ids, str(folder), 0)


@pytest.fixture
def queued(recipe: Write) -> RunDirectory:
    """A run whose job 12 was submitted."""
    run = create_run(load_recipe(recipe()), runs_root())
    slurm_job("12", folder=run.submitit).write(run)
    return run


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes commands of SLURM that answer so; gives the file of what they were called with."""
    folder, calls = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def write(**scripts: str) -> Path:
        write_commands(folder, calls, **scripts)
        return calls

    return write


def test_what_is_written_down_of_a_job_is_read_again_and_a_copy_of_the_run_has_none(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    assert submitted_job(run) is None
    slurm_job("12", "13").write(run)
    found = submitted_job(run)
    assert found is not None
    assert found.ids == ("12", "13")
    shutil.copytree(run.path, tmp_path / "copy")
    assert submitted_job(RunDirectory(tmp_path / "copy")) is None


@pytest.mark.parametrize("ids", [[], ["-1"], ["12; true"], ["12", "all"], "12"])
def test_numbers_that_are_none_never_reach_a_command(tmp_path: Path, ids: object) -> None:
    run = RunDirectory(tmp_path)
    slurm_job("12").write(run)
    path = run.submitit / "job.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"ids": ids}))
    with pytest.raises(RunError, match=r"job\.json is damaged: ids"):
        submitted_job(run)


def test_a_scheduler_is_asked_now_and_then_and_its_silence_changes_nothing() -> None:
    now, asked, answers = [0.0], [], [JobState("PENDING"), RunError("squeue: Connection refused"), JobState("RUNNING")]

    def ask(jobs: Sequence[str]) -> dict[str, JobState]:
        asked.append(now[0])
        if isinstance(answer := answers[len(asked) - 1], Exception):
            raise answer
        return {jobs[0]: answer}

    watch = JobWatch(slurm_job("12"), ask, lambda: now[0], every_s=5)
    seen = []
    for second in range(12):
        now[0] = float(second)
        seen.append((watch.look().word, bool(watch.silence)))
    assert asked == [0.0, 5.0, 10.0]
    assert seen == [("PENDING", False)] * 5 + [("PENDING", True)] * 5 + [("RUNNING", False)] * 2


def test_a_preempted_job_may_come_back_for_a_while() -> None:
    now = [0.0]
    watch = JobWatch(slurm_job("12"), states(j12=JobState("PREEMPTED")), lambda: now[0], every_s=0)
    assert (watch.look().word, watch.look().is_alive) == ("REQUEUED", True)
    now[0] = 31.0
    assert (watch.look().word, watch.look().is_alive) == ("PREEMPTED", False)


def test_of_jobs_that_follow_one_another_the_one_that_lives_counts() -> None:
    first, second, third = JobState("PREEMPTED", nodes="n1"), JobState("RUNNING", nodes="n1"), JobState("PENDING")
    assert JobWatch(slurm_job("1", "2", "3"), states(j1=first, j2=second, j3=third)).look() == second
    failed, never = JobState("FAILED", nodes="n1"), JobState("CANCELLED")
    over = JobWatch(slurm_job("1", "2", "3"), states(j1=first, j2=failed, j3=never), every_s=0)
    assert over.look() == failed


def test_a_job_in_the_queue_is_not_submitted_twice(queued: RunDirectory, slurm: Callable[..., Path]) -> None:
    slurm(squeue="echo '12|PENDING|low|2026-12-01T12:00:00||Priority'")
    assert state_of(queued, status_of(queued)) == ("queued", None)
    document = queued.document()
    assert prepare(document, runs_root()).standing == "running"
    (row,) = json.loads(asrlab("runs", "--json").stdout)
    assert row["state"] == "queued"
    assert row["job"]["reason"] == "Priority"
    assert "job 12: PENDING in low (Priority), expected to start 2026-12-01T12:00:00" in asrlab("runs").stderr


def test_a_job_that_never_began_leaves_its_word(queued: RunDirectory, slurm: Callable[..., Path]) -> None:
    slurm(squeue=":", scontrol="echo 'JobId=12 JobState=OUT_OF_MEMORY Reason=OutOfMemory ExitCode=0:125 NodeList=n1'")
    (row,) = json.loads(asrlab("runs", "--json").stdout)
    assert row["state"] == "OUT_OF_MEMORY"
    watched = asrlab("watch", queued.name)
    assert "job 12 ended before it began: OUT_OF_MEMORY" in str(watched.exception)


def test_a_job_unknown_to_every_command_ends_the_watching(queued: RunDirectory, slurm: Callable[..., Path]) -> None:
    slurm(sacct=NO_ACCOUNTS)
    watched = asrlab("watch", queued.name)
    assert "keeps no accounts" in str(watched.exception)
    (row,) = json.loads(asrlab("runs", "--json").stdout)
    assert row["state"] == "dead"


def test_following_goes_on_over_a_requeue_and_ends_with_the_job(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    slurm_job("12").write(run)
    words = iter(["PENDING", "PENDING", "RUNNING", "FAILED"])
    watch = JobWatch(slurm_job("12"), lambda jobs: {"12": JobState(next(words), "low", "BeginTime")}, every_s=0)
    with RunLock.take(run.lock, "12") as lock, EventWriter(run.events_file, lock.attempt) as events:
        events.write("state", {"state": "requeued", "step": 3, "reason": "preemption"})
    lines: list[str] = []
    status = follow(run, PlainView(run, lines.append), 0, watch)
    assert (status.phase, status.ended, next(words, "all were asked")) == ("requeued", False, "all were asked")
    assert [line.partition("%  ")[2] for line in lines] == [
        "PENDING in low (BeginTime)  step 3  epoch 1",
        "requeued  step 3  epoch 1",
    ]


def on_another_machine(lock: RunLock) -> None:
    """Have a lock's owner be a process of another machine, of which only its job is known."""
    path = lock.folder / f"{lock.attempt:04d}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"host": "n7", "boot": "another", "machine": "another"}))


def test_an_owner_on_another_machine_is_gone_when_its_job_is(queued: RunDirectory) -> None:
    word = ["RUNNING"]
    watch = JobWatch(slurm_job("12"), lambda jobs: {"12": JobState(word[0], nodes="n7")}, every_s=0)
    with RunLock.take(queued.lock, "12") as lock, EventWriter(queued.events_file, lock.attempt) as events:
        events.write("state", {"state": "training", "step": 3})
        on_another_machine(lock)
        status = status_of(queued)
        assert state_of(queued, status, watch)[0] == "running"
        word[0] = "NODE_FAIL"
        assert state_of(queued, status, watch) == ("dead", None)
        assert not follow(queued, PlainView(queued, lambda line: None), 0, watch).ended  # and it ends
        other = JobWatch(slurm_job("99"), lambda jobs: {"99": JobState("FAILED")}, every_s=0)
        assert state_of(queued, status, other)[0] == "running"  # an earlier job's end says nothing of it


@pytest.mark.parametrize("now", [False, True])
def test_cancel_takes_those_that_wait_out_before_it_ends_the_one_that_runs(
    queued: RunDirectory, slurm: Callable[..., Path], now: bool
) -> None:
    SubmittedJob("slurm", ("12", "13"), str(queued.submitit), 0).write(queued)
    calls = slurm(
        squeue="printf '12|RUNNING|low|N/A|n1|None\\n13|PENDING|low|N/A||Dependency\\n'; exit 0", scancel="exit 0"
    )
    from asr_lab.runs.dispatch import cancel

    with RunLock.take(queued.lock, "12"):
        cancel(queued, now)
    cancelled = [line for line in calls.read_text().splitlines() if line.startswith("scancel")]
    assert cancelled == ["scancel 13", "scancel 12" if now else "scancel --signal=TERM 12"]


def test_a_refused_cancel_and_a_run_that_does_not_run_are_told(
    queued: RunDirectory, slurm: Callable[..., Path]
) -> None:
    slurm(squeue="echo '12|RUNNING|low|N/A|n1|None'", scancel="echo 'Access/permission denied' >&2; exit 1")
    assert "job 12 could not be cancelled: Access/permission denied" in str(asrlab("cancel", queued.name).exception)
    slurm(squeue=":", scontrol="echo JobState=COMPLETED")
    refused = asrlab("cancel", queued.name).exception
    assert isinstance(refused, LabError)
    assert "is not running" in str(refused)


def test_stop_of_watch_names_the_command_that_took_its_place(queued: RunDirectory) -> None:
    assert str(asrlab("watch", queued.name, "--stop").exception).endswith(f"asrlab cancel {queued.name}")


def test_logs_are_printed_by_rank(queued: RunDirectory, slurm: Callable[..., Path]) -> None:
    slurm(squeue=":", scontrol="echo JobState=COMPLETED")
    assert "no log yet: job 12 is COMPLETED" in str(asrlab("logs", queued.name).exception)
    for rank in (0, 1):
        (queued.submitit / f"12_{rank}_log.out").write_text(f"of rank {rank}\n")
    (queued.submitit / "12_submission.sh").write_text("script\n")
    assert asrlab("logs", queued.name).stdout == "of rank 0\n"
    assert asrlab("logs", queued.name, "--rank", "1", "--follow").stdout == "of rank 1\n"
    assert "no log of rank 2; there are: 0, 1" in str(asrlab("logs", queued.name, "--rank", "2").exception)


def test_a_run_of_this_very_terminal_has_no_log(recipe: Write) -> None:
    run = create_run(load_recipe(recipe()), runs_root())
    assert "prints where it was started" in str(asrlab("logs", run.name).exception)


POISON = b"cos\nsystem\n(S'touch %s'\ntR."


def test_no_command_reads_a_pickle_of_submitit(
    queued: RunDirectory, slurm: Callable[..., Path], tmp_path: Path
) -> None:
    import pickle

    mark = tmp_path / "poisoned"
    for name in ("12_submitted.pkl", "12_0_result.pkl"):
        (queued.submitit / name).write_bytes(POISON % str(mark).encode())
    slurm(squeue=":", scontrol="echo JobState=FAILED ExitCode=1:0 NodeList=n1")
    (queued.submitit / "12_0_log.out").write_text("log\n")
    for words in (("watch",), ("logs",), ("cancel",)):
        asrlab(*words, queued.name)
    asrlab("runs")
    asrlab("run", str(queued.recipe_file), "--dry-run")
    assert not mark.exists()
    pickle.loads((queued.submitit / "12_0_result.pkl").read_bytes())  # it is one that would be noticed
    assert mark.exists()


def test_a_machine_without_slurm_shows_the_script_and_says_what_it_lacks(
    recipe: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    launch = 'launch={type="slurm", gpus_per_node=1, cpus_per_task=3, mem_gb=1.5, partition="a,b", exclude="n[1-2]", '
    launch += 'constraint="a100|h100", setup=["module load x"], sbatch={exclusive=true, mail-type="END"}}'
    words = ("run", str(recipe()), "--set", launch)
    shown = asrlab(*words, "--dry-run")
    assert shown.exit_code == 0, shown.exception
    script = shown.stdout
    for line in (
        "#SBATCH --cpus-per-task=3", "#SBATCH --mem=1536M", "#SBATCH --partition=a,b", "#SBATCH --exclusive",
        "#SBATCH --constraint='a100|h100'", "#SBATCH --mail-type=END", "#SBATCH --requeue", "#SBATCH --signal=USR2@120",
        "#SBATCH --gpus-per-node=1", "#SBATCH --ntasks-per-node=1", "#SBATCH --exclude='n[1-2]'", "module load x",
        "export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK", "export PYTHONSAFEPATH=1",
    ):  # fmt: skip
        assert line in script.splitlines(), line
    main = next(line for line in script.splitlines() if "submitit.core._submit" in line)
    assert "--kill-on-bad-exit=1" in main
    assert f"{os.environ['ASRLAB_DATA']}/tones" in script
    assert not runs_root().exists()
    refused = asrlab(*words).exception
    assert isinstance(refused, LabError)
    assert "needs sbatch, which this machine does not have" in str(refused)
    requeues = asrlab(*words, "--set", "launch.sbatch={no-requeue=true}", "--dry-run").stdout
    assert "--no-requeue" in requeues
    assert "--requeue" not in requeues.replace("--no-requeue", "")


def test_a_dry_run_of_other_launches_says_where_they_train(recipe: Write) -> None:
    inline = asrlab("run", str(recipe()), "--dry-run").stdout
    assert "in this very process" in inline
    local = asrlab("run", str(recipe()), "--dry-run", "--set", 'launch={type="local", timeout_min=5}').stdout
    assert "in 1 process on this machine, ended after 5 min" in local
    assert f"{sys.executable} -u -m submitit.core._submit" in local
    assert not runs_root().exists()


def test_gone_is_no_state_of_slurm() -> None:
    assert not JobState(GONE).is_alive
