"""Batches that do not fit into memory are halved, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from asr_lab.data.batch import Batch, BatchRow, stack
from asr_lab.recognition.bounded_batches import BoundedBatches

ERRORS = (
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    MemoryError(),
)


def batch(*lengths: int) -> Batch:
    rows = [BatchRow(np.full(n, n, dtype=np.float32), (), f"u{n}", n, f"text {n}") for n in lengths]
    return stack(rows, []).batch()


class Step:
    def __init__(self, room: int, error: Exception) -> None:
        self.room, self.error, self.tried = room, error, []

    def __call__(self, batch: Batch) -> list[float]:
        self.tried.append(tuple(batch.audio.shape))
        if batch.audio.numel() > self.room:
            raise self.error
        assert batch.audio.shape[1] == batch.audio_lengths.max()
        return [float(row[:n].sum()) for row, n in zip(batch.audio, batch.audio_lengths.tolist(), strict=True)]


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
def test_the_halves_give_what_the_whole_would(error: Exception) -> None:
    whole, room = batch(9, 8, 7, 5, 2), Step(20, error)
    found = list(BoundedBatches(room).run(whole))
    assert [one.ids for one, _ in found] == [("u9", "u8"), ("u7",), ("u5", "u2")]
    assert [n for _, values in found for n in values or ()] == [81.0, 64.0, 49.0, 25.0, 4.0]
    assert [one.texts for one, _ in found][2] == ("text 5", "text 2")
    assert room.tried[0] == (5, 9)


def test_later_batches_are_not_tried_at_a_size_that_did_not_fit() -> None:
    step = Step(20, ERRORS[0])
    bounded = BoundedBatches(step)
    list(bounded.run(batch(9, 8, 7, 5, 2)))
    before = len(step.tried)
    assert [one.ids for one, _ in bounded.run(batch(9, 6, 6, 6))] == [("u9", "u6"), ("u6", "u6")]
    assert step.tried[before:] == [(2, 9), (2, 6)]
    assert bounded.halvings == 1


def test_an_utterance_that_does_not_fit_alone_is_given_back_without_a_result() -> None:
    found = list(BoundedBatches(Step(8, ERRORS[0])).run(batch(9, 8, 3)))
    assert [(one.ids, values is None) for one, values in found] == [(("u9",), True), (("u8",), False), (("u3",), False)]


def test_other_errors_are_not_taken_for_a_want_of_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        list(BoundedBatches(Step(1, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))).run(batch(9, 8)))
