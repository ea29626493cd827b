"""Hands a job to submitit, from a process and session of its own: `python -m asr_lab.runs.submit RUN TIMEOUT_MIN`.

The job then outlives the terminal that asked for it, gets no Ctrl-C meant for that terminal's command, and imports
the code of the snapshot that this process runs from.
"""

from __future__ import annotations

import sys
from pathlib import Path

from asr_lab.files import write_text
from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.job.entry import main as job

SIGNAL_DELAY_S = 120
"""Seconds before the time limit at which the job is told to save."""


def submit(run: RunDirectory, timeout_min: int) -> str:
    """Start the job on this machine; give its id, the pid of its controller."""
    import submitit

    executor = submitit.LocalExecutor(folder=run.submitit)
    executor.update_parameters(
        timeout_min=timeout_min,
        signal_delay_s=min(SIGNAL_DELAY_S, 30 * timeout_min),
        gpus_per_node=1 if any(Path("/dev").glob("nvidia[0-9]*")) else 0,
        visible_gpus=_visible_gpus(),
    )
    return str(executor.submit(job, str(run.path.resolve())).job_id)


def _visible_gpus() -> tuple[int, ...]:
    import os

    listed = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return tuple(int(n) for n in listed.split(",") if n.strip().isdigit())


if __name__ == "__main__":
    directory = RunDirectory(Path(sys.argv[1]))
    write_text(directory.submitit / "job", submit(directory, int(sys.argv[2])))
