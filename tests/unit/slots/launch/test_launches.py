"""Where processes live: how many there are, and what sbatch is never given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from asr_lab.config.load import loads
from asr_lab.config.section import section
from asr_lab.errors import RecipeError
from asr_lab.slots.datasets import Dataset
from asr_lab.slots.datasets.folder import Folder
from asr_lab.slots.datasets.librispeech import LibriSpeech
from asr_lab.slots.datasets.manifest import Manifest
from asr_lab.slots.datasets.synthetic import Synthetic
from asr_lab.slots.launch import Launch
from asr_lab.slots.launch.inline import Inline
from asr_lab.slots.launch.local import Local
from asr_lab.slots.launch.slurm import Slurm


@section
class Holder:
    """A recipe of one table."""

    launch: Launch


@pytest.mark.parametrize(
    ("launch", "processes"),
    [
        (Inline(), 1), (Local(), 1), (Local(gpus_per_node=2), 2), (Local(gpus_per_node=2, tasks_per_node=1), 1),
        (Local(gpus_per_node=0), 1), (Slurm(), 1), (Slurm(nodes=3), 3), (Slurm(nodes=3, gpus_per_node=8), 24),
        (Slurm(nodes=3, gpus_per_node=8, tasks_per_node=2), 6),
    ],
)  # fmt: skip
def test_processes_are_the_gpus_asked_for_unless_they_are_counted(launch: Launch, processes: int) -> None:
    assert launch.num_processes == processes


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ('partition = "a b"', "partition"),
        ('partition = "a\\nb"', "partition"),
        ('account = ""', "account"),
        ('exclude = "n[1-2] n3"', "exclude"),
        ("nodes = 0", "nodes"),
        ("gpus_per_node = -1", "gpus_per_node"),
        ("mem_gb = 0", "mem_gb"),
        ("timeout_min = 0", "timeout_min"),
        ("resubmit = -1", "resubmit"),
        ('setup = ["a\\nb"]', "setup: must hold lines"),
        ('container = " "', "container"),
        ('sbatch = { nodes = 2 }', "sbatch: must not hold 'nodes': give launch.nodes"),
        ('sbatch = { time = 2 }', "sbatch: must not hold 'time': give launch.timeout_min"),
        ('sbatch = { output = "x" }', "sbatch: must not hold 'output', which the dispatch sets"),
        ('sbatch = { array = "1-3" }', "sbatch: must not hold 'array', which the dispatch sets"),
        ('sbatch = { exclusive = false }', "sbatch: must hold texts, numbers and true (a bare flag), got False"),
        ('sbatch = { comment = ["x"] }', "sbatch: must hold texts, numbers and true"),
        ('sbatch = { "--comment x" = "y" }', "sbatch: must name flags as sbatch does"),
        ('sbatch = { Comment = "y" }', "sbatch: must name flags as sbatch does"),
        ('sbatch = { comment = "a\\n#SBATCH --x" }', "sbatch: must hold one line for 'comment'"),
    ],
)  # fmt: skip
def test_what_would_break_the_batch_script_is_refused_by_key(table: str, told: str) -> None:
    with pytest.raises(RecipeError) as caught:
        loads(f'[launch]\ntype = "slurm"\n{table}\n', Holder, "x.toml")
    assert f"launch.{told}" in str(caught.value)


def test_flags_of_their_own_are_taken_as_they_are() -> None:
    text = '[launch]\ntype = "slurm"\nsbatch = { mail-type = "END", exclusive = true, nice = 5 }\n'
    launch: Any = loads(text, Holder, "x.toml").value.launch
    assert launch.sbatch == {"mail-type": "END", "exclusive": True, "nice": 5}


@pytest.mark.parametrize(
    ("dataset", "places"),
    [
        (Folder(path="tones"), ["tones"]),
        (Folder(path="/abs/tones"), ["/abs/tones"]),
        (LibriSpeech(splits=("dev.clean", "dev-other")), ["LibriSpeech/dev-clean", "LibriSpeech/dev-other"]),
        (Manifest(path="m/cuts.jsonl", audio_root="audio"), ["m/cuts.jsonl", "audio"]),
        (Synthetic(), []),
        (Synthetic(sentences="s.txt"), ["s.txt"]),
    ],
)
def test_a_dataset_names_what_every_node_must_see(dataset: Dataset, places: list[str]) -> None:
    assert [str(p) for p in dataset.places(Path("/data"))] == [str(Path("/data") / place) for place in places]
