"""Forward and backward through one step's microbatches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch
from torch import Tensor

from asr_lab.data.batch import Batch
from asr_lab.data.batch_features import batch_features
from asr_lab.data.utterance import BadCut
from asr_lab.models.model import Losses, SpeechModel
from asr_lab.streaming import WHOLE, Context, Frames, Streamable
from asr_lab.training import randomness
from asr_lab.training.precision import PrecisionManager
from asr_lab.training.stopwatch import Stopwatch

if TYPE_CHECKING:
    from asr_lab.training.parallel.strategy import SharedStep, Strategy


class TrainingStep(Protocol):
    """What one optimizer step trains on."""

    @property
    def batches(self) -> tuple[Batch, ...]: ...
    @property
    def places(self) -> tuple[int, ...]: ...
    @property
    def rounds(self) -> int: ...
    @property
    def num_samples(self) -> int: ...
    @property
    def sample_rate(self) -> int: ...
    @property
    def audio_s(self) -> float: ...
    @property
    def num_tokens(self) -> int: ...
    @property
    def num_utterances(self) -> int: ...
    @property
    def bad(self) -> tuple[BadCut, ...]: ...


class TrainingSteps(Protocol):
    """The training data: a fixed number of steps in each epoch, to be had from any step on."""

    def num_steps(self, epoch: int) -> int: ...
    def steps(self, epoch: int, start_step: int = 0) -> Iterator[TrainingStep]: ...


class FeatureAugmentation(Protocol):
    """A random change to features, drawn from each utterance's own key."""

    def features(self, frames: Tensor, lengths: Tensor, keys: Sequence[int]) -> Tensor: ...


class StepLosses(NamedTuple):
    """What a step's microbatches add up to, on the device."""

    rows: list[Tensor]  # per microbatch, (B,): each utterance's loss
    parts: dict[str, Tensor]  # by decoder, () float64: the order in which ranks add them does not show


class ForwardBackward:
    """From audio to gradients: features, augmentation, model and loss, then back.

    Features are computed in 32 bits outside autocast and without gradient, on the model's device. The loss of a step is
    the sum over its utterances divided by its target tokens, so cutting it into microbatches changes nothing but the
    order of sums; `one_by_one` takes each utterance alone, in the step's order, and then that neither.
    """

    def __init__(
        self,
        model: SpeechModel,
        features: Streamable[Any],
        augmentations: Sequence[FeatureAugmentation],
        precision: PrecisionManager,
        scaler: torch.amp.GradScaler | None,
        seed: int,
        strategy: Strategy,
        *,
        one_by_one: bool = False,
    ) -> None:
        self.one_by_one = one_by_one
        self.model = model
        self.strategy = strategy
        if not strategy.is_wrapped:
            strategy.wrap(model)
        self.features = features
        self.augmentations = tuple(augmentations)
        self.precision = precision
        self.scaler = scaler
        self.seed = seed
        self.device = next(model.parameters()).device

    def run(self, step: SharedStep, number: int, context: Context, watch: Stopwatch) -> StepLosses:
        """Add the gradient of step `number` to the parameters'; dropout is drawn from (seed, number, microbatch).

        A round in which this rank has nothing runs silence that counts for nothing, so that no other rank waits.
        """
        sums = StepLosses([], {})
        tokens = max(1, step.num_tokens)
        places, batches = step.places, step.batches
        if self.one_by_one:
            batches = tuple(one for batch in batches if batch is not None for one in batch.utterances())
            places = tuple(range(len(batches)))
        last = len(batches) - 1
        for index, (place, batch) in enumerate(zip(places, batches, strict=True)):
            randomness.seed_torch(self.seed, number, place, self.device)
            with self.strategy.microbatch(index == last, f"step {number + 1}: gradients"):
                losses = self.losses(step.silence if batch is None else batch, context)
                for kind, values in losses.parts.items():
                    part = values.detach().double().sum() * (batch is not None)
                    sums.parts[kind] = sums.parts[kind] + part if kind in sums.parts else part
                if batch is None:
                    loss = losses.total.sum() * 0.0
                else:
                    sums.rows.append(losses.total.detach())
                    loss = losses.total.sum() / tokens
                watch.lap("forward")
                with self.precision.rounding():
                    torch.autograd.backward(loss if self.scaler is None else self.scaler.scale(loss))
                watch.lap("backward")
        return sums

    def losses(self, batch: Batch, context: Context = WHOLE) -> Losses:
        """The training loss of each utterance, (B,); the context is in feature frames."""
        frames = self.frames(batch)
        targets = batch.targets.each(lambda one: one.to(self.device, non_blocking=True))
        with self.precision.autocast(self.device):
            return self.strategy.losses(frames, targets, context)

    @torch.no_grad()
    def frames(self, batch: Batch) -> Frames:
        """The features that the model sees, (B, T, F) float32, augmented."""
        with torch.autocast(self.device.type, enabled=False):
            frames = batch_features(self.features, batch, self.device)
            for augmentation in self.augmentations:
                frames = frames.with_x(augmentation.features(frames.x, frames.lengths, batch.keys))
        return frames
