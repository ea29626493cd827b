"""Training at level `cross_hardware`: threads and the cut into microbatches leave no trace; the probe is known."""

from __future__ import annotations

from itertools import islice
from typing import Any

import attrs
import pytest
import torch

from asr_lab.data.batch import Batch
from asr_lab.training.arithmetic import Arithmetic, arithmetic_of
from asr_lab.training.cross_hardware.fused_twin import TwinProducts
from asr_lab.training.cross_hardware.probe import KNOWN, probe
from asr_lab.training.determinism import apply_determinism

TWIN = Arithmetic("cross_hardware", TwinProducts())


class Recut:
    """The steps of other data, each cut into one microbatch per utterance."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def num_steps(self, epoch: int) -> int:
        return int(self.data.num_steps(epoch))

    def steps(self, epoch: int, start_step: int = 0) -> Any:
        for step in self.data.steps(epoch, start_step):
            batches = tuple(one for batch in step.batches for one in batch.utterances())
            yield attrs.evolve(step, batches=batches, places=tuple(range(len(batches))))


def test_neither_the_cut_into_microbatches_nor_threads_change_a_bit(lab: Any) -> None:
    found = []
    for recut, threads in ((False, 1), (True, 1), (False, 3)):
        data = lab.data(microbatches=1, rows=3, steps=2)
        torch.set_num_threads(threads)
        try:
            learner = lab.learner(data=Recut(data) if recut else data, arithmetic=TWIN)
            losses = [report.loss for report in islice(learner.steps(), 2)]
        finally:
            torch.set_num_threads(1)
        found.append((losses, learner.fingerprint()))
    assert found[0] == found[1] == found[2]


def test_in_fast_arithmetic_the_cut_shows(lab: Any) -> None:
    data = lab.data(microbatches=1, rows=3, steps=2)
    learners = [lab.learner(data=one) for one in (data, Recut(data))]
    for learner in learners:
        list(islice(learner.steps(), 2))
    assert learners[0].fingerprint() != learners[1].fingerprint()


def test_utterances_of_a_batch_stand_alone_and_without_padding(lab: Any) -> None:
    batch: Batch = lab.data().batch(0, 0, 0)
    for row, one in enumerate(batch.utterances()):
        length, count = int(batch.audio_lengths[row]), int(batch.targets.lengths[row])
        assert torch.equal(one.audio, batch.audio[row : row + 1, :length])
        assert torch.equal(one.targets.tokens, batch.targets.tokens[row : row + 1, :count])
        assert (one.ids, one.keys) == (batch.ids[row : row + 1], batch.keys[row : row + 1])


def test_the_probe_gives_what_every_machine_gives() -> None:
    assert probe(TWIN, torch.device("cpu")) == KNOWN


def test_another_arithmetic_than_everywhere_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asr_lab.training.determinism.KNOWN", "0" * 64)
    try:
        with pytest.raises(Exception, match="same_as_elsewhere"):
            apply_determinism(TWIN, torch.device("cpu"))
    finally:
        apply_determinism(arithmetic_of("seeded"), torch.device("cpu"))
