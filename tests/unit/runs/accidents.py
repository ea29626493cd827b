"""What happens to runs: kills, races, reboots, other hosts, copies, stopped processes, clocks that jump."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable

from machines import LIMIT_S, Command, Machine, Place, wait_until

from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.events import read_events
from asr_lab.runs.lock import Owner, last_attempt
from asr_lab.runs.proofs.digests import digests
from asr_lab.runs.status import status_of

SPAN_S = 1.5
"""A kill comes within so many seconds of a start; a run takes about as long."""


def pause(place: Place, rng: random.Random, command: Command) -> None:
    """Let it come somewhere: start-up, a step, a validation, the writing of a checkpoint, scoring."""
    step = rng.choice((0, 0, 1, 2, 4, 5, 8, 9, 12))
    if step:
        wait_until(lambda: _step(place) >= step, command)
        time.sleep(rng.uniform(0, 0.1))
    else:
        time.sleep(rng.uniform(0, SPAN_S))


def _step(place: Place) -> int:
    with contextlib.suppress(OSError, IndexError, ValueError, KeyError):
        (run,) = [p.parent for p in place.root.glob("*/resolved.json") if not p.parent.name.startswith(".")]
        return int(json.loads((run / "metrics.jsonl").read_bytes().splitlines()[-1])["step"])
    return 0


def owned(place: Place, command: Command) -> bool:
    """Wait until the command has the run; False where it ended before."""
    wait_until(lambda: last_attempt(place.run.lock) is not None, command)
    return command.process.is_alive()


Accident = Callable[[Place, random.Random], None]
"""Something that befalls a run in its place; afterwards one `asrlab run` must finish it."""


def kill(place: Place, rng: random.Random) -> None:
    """The machine's memory, or an impatient user."""
    command = place.command()
    pause(place, rng, command)
    command.kill()


def several_kills(place: Place, rng: random.Random) -> None:
    """One after the other, some before the run exists."""
    for _ in range(rng.randint(2, 4)):
        kill(place, rng)


def reboot(place: Place, rng: random.Random) -> None:
    """The owner ran under an earlier boot, and today a process that lives has its number."""
    command = place.command(machine=Machine(boot="an earlier boot"))
    pause(place, rng, command)
    command.kill()
    _forge_living(place)


def other_host(place: Place, rng: random.Random) -> None:
    """The owner was killed on another machine that shares the disk."""
    command = place.command(machine=Machine(host="node-7", boot="its boot", machine="its machine"))
    pause(place, rng, command)
    command.kill()
    _forge_living(place)


def new_container(place: Place, rng: random.Random) -> None:
    """The owner ran in a container that was started anew: another name and process namespace, one kernel."""
    command = place.command(machine=Machine(host="3f2a9c", space="pid:[4026539999]"))
    pause(place, rng, command)
    command.kill()
    _forge_living(place)


def beating_elsewhere(place: Place, rng: random.Random) -> None:
    """An owner on another machine gives signs for a while after another command has begun to wait, then none."""
    command = place.command(machine=Machine(host="node-7", boot="its boot", machine="its machine"))
    if not owned(place, command):
        return
    waiting = place.command()
    pause(place, rng, command)
    command.kill()
    assert waiting.ended() == 0, waiting.printed


def stopped(place: Place, rng: random.Random) -> None:
    """The owner is stopped, another command takes its place, and the owner is let go on in the midst of it."""
    command = place.command()
    pause(place, rng, command)
    if not command.send(signal.SIGSTOP):
        return
    other = place.command()
    if rng.random() < 0.5:
        before = last_attempt(place.run.lock)
        wait_until(lambda: _number(place) > (before.number if before else 0), other)
        time.sleep(rng.uniform(0, 2))
    else:
        other.process.join(LIMIT_S)
    command.send(signal.SIGCONT)
    assert other.ended() == 0, other.printed
    command.ended()


def race(place: Place, rng: random.Random) -> None:
    """Several commands at once, on a run that is new or half done."""
    if rng.random() < 0.5:
        kill(place, rng)
    commands = []
    for _ in range(rng.randint(2, 4)):
        commands.append(place.command())
        time.sleep(rng.choice((0, 0, rng.uniform(0, 1))))
    for command in commands:
        assert command.ended() == 0, command.printed


def race_with_a_kill(place: Place, rng: random.Random) -> None:
    """Several commands at once, and the one that trains is killed: another goes on."""
    commands = [place.command() for _ in range(3)]
    if owned(place, commands[0]):
        pause(place, rng, commands[0])
        newest = last_attempt(place.run.lock)
        for command in commands:
            if newest is not None and command.process.pid == newest.owner.pid:
                command.kill()
    for command in commands:
        assert command.process.exitcode == -signal.SIGKILL or command.ended() == 0, command.printed


