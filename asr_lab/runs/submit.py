"""Hands runs' jobs to submitit, from a process and session of its own: `python -m asr_lab.runs.submit RUN...`.

The job then outlives the terminal that asked for it, gets no Ctrl-C meant for that terminal's command, and imports
the code of the snapshot that this process runs from. Several runs become one array.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

import asr_lab
from asr_lab.compiler.inputs import data_root
from asr_lab.recipe import Recipe
from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.executors import local_executor, slurm_executor
from asr_lab.runs.job.start import FollowingJob, Job
from asr_lab.runs.jobs import SubmittedJob, boot_id
from asr_lab.runs.lock import last_attempt, process_started
from asr_lab.slots.launch import Launch
from asr_lab.slots.launch.slurm import Slurm


def submit(runs: Sequence[RunDirectory], launch: Launch, logs: Path) -> None:
    """Submit a job for each run, all launched alike, and write down in each run which it is.

    Several runs become one array; `launch.resubmit` jobs more wait to follow each.
    """
    folders, place = [str(run.path.resolve()) for run in runs], str(logs.resolve())
    logs.mkdir(parents=True, exist_ok=True)
    newest = [attempt.number if (attempt := last_attempt(run.lock)) else 0 for run in runs]
    if not isinstance(launch, Slurm):
        executor = local_executor(launch, logs)
        for run, folder, since in zip(runs, folders, newest, strict=True):
            controller = str(executor.submit(Job(), folder).job_id)
            started = process_started(int(controller)) or 0
            SubmittedJob("local", (controller,), place, since, started, boot_id()).write(run)
        return
    recipe, snapshot = runs[0].document().value, Path(asr_lab.__file__).resolve().parent.parent
    needed = [path for run in runs for path in needed_by(run.path, snapshot, recipe)]
    batch = slurm_executor(launch, runs[0].name, logs, list(dict.fromkeys(needed)), os.environ)
    first = [batch.submit(Job(), folders[0])] if len(runs) == 1 else batch.map_array(Job(), folders)
    jobs = [SubmittedJob("slurm", (str(one.job_id),), place, since) for one, since in zip(first, newest, strict=True)]
    for run, job in zip(runs, jobs, strict=True):
        job.write(run)
    flags = {**batch.parameters["additional_parameters"], "kill-on-invalid-dep": "yes"}
    for run, folder, job in zip(runs, folders, jobs, strict=True):
        chain = job.ids
        for _ in range(launch.resubmit):
            batch.update_parameters(dependency=f"afternotok:{chain[-1]}", additional_parameters=flags)
            chain = (*chain, str(batch.submit(FollowingJob(), folder).job_id))
            attrs.evolve(job, ids=chain).write(run)  # after each: what was submitted is known whatever comes


def batch_script(run: Path, snapshot: Path, recipe: Recipe, launch: Slurm, environ: Mapping[str, str]) -> str:
    """The script that `submit` hands to sbatch for a run that need not be there yet; `environ` is the job's."""
    folder = run.resolve()
    logs = RunDirectory(folder).submitit
    return slurm_executor(launch, run.name, logs, needed_by(folder, snapshot, recipe), environ).script()


def needed_by(run: Path, snapshot: Path, recipe: Recipe) -> list[Path]:
    """What every node must see: the run's directory, the code, and the data's folders and files."""
    sets = (*recipe.data.train, *recipe.data.valid, *recipe.data.test)
    places = [place for dataset in sets for place in dataset.places(data_root())]
    return list(dict.fromkeys(path.resolve() for path in (run, snapshot, *places)))


if __name__ == "__main__":
    directories = [RunDirectory(Path(word)) for word in sys.argv[1:]]
    submit(directories, directories[0].document().value.launch, directories[0].submitit)
