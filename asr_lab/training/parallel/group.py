"""What keeps a run's processes in step: sums and words between them, and names for what went wrong.

Numbers of a step cross by collectives; what rank 0 alone does is waited for at the store that all of them hold on to,
however long it takes. Nothing that crosses is executed: words are JSON.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import PrefixStore, Store, TCPStore

from asr_lab.errors import LabError, RunError, TrainingError
from asr_lab.training.parallel.world import World

T = TypeVar("T")

GRACE_S = 5.0
"""How long the processes that are left wait for one another's account of what failed."""
_POLL_S = 0.05
_LOST = re.compile(r"timed? ?out|connection|gloo|nccl|socket|broken pipe|closed|peer|store", re.IGNORECASE)


class FirstRankError(RunError):
    """Rank 0's error, as the other ranks get it: rank 0 itself tells it."""


class Group:
    """A process alone: what several would have to agree on is as it says. The base of those that are several."""

    world: World = World()

    def sum(self, values: Tensor, what: str) -> Tensor:
        """The values added up over all processes, in place; the same everywhere."""
        return values

    def gather(self, value: Any, what: str) -> list[Any]:
        """Every process's value, in the order of ranks; anything that JSON can hold."""
        return [value]

    def first(self, do: Callable[[], Any], what: str) -> Any:
        """What rank 0 finds when it does something; the others wait for it, and get its error where it has one."""
        return do()

    def in_turn(self, do: Callable[[], T], what: str) -> T:
        """What each process finds when it does something, rank 0 before all others: its files are there for them."""
        found: list[T] = []
        self.first(lambda: found.append(do()), what)
        return found[0] if found else do()

    @contextlib.contextmanager
    def collective(self, what: str) -> Iterator[None]:
        """Around code that waits for other processes: a failure there names them, and what was waited for."""
        yield


