"""How the processes of a run share its steps: the base, which is one process."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

import attrs
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from asr_lab.data.batch import Batch
from asr_lab.data.utterance import BadCut
from asr_lab.models.model import Losses, SpeechModel
from asr_lab.nn.decoder import Targets
from asr_lab.streaming import Context, Frames
from asr_lab.training.average import WeightAverage
from asr_lab.training.ordered_norm import ordered_norm, row_sums
from asr_lab.training.parallel.group import Group
from asr_lab.training.parallel.shards import local
from asr_lab.training.state import Snapshot

if TYPE_CHECKING:
    from asr_lab.training.forward_backward import TrainingStep

IDLE_S = 1.0
"""Length of the silence that a rank without an utterance runs, so that none waits for it."""


@attrs.frozen(eq=False)
class SharedStep:
    """A rank's microbatches of a step, with the numbers of the whole step."""

    batches: tuple[Batch | None, ...]
    """None = nothing for this rank in the round: it runs silence that counts for nothing."""
    places: tuple[int, ...]
    audio_s: float
    padded: float
    """Share of the samples that is padding."""
    num_tokens: int
    num_utterances: int
    num_microbatches: int
    """Of all ranks, silence not counted."""
    bad: tuple[BadCut, ...]
    sample_rate: int

    @property
    def silence(self) -> Batch:
        """A second without speech, for a round in which this rank has none."""
        samples = round(IDLE_S * self.sample_rate)
        none = torch.zeros(1, dtype=torch.int64)
        targets = Targets(torch.zeros(1, 0, dtype=torch.int64), none, none)  # told: a rank alone identifies nothing
        return Batch(torch.zeros(1, samples), torch.tensor([samples]), targets, ("",), (0,), ("",))


def num_read(batches: Sequence[Batch]) -> int:
    """Samples of batches, padding included."""
    return sum(batch.audio.numel() for batch in batches)


def padded_share(num_samples: int, num_read: int) -> float:
    """Share of what is read that is padding."""
    return 1 - num_samples / num_read if num_read else 0.0


class RunningAverage(Protocol):
    """An average of the weights over the steps."""

    num_updates: int

    def update(self) -> None: ...
    def present(self) -> SpeechModel: ...
    def tensors(self) -> dict[str, Tensor]: ...


class Strategy:
    """One process on one device. Others put their own in the place of what several have to do together.

    `bitwise` asks that a step's bits depend on nothing but its microbatches: the norm is one ordered sum, and a zero
    has one sign. With `checkpoint_activations` each layer computes its activations anew on the way back.
    """

    name = "single"

    def __init__(
        self, group: Group | None = None, *, bitwise: bool = False, checkpoint_activations: bool = False
    ) -> None:
        self.group = group or Group()
        self.bitwise = bitwise
        self.checkpoint_activations = checkpoint_activations
        self._module: nn.Module | None = None

    @property
    def is_wrapped(self) -> bool:
        """Whether there is a model."""
        return self._module is not None

    def wrap(self, model: SpeechModel) -> None:
        """Make the model ready to be trained here, in place: before there is an optimizer over its weights."""
        self._forget_activations(model)
        self._module = model

    def _forget_activations(self, model: SpeechModel) -> None:
        if self.checkpoint_activations:
            for layer in model.encoder:
                assert isinstance(layer, nn.Module)
                again = functools.partial(checkpoint, layer.forward, use_reentrant=False)
                layer.forward = again  # type: ignore[method-assign]

    def losses(self, frames: Frames, targets: Targets, context: Context) -> Losses:
        """What the model's own `forward` gives, with whatever has to happen around it."""
        assert self._module is not None
        found: Losses = self._module(frames, targets, context)
        return found

    def gathered(self, snapshot: Snapshot) -> Snapshot | None:
        """A snapshot whose tensors are whole, on rank 0; None elsewhere. All ranks must ask for it together."""
        return snapshot

    def average(self, model: SpeechModel, decay: float) -> RunningAverage:
        """An average of the model's weights, which `wrap` has seen."""
        return WeightAverage(model, decay)

    def to_decode(self, model: SpeechModel, average: RunningAverage | None) -> SpeechModel:
        """The model to decode with, whole on every rank: with averaged weights, or its own without an average."""
        return model if average is None else average.present()

    def share(self, step: TrainingStep) -> SharedStep:
        """The numbers of the whole step, beside this rank's part of it."""
        return SharedStep(
            tuple(step.batches),
            tuple(step.places),
            step.audio_s,
            padded_share(step.num_samples, num_read(step.batches)),
            step.num_tokens,
            step.num_utterances,
            len(step.batches),
            step.bad,
            step.sample_rate,
        )

    @contextlib.contextmanager
    def microbatch(self, is_last: bool, what: str) -> Iterator[None]:
        """Around forward and backward of one: gradients cross once a step, with its last."""
        yield

    def complete(self, gradients: Sequence[Tensor]) -> None:
        """After the last backward: whatever is left to do until gradients are those of the whole step."""
        if self.bitwise and gradients:
            torch._foreach_add_([local(g) for g in gradients], 0.0)  # -0 and 0 are told apart by a hash

    def sum(self, values: Tensor, what: str) -> Tensor:
        """A step's numbers, added up over the ranks."""
        return values

    def norm(self, gradients: Sequence[Tensor]) -> Tensor:
        """The length of the whole gradient, ()."""
        if self.bitwise:
            return ordered_norm([self.rows(row_sums(local(g)), g) for g in gradients])
        return nn.utils.get_total_norm(list(gradients))

    def rows(self, part: Tensor, gradient: Tensor) -> Tensor:
        """All rows of a vector, (R,), of which this rank has those of its part of a gradient."""
        return part

    def agree(self, stop: int, seconds: float, what: str) -> tuple[int, float]:
        """At a step's end: the signal that any rank was given (the largest number; 0 = none), and rank 0's clock."""
        return stop, seconds