def signals(place: Place, rng: random.Random) -> None:
    """Asked to end: it saves, says so, and ends with 130."""
    command = place.command()
    pause(place, rng, command)
    owned(place, command)
    wait_until(lambda: place.run.events_file.exists(), command)
    command.send(rng.choice((signal.SIGTERM, signal.SIGHUP, signal.SIGINT)))
    assert command.ended() in (0, 130, -signal.SIGHUP, -signal.SIGTERM), command.printed


def copy(place: Place, rng: random.Random) -> None:
    """The directory is copied while it trains: the copy is another run, and `cancel` of it does not reach this one."""
    command = place.command()
    if not owned(place, command):
        return
    pause(place, rng, command)
    other = Place(place.recipe, place.root.with_name(f"{place.root.name}-copy"))
    for _ in range(20):  # files that vanish under the copying
        with contextlib.suppress(shutil.Error, FileNotFoundError):
            shutil.copytree(place.root, other.root, dirs_exist_ok=True)
            break
    asked = other.command("cancel", other.run.name)
    assert asked.ended() == 2, asked.printed
    assert command.ended() == 0, command.printed
    finishing = other.command()
    assert finishing.ended() == 0, finishing.printed
    wanted, found = digests(place.run), digests(other.run)
    if "metrics.jsonl knows nothing of" in finishing.printed:  # a checkpoint was copied after its record
        del wanted["metrics"], found["metrics"]
    assert found == wanted


def clock(place: Place, rng: random.Random) -> None:
    """The time of day jumps while it trains, and files bear times of another day."""
    day = 86400.0
    jump = Machine(clock_s=rng.choice((-400, -1, 1, 400)) * day, jump_s=rng.choice((-400, -0.02, 0.02, 400)) * day)
    command = place.command(machine=jump)
    pause(place, rng, command)
    command.kill()
    other = time.time() + rng.choice((-400, 1, 400)) * day
    for path in place.root.rglob("*"):
        os.utime(path, (other, other))
    listed = place.command("runs", "--json")
    assert listed.ended() == 0, listed.printed
    assert all(row["age_s"] >= 0 for row in json.loads(listed.printed)), listed.printed


def torn(place: Place, rng: random.Random) -> None:
    """Killed, and the disk lost the end of the newest checkpoint's files."""
    kill(place, rng)
    for folder in sorted(place.root.glob("*/checkpoints/step-*"))[-1:]:
        for path in folder.iterdir():
            path.write_bytes(path.read_bytes()[: rng.randrange(200)])


def without_locks(place: Place, rng: random.Random) -> None:
    """The disk is shared and knows no file locks; several commands come at once, and one is killed."""
    commands = [place.command(machine=Machine(has_locks=False)) for _ in range(2)]
    pause(place, rng, commands[0])
    commands[0].kill()
    assert commands[1].ended() == 0, commands[1].printed


ACCIDENTS: dict[str, Accident] = {
    one.__name__: one
    for one in (
        kill, several_kills, reboot, other_host, new_container, beating_elsewhere, stopped, race, race_with_a_kill,
        signals, copy, clock, torn, without_locks,
    )
}  # fmt: skip


def _number(place: Place) -> int:
    newest = last_attempt(place.run.lock)
    return newest.number if newest is not None else 0


def _forge_living(place: Place) -> None:
    """Give the lock's owner the number and start of a process that lives here: only the machine tells them apart."""
    for path in place.root.glob("*/lock/*.json"):
        me = Owner.me()
        content = json.loads(path.read_bytes()) | {"pid": me.pid, "started": me.started}
        path.write_text(json.dumps(content))


def undergo(name: str, place: Place, rng: random.Random) -> str:
    """Let it happen, finish the run by one command, and see that nothing is left of it; what was seen on the way."""
    ACCIDENTS[name](place, rng)
    last = place.command()
    code = last.ended()
    assert code == 0, f"exit {code}\n{last.printed}"
    return assert_in_order(place.run)


def assert_in_order(run: RunDirectory) -> str:
    """One owner at a time, the test set read once, nothing left over; attempts and reads."""
    events = read_events(run.events_file)
    attempts = [int(p.stem) for p in sorted(run.lock.glob("*.json"))]
    assert attempts == list(range(1, len(attempts) + 1))
    assert status_of(run).phase == "done"
    scorings = Counter(e.attempt for e in events if e.kind == "state" and e.data.get("state") == "scoring")
    done = [e for e in events if e.kind == "done"]
    # An attempt that was ended while it scored has read the set, and the record says so; each reads it once.
    assert max(scorings.values()) == 1
    assert len([e for e in done if e.attempt in scorings]) == 1, "two attempts scored the run to the end"
    assert done[0].data["reads"] == len(scorings)
    left = [p for p in run.path.parent.rglob(".*") if p.name != ".gitignore" and "code" not in p.parts]
    assert not left, left
    return f"{len(attempts)} attempts, {len(scorings)} reads"
