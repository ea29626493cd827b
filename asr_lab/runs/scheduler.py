"""What SLURM says of a job: asked of squeue, then of scontrol, then of sacct, which many clusters lack.

squeue knows jobs that wait or run, scontrol those that ended minutes ago too, sacct all, where there is accounting.
Forms and states: the manual pages of squeue, scontrol and sacct, SLURM 22.05 to 25.05, and its page of job state codes.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Sequence
from typing import NamedTuple

import attrs

from asr_lab.errors import RunError

ASK_S = 20.0
"""Seconds that a scheduler may take to answer."""
ENDS = frozenset({
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED",
    "TIMEOUT",
})  # fmt: skip
"""States that a job does not come back from; any other is one of a job that waits or runs."""
WAITS = frozenset({
    "CONFIGURING", "LAUNCH_FAILED", "PENDING", "POWER_UP_NODE", "RECONFIG_FAIL", "REQUEUED", "REQUEUE_FED",
    "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT",
})  # fmt: skip
"""States of a job that has no processes yet."""
HELD = frozenset({"REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"})
"""States of a job that waits until it is released."""
GONE = "GONE"
"""No command knows the job any more."""
_NOTHING = ("", "None", "N/A", "Unknown", "(null)")
_IN_THE_WORD = ("DeadLine", "NodeDown", "NonZeroExitCode", "OutOfMemory", "TimeLimit")
"""Reasons of ended jobs that add nothing to their state; with a signal's, `RaisedSignal:9(Killed)`, the exit tells."""
_UNKNOWN_JOB = "Invalid job id specified"
"""What squeue and scontrol say of a job that they do not know; anything else that ends them badly is no answer."""


@attrs.frozen
class JobState:
    """One look at a job."""

    word: str
    """SLURM's own: `PENDING`, `OUT_OF_MEMORY`; `GONE` where it knows nothing of the job any more."""
    partition: str = ""
    reason: str = ""
    """Why it waits, or how it ended."""
    start: str = ""
    """When a waiting job is expected to start; "" where SLURM has no idea."""
    by: str = ""
    """The user's number that cancelled it."""
    exit: str = ""
    """Exit code and signal, as `1:0`."""
    nodes: str = ""
    ended: str = ""
    """When it ended, in this machine's time; "" where it has not, or nothing says so."""

    @property
    def is_alive(self) -> bool:
        """Whether it waits or runs."""
        return self.word not in ENDS and self.word != GONE

    @property
    def has_failed(self) -> bool:
        """Whether SLURM says how it ended, and not well."""
        return self.word in ENDS and self.word != "COMPLETED"

    @property
    def is_waiting(self) -> bool:
        """Whether it has no processes yet."""
        return self.word in WAITS

    def __str__(self) -> str:
        if self.word == GONE:
            return self.reason or "no longer known to SLURM, which keeps no accounts of ended jobs here"
        if self.is_waiting:
            where = f" in {self.partition}" if self.partition else ""
            why = f" ({self.reason})" if self.reason else ""
            held = "; it is held until: scontrol release" if self.word in HELD else ""
            start = f", expected to start {self.start}" if self.start else ""
            return f"{self.word}{where}{why}{held}{start}"
        if self.is_alive:
            return f"{self.word} on {self.nodes}" if self.nodes else self.word
        by = f" by {self.by}" if self.by else ""
        told = self._exit_in_words or ("" if self.reason in (self.word, *_IN_THE_WORD) else self.reason)
        return f"{self.word}{by}{f' ({told})' if told else ''}"

    @property
    def _exit_in_words(self) -> str:
        code, _, number = self.exit.partition(":")
        if not (code.isdecimal() and (number or "0").isdecimal()) or self.word != "FAILED":
            return ""
        by_signal = int(number or 0) or (int(code) - 128 if int(code) > 128 else 0)
        if by_signal == 9:
            return "killed by SIGKILL, as where memory runs out"
        if by_signal == 53:
            return "signal 53, as where a node cannot open the job's log"
        return f"ended by signal {by_signal}" if by_signal else f"exit code {code}" if code != "0" else ""


class Answer(NamedTuple):
    """What a command printed."""

    text: str
    is_there: bool = True
    """Whether this machine has the command."""


Ask = Callable[[Sequence[str]], Answer]


def ask(command: Sequence[str]) -> Answer:
    """Run one of SLURM's commands. RunError when it has no answer, which says nothing of any job."""
    environ = {**os.environ, "SLURM_TIME_FORMAT": "standard"}
    try:
        done = subprocess.run(command, env=environ, capture_output=True, text=True, errors="replace", timeout=ASK_S)
    except FileNotFoundError:
        return Answer("", is_there=False)
    except subprocess.TimeoutExpired as error:
        raise RunError(f"{command[0]} gives no answer within {ASK_S:g} s") from error
    if done.returncode == 0 or _UNKNOWN_JOB in done.stderr:
        return Answer(done.stdout)
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    raise RunError(f"{command[0]}: {re.sub(r'^(.*? )?(error|fatal): ', '', lines[-1])}")


