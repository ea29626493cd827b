"""A process of a study's pool: `python -m asr_lab.runs.study.worker RUN` does the job of `asrlab run`.

It is in a session of its own, so that the terminal's Ctrl-C reaches the study alone, which then asks its workers to
save. Where the study itself is gone, killed or not, the pipe to it ends: the worker saves and ends as well.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import asr_lab
from asr_lab.errors import LabError, RunInUse, TrainingError
from asr_lab.runs.code_snapshot import check_snapshot

IN_USE = 75
"""Exit code where another process has the run (EX_TEMPFAIL of sysexits)."""


def main(folder: str) -> int:
    """Do the job of a run; the exit code. A bug keeps its traceback."""
    threading.Thread(target=_end_with_the_study, name="study", daemon=True).start()
    try:
        check_snapshot(Path(asr_lab.__file__).resolve().parent.parent)
        from asr_lab.runs.job.entry import main as job

        return job(folder, wait_s=0.0)
    except RunInUse:
        return IN_USE
    except (LabError, TrainingError) as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 2 if isinstance(error, LabError) else 1


def _end_with_the_study() -> None:
    os.read(0, 1)  # nothing is written: it returns at the pipe's end
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
