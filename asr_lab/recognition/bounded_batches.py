"""Batches that fit into memory: one that does not is halved, and those after it are no larger."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import torch

from asr_lab.data.batch import Batch

T = TypeVar("T")

MESSAGES = ("out of memory", "can't allocate memory", "not enough memory")
"""What torch says where it raises no error of its own kind."""


class BoundedBatches(Generic[T]):
    """Runs a step on batches; what it finds out about memory holds for later ones."""

    def __init__(self, step: Callable[[Batch], T]) -> None:
        self._step = step
        self.max_samples: int | None = None
        """Samples of audio, padding included, that have not been too many; None = no batch was."""
        self.halvings = 0

    def run(self, batch: Batch) -> Iterator[tuple[Batch, T | None]]:
        """The step's results over parts of a batch, in its order; None for an utterance that does not fit alone."""
        rows, samples = batch.audio.shape
        if rows > 1 and self.max_samples is not None and rows * samples > self.max_samples:
            yield from self._halves(batch)
        elif (found := self._tried(batch)) is not None:
            yield batch, found[0]
        elif rows > 1:
            self.max_samples, self.halvings = rows * samples // 2, self.halvings + 1
            yield from self._halves(batch)
        else:
            yield batch, None

    def _halves(self, batch: Batch) -> Iterator[tuple[Batch, T | None]]:
        half = (len(batch.ids) + 1) // 2
        for part in (part_of(batch, 0, half), part_of(batch, half, len(batch.ids))):
            yield from self.run(part)

    def _tried(self, batch: Batch) -> tuple[T] | None:
        try:
            return (self._step(batch),)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            is_memory = not isinstance(error, RuntimeError) or isinstance(error, torch.OutOfMemoryError)
            if not is_memory and not any(words in str(error) for words in MESSAGES):
                raise
        gc.collect()  # the failed step's frames hold its tensors
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return None


def part_of(batch: Batch, first: int, last: int) -> Batch:
    """Some rows of a batch, as wide as the longest of them."""
    lengths = batch.audio_lengths[first:last]
    audio = batch.audio[first:last, : int(lengths.max())]
    targets = batch.targets.each(lambda one: one[first:last])
    names = (batch.ids[first:last], batch.keys[first:last], batch.texts[first:last])
    return Batch(audio, lengths, targets, *names)