def job_state(job: str, ask: Ask = ask) -> JobState:
    """The state of a job now. RunError when the scheduler does not answer."""
    return job_states([job], ask)[job]


def job_states(jobs: Sequence[str], ask: Ask = ask) -> dict[str, JobState]:
    """The states of some jobs now, with one call for all that wait or run."""
    found = {}
    if jobs:
        answer = ask(["squeue", "-h", "-r", "-o", "%i|%T|%P|%S|%N|%r", f"--jobs={','.join(jobs)}"])
        if not answer.is_there:
            return {job: JobState(GONE, reason="not to be asked for: this machine has no squeue") for job in jobs}
        found = from_squeue(answer.text)
    for job in jobs:
        if job not in found or not found[job].is_alive:  # others know how it ended
            found[job] = from_scontrol(ask(["scontrol", "show", "job", "-o", job]).text) or _of_sacct(job, ask)
    return {job: found[job] for job in jobs}


def _of_sacct(job: str, ask: Ask) -> JobState:
    """What the accounts say of a job that the controller knows no more: it is over, whatever they say."""
    try:
        answer = ask(["sacct", "-n", "-P", "-j", job, "-o", "JobID,State,ExitCode,Partition,NodeList,End"])
    except RunError as error:
        return JobState(GONE, reason="" if "is disabled" in str(error) else f"no longer known to SLURM; {error}")
    state = from_sacct(answer.text, job) or JobState(GONE)
    if state.is_alive:
        return JobState(GONE, reason=f"no longer known to SLURM, whose accounts have it as {state.word} still")
    return state


def from_squeue(text: str) -> dict[str, JobState]:
    """Jobs by id, from lines of `%i|%T|%P|%S|%N|%r`."""
    found = {}
    for line in text.splitlines():
        parts = line.split("|", 5)
        if len(parts) == 6:
            job, word, partition, start, nodes, reason = (_value(part) for part in parts)
            found[job] = JobState(word, partition, reason, start if word in WAITS else "", nodes=nodes)
    return found


def from_scontrol(text: str) -> JobState | None:
    """The job of one line of `scontrol show job -o`; None where that holds none."""
    fields = fields_of(text)
    if "JobState" not in fields:
        return None
    word = fields["JobState"]
    start = fields.get("StartTime", "") if word in WAITS else ""
    partition, reason, code, nodes, end = (
        fields.get(key, "") for key in ("Partition", "Reason", "ExitCode", "NodeList", "EndTime")
    )
    return JobState(word, partition, reason, start, "", code, nodes, end if word in ENDS else "")


def from_sacct(text: str, job: str) -> JobState | None:
    """A job from lines of `JobID|State|ExitCode|Partition|NodeList|End`, its steps' lines included.

    Where memory ran out in a step, the job itself may only have FAILED.
    """
    whole, steps = None, []
    for line in text.splitlines():
        parts = [_value(part) for part in line.split("|")]
        if len(parts) < 3:
            continue
        word, _, by = parts[1].partition(" by ")
        word = word.rstrip("+")
        if parts[0] == job:
            partition, nodes, end, *_ = [*parts[3:], "", "", ""]
            whole = JobState(word, partition, by=by, exit=parts[2], nodes=nodes, ended=end if word in ENDS else "")
        elif parts[0].startswith(f"{job}."):
            steps.append(word)
    if whole is not None and whole.word == "FAILED" and "OUT_OF_MEMORY" in steps:
        return attrs.evolve(whole, word="OUT_OF_MEMORY")
    return whole


def fields_of(text: str) -> dict[str, str]:
    """`Key=value` pairs of a line of `scontrol show`; the first of each key, values that mean nothing as ""."""
    found: dict[str, str] = {}
    for match in re.finditer(r"(?:^|\s)([A-Za-z][A-Za-z/:_]*)=(\S*)", text):
        found.setdefault(match[1], _value(match[2]))
    return found


def is_preempted(job: str, ask: Ask = ask) -> bool:
    """Whether SLURM takes a job's nodes for another one, as against a user who cancels it."""
    return bool(fields_of(ask(["scontrol", "show", "job", "-o", job]).text).get("PreemptTime"))


def may_be_requeued(job: str, ask: Ask = ask) -> bool:
    """Whether a job can be put into the queue again."""
    return fields_of(ask(["scontrol", "show", "job", "-o", job]).text).get("Requeue") == "1"


def _value(text: str) -> str:
    value = "".join(c for c in text.strip() if c.isprintable())
    return "" if value in _NOTHING else value