class DistributedGroup(Group):
    """The processes of one run, connected: `with open_group(world, …) as group`."""

    def __init__(self, world: World, store: Store, timeout_s: float) -> None:
        self.world = world
        self.store = store
        self.timeout_s = timeout_s
        self._words = 0

    def sum(self, values: Tensor, what: str) -> Tensor:
        with self.collective(what):
            dist.all_reduce(values)
        return values

    def gather(self, value: Any, what: str) -> list[Any]:
        words = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        with self.collective(what):
            sizes = torch.zeros(self.world.size, dtype=torch.int64)
            sizes[self.world.rank] = len(words)
            dist.all_reduce(sizes)
            padded = torch.zeros(int(sizes.max()), dtype=torch.uint8)
            padded[: len(words)] = words
            found = [torch.empty_like(padded) for _ in range(self.world.size)]
            dist.all_gather(found, padded)
        return [json.loads(one[:size].numpy().tobytes()) for one, size in zip(found, sizes.tolist(), strict=True)]

    def first(self, do: Callable[[], Any], what: str) -> Any:
        self._words += 1
        key = f"first/{self._words}"
        if self.world.is_first:
            try:
                value = do()
            except (LabError, TrainingError) as error:
                self._set(key, {"error": str(error)})
                raise
            self._set(key, {"value": value})
            return value
        found = self._wait(key, what)
        if "error" in found:
            raise FirstRankError(f"rank 0, {what}: {found['error']}")
        return found["value"]

    @contextlib.contextmanager
    def collective(self, what: str) -> Iterator[None]:
        try:
            yield
        except (LabError, TrainingError):
            raise
        except (RuntimeError, ConnectionError) as error:
            if not isinstance(error, dist.DistError) and not _LOST.search(str(error)):
                raise
            raise TrainingError(self._account(what, str(error))) from error

    def tell(self, error: BaseException) -> None:
        """Leave word of what ends this process, for those that will miss it."""
        with contextlib.suppress(Exception):
            self._set(f"ended/{self.world.rank}", {"host": socket.gethostname(), "error": f"{error}"[:2000]})

    def leave(self) -> None:
        """Say that this process needs the store no more; rank 0, which may hold it, goes last if it can."""
        with contextlib.suppress(RuntimeError, dist.DistError):
            self.store.set(f"left/{self.world.rank}", "")
            others = [f"left/{rank}" for rank in range(1, self.world.size)]
            deadline = time.monotonic() + GRACE_S
            while self.world.is_first and not self.store.check(others) and time.monotonic() < deadline:
                time.sleep(_POLL_S)

    def outstay(self) -> None:
        """After a failure: stay until rank 0 has gone, since launchers end all ranks when the first one ends badly.

        It finds out at its next collective, which fails at once now, and writes down what happened.
        """
        deadline = time.monotonic() + self.timeout_s
        with contextlib.suppress(RuntimeError, dist.DistError):
            while not self.world.is_first and time.monotonic() < deadline and not self.store.check(["left/0"]):
                time.sleep(_POLL_S)

    def _account(self, what: str, error: str) -> str:
        """What is known of a collective that failed: the ranks that ended before it, or did not come to it."""
        rank, others = self.world.rank, [r for r in range(self.world.size) if r != self.world.rank]
        with contextlib.suppress(Exception):
            self._set(f"failed/{rank}", {"what": what})
        ended: list[str] = []
        missing = others
        deadline = time.monotonic() + GRACE_S
        while missing and not ended and time.monotonic() < deadline:
            ended = [
                f"rank {r} ended: {word['error']} ({word['host']})" for r in others if (word := self._get(f"ended/{r}"))
            ]
            missing = [r for r in others if self._get(f"failed/{r}") is None]
            time.sleep(_POLL_S)
        if ended:
            return f"{what}: {'; '.join(ended)}"
        names = ", ".join(map(str, missing))
        who = f"no word from rank {names}" if missing else "every rank waited in vain"
        return f"{what}: {who} (rank {rank} waited, parallel.timeout_s = {self.timeout_s:g}): {error.splitlines()[0]}"

    def _wait(self, key: str, what: str) -> dict[str, Any]:
        poll_s = _POLL_S
        while True:
            try:
                self.store.check([key])
            except (RuntimeError, dist.DistError) as error:
                raise TrainingError(f"{what}: rank 0 is gone, or its machine is: {error}") from error
            if (word := self._get(key)) is not None:
                return word
            if (word := self._get("ended/0")) is not None:
                raise FirstRankError(f"rank 0, {what}: {word['error']}")
            time.sleep(poll_s)
            poll_s = min(10 * _POLL_S, 1.1 * poll_s)

    def _set(self, key: str, value: dict[str, Any]) -> None:
        self.store.set(key, json.dumps(value))

    def _get(self, key: str) -> dict[str, Any] | None:
        try:
            return dict(json.loads(self.store.get(key))) if self.store.check([key]) else None
        except (RuntimeError, dist.DistError):
            return None  # the store went with rank 0


@contextlib.contextmanager
def open_group(world: World, device: torch.device, timeout_s: float) -> Iterator[Group]:
    """The group of a world: connected over gloo, and NCCL for tensors on GPUs; closed at the end.

    RunError where not all processes come within `timeout_s` seconds, or the port to meet at is taken.
    """
    if world.size == 1:
        yield Group()
        return
    store = _meet(world, timeout_s)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    timeout = datetime.timedelta(seconds=timeout_s)
    dist.init_process_group(backend, store=store, rank=world.rank, world_size=world.size, timeout=timeout)
    group = DistributedGroup(world, store, timeout_s)
    has_failed = True
    try:
        yield group
        has_failed = False
    except BaseException as error:
        group.tell(error)
        raise
    finally:
        group.leave()
        dist.destroy_process_group()
        if has_failed:
            group.outstay()


def _meet(world: World, timeout_s: float) -> Store:
    """The store at which all processes of a world have come together."""
    agents = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"  # torchrun holds the store itself
    timeout = datetime.timedelta(seconds=timeout_s)
    try:
        store: Store = TCPStore(world.host, world.port, world.size, world.is_first and not agents, timeout, not agents)
    except (RuntimeError, dist.DistError) as error:
        if "EADDRINUSE" in str(error) or "in use" in str(error):
            raise RunError(
                f"port {world.port} of {world.host}, where the processes are to meet, is taken: set MASTER_PORT"
            ) from error
        raise RunError(
            f"the {world.size} processes did not all come to {world.host}:{world.port} within {timeout_s:g} s "
            f"(parallel.timeout_s): {str(error).splitlines()[0]}"
        ) from error
    name = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return PrefixStore(f"asr_lab/{name}", store)
