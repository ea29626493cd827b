"""What strategies of several processes have in common: shares of a step, its numbers, and its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from asr_lab.data.utterance import BadCut
from asr_lab.training.parallel.shards import gathered
from asr_lab.training.parallel.strategy import SharedStep, Strategy, num_read, padded_share
from asr_lab.training.state import Snapshot

if TYPE_CHECKING:
    from asr_lab.training.forward_backward import TrainingStep


class Several(Strategy):
    """Each process takes as many microbatches of a step as any other; what is left to say is how gradients meet."""

    def share(self, step: TrainingStep) -> SharedStep:
        read = num_read(step.batches)
        own = [step.num_samples, read, step.num_tokens, step.num_utterances, len(step.batches), len(step.bad)]
        totals = self.group.sum(torch.tensor(own), "the step's data")
        num_samples, read, num_tokens, num_utterances, num_microbatches, num_bad = totals.tolist()
        missing = step.rounds - len(step.batches)
        return SharedStep(
            (*step.batches, *[None] * missing),
            (*step.places, *[0] * missing),
            num_samples / step.sample_rate,
            padded_share(num_samples, read),
            num_tokens,
            num_utterances,
            num_microbatches,
            self._all_bad(step.bad) if num_bad else (),
            step.sample_rate,
        )

    def gathered(self, snapshot: Snapshot) -> Snapshot | None:
        is_kept = self.group.world.is_first
        with self.group.collective("gathering the state"):
            tensors = {part: gathered(some, is_kept) for part, some in snapshot.tensors.items()}
        return Snapshot(tensors, snapshot.numbers) if is_kept else None

    def norm(self, gradients: Sequence[Tensor]) -> Tensor:
        with self.group.collective("the gradient's norm"):
            return super().norm(gradients)

    def _all_bad(self, own: Sequence[BadCut]) -> tuple[BadCut, ...]:
        found = self.group.gather([list(cut) for cut in own], "the step's unusable utterances")
        return tuple(BadCut(*cut) for cuts in found for cut in cuts)

    def sum(self, values: Tensor, what: str) -> Tensor:
        return self.group.sum(values, what)

    def agree(self, stop: int, seconds: float, what: str) -> tuple[int, float]:
        world = self.group.world
        words = torch.zeros(world.size + 1, dtype=torch.float64)
        words[world.rank] = stop
        words[-1] = seconds * world.is_first
        *stops, first = self.group.sum(words, what).tolist()
        return int(max(stops)), first
