"""Steps of a shipped recipe's learner over noise, on the processor and on the pretended GPU.

As a program, `pretended_steps.py RECIPE MICROBATCHES KEY=VALUE…`, it prints them as JSON: a process must pretend before
its first backward pass, which counts the devices once, and belongs to no other test.
"""

from __future__ import annotations

import copy
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from pretended_gpu import OnGpu, PretendedGpu
from without_driver import let_autograd_run

from asr_lab.audio.augmentation import Augmentations
from asr_lab.compiler.build import seeded_model
from asr_lab.compiler.load import load_recipe
from asr_lab.data.batch import Batch
from asr_lab.data.training_data import Step
from asr_lab.models.decode_options import DecodeOptions
from asr_lab.nn.decoder import Targets
from asr_lab.recipe import Recipe
from asr_lab.training.learner import Learner
from asr_lab.training.limits import Limits

VOCAB = 64
ROWS = 3


class Noise:
    """Training data without end: every step has `microbatches` of ragged rows of noise, the longest `seconds` long."""

    def __init__(self, seconds: float, rate: int, microbatches: int = 1) -> None:
        generator = torch.Generator().manual_seed(0)
        samples = int(seconds * rate)
        lengths = torch.tensor([int(samples * (1 - 0.07 * row)) for row in range(ROWS)])
        audio = 0.1 * torch.randn(ROWS, samples, generator=generator)
        audio *= torch.arange(samples) < lengths[:, None]
        counts = torch.tensor([5 + row % 3 for row in range(ROWS)])
        tokens = torch.randint(2, VOCAB, (ROWS, int(counts.max())), generator=generator)
        ids = tuple(f"noise-{row}" for row in range(ROWS))
        self.batch = Batch(audio, lengths, Targets(tokens, counts), ids, tuple(range(ROWS)), ids)
        self.step = Step(
            batches=(self.batch,) * microbatches,
            places=tuple(range(microbatches)),
            rounds=microbatches,
            num_samples=microbatches * int(lengths.sum()),
            sample_rate=rate,
            num_tokens=microbatches * int(counts.sum()),
            num_utterances=microbatches * ROWS,
            bad=(),
        )

    def num_steps(self, epoch: int) -> int:
        return 1_000_000

    def steps(self, epoch: int, start_step: int = 0) -> Iterator[Step]:
        while True:
            yield self.step


class Counted(NamedTuple):
    """What a step, or a decoded batch, costs on the pretended GPU."""

    kernels: int
    by_operator: dict[str, int]
    by_line: dict[str, int]
    waits: dict[str, int]
    uploads: dict[str, int]
    float64: dict[str, int]
    unrepeatable: dict[str, int]


class Tried(NamedTuple):
    """Steps on both devices."""

    losses_on_cpu: list[float]
    losses_on_gpu: list[float]
    step: Counted
    """The last one."""
    decoding: dict[str, Counted]
    """A batch of three utterances, by decoder and beam."""


def try_steps(
    recipe_file: Path, overrides: Sequence[str], steps: int = 2, microbatches: int = 1, decoded_s: float = 0.6
) -> Tried:
    """Train a few steps on the processor and on the pretended GPU, from the same weights, then decode there."""
    recipe = load_recipe(recipe_file, list(overrides)).value
    data = Noise(3.0, recipe.features.sample_rate, microbatches)
    on_cpu = _learner("cpu", recipe, data).steps()
    wanted = [next(on_cpu).loss for _ in range(steps)]
    with PretendedGpu() as gpu:
        learner = _learner("cuda", recipe, data)
        reports, found = learner.steps(), []
        for _ in range(steps):
            gpu.forget()
            found.append(next(reports).loss)
        step = _counted(gpu)
        decoding = _decode(gpu, learner, Noise(decoded_s, recipe.features.sample_rate))
        _save_and_load(learner)
    return Tried(wanted, found, step, decoding)


def _learner(device: str, recipe: Recipe, data: Noise) -> Learner:
    """As `compiler.build` makes it."""
    model = seeded_model(recipe, VOCAB).to(device)
    precision = recipe.precision.build()
    precision.convert(model)
    return Learner(
        model,
        recipe.features.build().to(device),
        data,
        recipe.optimizer.build(model),
        recipe.schedule.build(1000),
        precision,
        [Augmentations([a.build(Path()) for a in recipe.augment])],
        seed=recipe.seed,
        limits=Limits(max_epochs=1),
        clip_norm=recipe.optimizer.clip_norm,
        average_decay=recipe.train.average_decay,
    )


@torch.no_grad()
def _decode(gpu: PretendedGpu, learner: Learner, data: Noise) -> dict[str, Counted]:
    model = learner.averaged()
    frames = learner._forward_backward.frames(data.batch)
    kinds = list(model.head_by_kind)
    wanted = [DecodeOptions(decoder=kind, beam=beam) for kind in kinds for beam in (1, 3)]
    if len(kinds) > 1:
        wanted += [DecodeOptions(decoder=kind, beam=3) for kind in ("joint", "rescoring")]
    found = {}
    for options in wanted:
        gpu.forget()
        model.search(frames, options, model.contexts[0][0])
        found[f"{options.decoder}, beam {options.beam}"] = _counted(gpu)
    return found


def _save_and_load(learner: Learner) -> None:
    snapshot = learner.snapshot()
    tensors = {
        part: {name: t.cpu() if isinstance(t, OnGpu) else t for name, t in held.items()}
        for part, held in snapshot.tensors.items()
    }
    learner.restore(type(snapshot)(tensors, snapshot.numbers))


def main() -> None:
    let_autograd_run()
    torch.set_num_threads(1)
    recipe_file, microbatches, *overrides = sys.argv[1:]
    found = try_steps(Path(recipe_file), overrides, microbatches=int(microbatches))
    decoding = {name: one._asdict() for name, one in found.decoding.items()}
    print(json.dumps(found._asdict() | {"step": found.step._asdict(), "decoding": decoding}), flush=True)
    os._exit(0)  # what was replaced in torch is gone before torch is


def _counted(gpu: PretendedGpu) -> Counted:
    kept = (gpu.kernels, gpu.kernels_by_line, gpu.waits, gpu.uploads, gpu.float64, gpu.unrepeatable)
    return Counted(gpu.kernels.total(), *(dict(copy.copy(counter).most_common()) for counter in kept))


if __name__ == "__main__":
    main()
