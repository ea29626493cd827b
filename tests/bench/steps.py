"""One whole training step: features from the waveform, SpecAugment, model, loss, clipping, optimizer."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import torch
from cases import AUDIO_S, BATCH, TOKENS
from environment import resident_mb
from peak import Products, peak_flops_per_s

from asr_lab.audio.augmentation import Augmentations
from asr_lab.compiler.build import seeded_model
from asr_lab.compiler.cost import macs
from asr_lab.compiler.load import load_recipe
from asr_lab.data.batch import Batch
from asr_lab.data.training_data import Step
from asr_lab.models.model import SpeechModel
from asr_lab.nn.decoder import Targets
from asr_lab.recipe import Recipe
from asr_lab.streaming import WHOLE, Context, Frames, run_whole
from asr_lab.training.forward_backward import TrainingSteps
from asr_lab.training.learner import Learner
from asr_lab.training.limits import Limits
from asr_lab.training.parallel.strategy import Strategy

WARM_UP_STEPS = 2


@attrs.frozen
class Trainee:
    """A model with all that a training step takes."""

    parameters: int
    step: Callable[[], object]
    macs: Callable[[], float]
    """Multiply-adds of the model's forward pass over the step's batch; run once, after the timing."""


@attrs.frozen
class StepFigures:
    """What a training step costs."""

    parameters: int
    step_s: float
    """The median."""
    steps_s: list[float]
    """Each one."""
    audio_s_per_s: float
    flops: float
    """Of the model's matrix products and convolutions, backward taken as twice forward."""
    peak_flops_per_s: float
    """Of a 2048³ product."""
    own_flops_per_s: float
    """Of the step's own matrix products, one after the other."""
    peak_mb: float
    """Resident memory at most."""


def measure(trainee: Trainee, steps: int) -> StepFigures:
    """The figures of so many steps, after some to warm up."""
    for _ in range(WARM_UP_STEPS):
        trainee.step()
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        trainee.step()
        seconds.append(time.perf_counter() - start)
    peak_mb = resident_mb(peak=True)
    median_s = statistics.median(seconds)
    with Products() as products:
        trainee.step()
    return StepFigures(
        parameters=trainee.parameters,
        step_s=median_s,
        steps_s=seconds,
        audio_s_per_s=BATCH * AUDIO_S / median_s,
        flops=2 * 3 * trainee.macs(),
        peak_flops_per_s=peak_flops_per_s(),
        own_flops_per_s=products.flops_per_s(),
        peak_mb=peak_mb,
    )


class NoiseData:
    """Training data of one step, given again and again: BATCH utterances of AUDIO_S seconds of seeded noise."""

    def __init__(self, sample_rate: int, vocab_size: int) -> None:
        generator = torch.Generator().manual_seed(0)
        audio = 0.1 * torch.randn(BATCH, AUDIO_S * sample_rate, generator=generator)
        tokens = torch.randint(2, vocab_size, (BATCH, TOKENS), generator=generator)
        ids = tuple(f"noise-{row}" for row in range(BATCH))
        targets = Targets(tokens, torch.full((BATCH,), TOKENS))
        self.sample_rate = sample_rate
        self.batch = Batch(audio, torch.full((BATCH,), audio.shape[1]), targets, ids, tuple(range(BATCH)), ids)

    def num_steps(self, epoch: int) -> int:
        """More than a benchmark takes."""
        return 1_000_000

    def steps(self, epoch: int, start_step: int = 0) -> Iterator[Step]:
        """The same each time."""
        while True:
            samples = BATCH * AUDIO_S * self.sample_rate
            yield Step((self.batch,), (0,), 1, samples, self.sample_rate, BATCH * TOKENS, BATCH, ())


def recipe_trainee(path: Path) -> Trainee:
    """A recipe's model in its learner, as a run has it, fed with noise."""
    recipe = load_recipe(path).value
    learner, data = _learner(recipe)
    reports = learner.steps()

    def step() -> None:
        report = next(reports)
        assert not report.skipped, report.cause

    def cost() -> float:
        """By context, weighted as they are drawn."""
        features = recipe.features.build()
        frames = run_whole(features, Frames.whole(data.batch.audio, data.batch.audio_lengths), WHOLE)
        counted = [_macs(learner.model, frames, data.batch.targets, c) * w for c, w in learner.model.contexts]
        return sum(counted) / sum(w for _, w in learner.model.contexts)

    return Trainee(sum(p.numel() for p in learner.model.parameters()), step, cost)


def _macs(model: SpeechModel, frames: Frames, targets: Targets, context: Context) -> int:
    return macs(lambda: model(frames, targets, context))[0]


def _learner(recipe: Recipe) -> tuple[Learner, NoiseData]:
    data = NoiseData(recipe.features.sample_rate, vocab_size(recipe))
    return learner_of(recipe, data), data


def vocab_size(recipe: Recipe) -> int:
    """Of a tokenizer that has a size before it is trained."""
    assert recipe.tokenizer.size is not None
    return recipe.tokenizer.size


def learner_of(recipe: Recipe, data: TrainingSteps, strategy: Strategy | None = None) -> Learner:
    """A recipe's learner over other data, as a run has it."""
    model = seeded_model(recipe, vocab_size(recipe))
    if strategy is not None:
        strategy.wrap(model)
    return Learner(
        model,
        recipe.features.build(),
        data,
        recipe.optimizer.build(model),
        recipe.schedule.build(1000),
        recipe.precision.build(),
        [Augmentations([a.build() for a in recipe.augment])],
        seed=recipe.seed,
        limits=Limits(max_epochs=1),
        clip_norm=recipe.optimizer.clip_norm,
        average_decay=recipe.train.average_decay,
        strategy=strategy,
    )
