"""Jobs in processes forked from a server that has torch loaded, and whether two runs ended with the same bits."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import attrs

from asr_lab.compiler.load import load_recipe
from asr_lab.runs.directory import RunDirectory, runs_root
from asr_lab.runs.dispatch import prepare, write_request
from asr_lab.runs.status import status_of
from asr_lab.training.checkpoint import read
from asr_lab.training.metrics import read_metrics
from asr_lab.training.state import fingerprint
from asr_lab.training.store import CheckpointStore

PRELOADED = [
    "asr_lab.audio.augmentation.noise",
    "asr_lab.audio.augmentation.spec_augment",
    "asr_lab.audio.features.log_mel",
    "asr_lab.commands.result",
    "asr_lab.compiler.build",
    "asr_lab.evaluation.plots",
    "asr_lab.evaluation.report",
    "asr_lab.nn.blocks",
    "asr_lab.recognition.transcribe_set",
    "asr_lab.runs.job.entry",
    "asr_lab.training.determinism",
    "asr_lab.training.store",
    "cli.main",
    "cli.result",
    "matplotlib.backends.backend_svg",
    "matplotlib.figure",
    "rapidfuzz.distance",
    "scipy.stats",
    "torch._dynamo",
    "torch._inductor.test_operators",
]
"""What a run loads: its processes take a second each."""
TIMES = ("step_s", "audio_s_per_s", "time_data", "time_forward", "time_backward", "time_optimizer")


def work(folder: str) -> None:
    """A process of its own: the job, its output aside."""
    output = os.open(Path(folder) / "output.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    from asr_lab.runs.job.entry import main

    os._exit(main(folder))


def start(run: RunDirectory) -> Any:
    """The job in a process forked from a clean one that has torch loaded already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=work, args=(str(run.path),))
    process.start()
    return process


def finish(run: RunDirectory) -> None:
    process = start(run)
    process.join()
    assert process.exitcode == 0, (run.path / "output.log").read_text()


def new_run(recipe: Path, again: bool = False) -> RunDirectory:
    document = load_recipe(recipe)
    prepared = prepare(document, runs_root(), again=again)
    write_request(prepared, document, accept_changes=False)
    return prepared.run


def digests(run: RunDirectory) -> dict[str, str]:
    """SHA-256 of everything that decides how the run would go on, and of what it ends with."""
    store = CheckpointStore(run.checkpoints)
    newest, best = store.newest(), store.best()
    assert newest is not None
    assert best is not None
    snapshot = newest[1]
    found = {}
    for part, tensors in snapshot.tensors.items():
        found[part] = fingerprint(attrs.evolve(snapshot, tensors={part: tensors}, numbers={}))
    cursor = {**snapshot.numbers, "progress": {**snapshot.numbers["progress"], "wall_s": 0}}
    found["cursor"] = hashlib.sha256(json.dumps(cursor, sort_keys=True).encode()).hexdigest()
    found["best"] = fingerprint(attrs.evolve(read(best.folder), numbers={"step": best.step, "rank": best.rank}))
    steps = [{k: v for k, v in record.items() if k not in TIMES} for record in read_metrics(run.metrics_file)]
    found["metrics"] = hashlib.sha256(json.dumps(steps).encode()).hexdigest()
    found["hypotheses"] = hashlib.sha256((run.eval / "test.jsonl").read_bytes()).hexdigest()
    return found


def assert_same_bits(killed: RunDirectory, whole: RunDirectory) -> None:
    found, wanted = digests(killed), digests(whole)
    assert set(wanted) >= {"model", "optimizer", "average", "rng", "cursor"}
    for part, digest in wanted.items():
        print(f"{part:>10}  {digest[:32]}  {'equal' if found[part] == digest else 'DIFFERS'}")
    assert found == wanted
    assert len(list(read_metrics(whole.metrics_file))) == status_of(whole).step
