"""Processes that read microbatches ahead, in order; what they give does not depend on how many there are."""

from __future__ import annotations

import atexit
import ctypes
import importlib
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from asr_lab.errors import TrainingError

T = TypeVar("T")

READ_AHEAD = 4
"""Items that each process may have ready."""
IMPORTED_LATE = ("scipy.fft", "scipy.signal", "soundfile")
PR_SET_PDEATHSIG = 1


def read_ahead(read: Callable[[int], T], items: Iterable[int], num_workers: int) -> Iterator[T]:
    """`read(item)` for each item, in order; 0 workers read in this process.

    The workers are forked, so `read` need not be picklable, but what it gives must be (numpy arrays, not tensors:
    those would go through /dev/shm). They end when this process does, however it ends. What `read` raises is
    raised here; TrainingError when a worker was killed.
    """
    if not num_workers:
        yield from map(read, items)
        return
    # What reading imports late is imported here, once: else each epoch's fresh workers would do it, for seconds each.
    for name in IMPORTED_LATE:
        importlib.import_module(name)
    from torch.utils.data import DataLoader

    loader: DataLoader[T] = DataLoader(
        _Readable(read),  # type: ignore[arg-type]
        sampler=items,
        batch_size=None,
        num_workers=num_workers,
        collate_fn=_as_it_is,
        prefetch_factor=READ_AHEAD,
        multiprocessing_context="fork",
        worker_init_fn=_Start(os.getpid()),
    )
    iterator = iter(loader)
    # Workers leave SIGTERM to the parent, so Python's own end, which sends it and waits, would never come while a
    # traceback still holds the iterator: it is ended by name, here or at exit.
    end = iterator._shutdown_workers  # type: ignore[attr-defined]
    atexit.register(end)
    try:
        yield from iterator
    except RuntimeError as error:
        if "exited unexpectedly" in str(error) or "is killed by signal" in str(error):
            raise TrainingError(f"a process that reads audio was killed, perhaps for memory: {error}") from error
        raise
    finally:
        end()
        atexit.unregister(end)


def die_with(parent: int) -> None:
    """End this process when its parent does, however that ends; at once where it has ended already."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


class _Readable(Generic[T]):
    """What DataLoader calls a map-style dataset."""

    def __init__(self, read: Callable[[int], T]) -> None:
        self._read = read

    def __getitem__(self, item: int) -> T:
        return self._read(item)


class _Start:
    """A worker's first act: to die with its parent, and to leave signals to it."""

    def __init__(self, parent: int) -> None:
        self._parent = parent

    def __call__(self, worker: int) -> None:
        die_with(self._parent)
        # Ctrl-C and a scheduler's warnings reach the whole process group; only the parent knows what to do.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)


def _as_it_is(item: Any) -> Any:
    return item
