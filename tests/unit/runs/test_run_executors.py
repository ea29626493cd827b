"""What a node must see before a job starts, and what a container changes."""

from __future__ import annotations

import subprocess
from pathlib import Path

from asr_lab.runs.executors import VISIBLE, slurm_executor
from asr_lab.slots.launch.slurm import Slurm


def visible(program: str, *paths: Path) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": "/usr/bin:/bin", "SLURMD_NODENAME": "n7"}
    words = ["sh", "-c", VISIBLE, "visible", program, *map(str, paths)]
    return subprocess.run(words, env=environ, capture_output=True, text=True)


def test_a_node_names_what_it_lacks_a_line_each(tmp_path: Path) -> None:
    assert visible("sh", tmp_path).returncode == 0
    found = visible("/opt/no/python", tmp_path, tmp_path / "data with spaces", tmp_path / "run")
    assert found.returncode == 2
    assert found.stderr.splitlines() == [
        "n7: /opt/no/python is not there",
        f"n7: {tmp_path}/data with spaces is not there",
        f"n7: {tmp_path}/run is not there",
    ]


def test_a_container_stands_before_its_own_python_and_looks_for_itself(tmp_path: Path) -> None:
    launch = Slurm(container="apptainer exec --nv lab.sif")
    script = slurm_executor(launch, "tiny", tmp_path / "logs", [tmp_path], {}).script()
    lines = [line for line in script.splitlines() if line.startswith("srun")]
    assert " apptainer exec --nv lab.sif sh -c " in lines[0]
    assert f" visible python3 {tmp_path} || exit 2" in lines[0]
    assert " apptainer exec --nv lab.sif python3 -u -m submitit.core._submit " in lines[1]
    assert not (tmp_path / "logs").exists()
