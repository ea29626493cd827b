"""A small learner: real loop, model and loss over noise that spells something."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from asr_lab.data.batch import Batch
from asr_lab.data.training_data import Step
from asr_lab.models.model import SpeechModel
from asr_lab.nn.ctc.head import CTCHead
from asr_lab.nn.decoder import Targets
from asr_lab.streaming import WHOLE, Chain, Context, Frames, Streamable
from asr_lab.training.arithmetic import FAST, Arithmetic
from asr_lab.training.groups import parameter_groups
from asr_lab.training.learner import Learner
from asr_lab.training.limits import Limits
from asr_lab.training.precision import PrecisionManager, get_precision_manager

RATE, WINDOW, DIM, VOCAB = 1000, 50, 16, 7


class Windows(Streamable[tuple[()]]):
    """Log-energies of neighbouring samples, (B, S) to (B, S / 50, 10)."""

    def initial_state(self, batch: int, context: Context) -> tuple[()]:
        return ()

    def forward(self, state: tuple[()], chunk: Frames, context: Context) -> tuple[tuple[()], Frames]:
        x = chunk.valid().unfold(1, WINDOW, WINDOW).reshape(chunk.batch, -1, 10, 5).square().mean(-1)
        return state, Frames((x + 1e-3).log(), chunk.lengths // WINDOW, chunk.final)


class Layer(Streamable[tuple[()]]):
    """A linear layer and dropout, frame by frame; it sees its context."""

    def __init__(self, width: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(width, dim)
        self.norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def initial_state(self, batch: int, context: Context) -> tuple[()]:
        return ()

    def forward(self, state: tuple[()], chunk: Frames, context: Context) -> tuple[tuple[()], Frames]:
        y = self.norm(self.linear(chunk.valid())).relu()
        return state, chunk.with_x(self.dropout(y if context.is_whole else 0.5 * y))


class Noise:
    """Utterances of noise in which a token sets the level of each half second; steps follow from (epoch, place)."""

    def __init__(self, microbatches: int = 2, rows: int = 3, steps: int = 4, poison: tuple[int, ...] = ()) -> None:
        self.microbatches, self.rows, self.num, self.poison = microbatches, rows, steps, poison

    def num_steps(self, epoch: int) -> int:
        return self.num

    def steps(self, epoch: int, start_step: int = 0) -> Iterator[Step]:
        for place in range(start_step, self.num):
            batches = tuple(self.batch(epoch, place, m) for m in range(self.microbatches))
            samples = sum(int(b.audio_lengths.sum()) for b in batches)
            tokens = sum(int(b.targets.lengths.sum()) for b in batches)
            number = len(batches)
            yield Step(batches, tuple(range(number)), number, samples, RATE, tokens, number * self.rows, ())

    def batch(self, epoch: int, place: int, microbatch: int) -> Batch:
        generator = np.random.default_rng((epoch, place, microbatch))
        counts = generator.integers(2, 5, self.rows)
        tokens = generator.integers(2, VOCAB, (self.rows, int(counts.max())))
        audio = generator.standard_normal((self.rows, tokens.shape[1], 500)) * np.exp(tokens)[..., None] / 50
        lengths = counts * 500
        audio = audio.reshape(self.rows, -1) * (np.arange(audio.shape[1] * 500) < lengths[:, None])
        number = epoch * self.num + place
        if number in self.poison:
            audio[0, 0] = np.nan
        ids = tuple(f"{epoch}-{place}-{microbatch}-{row}" for row in range(self.rows))
        targets = Targets(torch.tensor(tokens), torch.tensor(counts))
        keys = tuple(int(k) for k in generator.integers(0, 2**63, self.rows))
        return Batch(torch.tensor(audio, dtype=torch.float32), torch.tensor(lengths), targets, ids, keys, ids)


class Shift:
    """A feature augmentation that adds a number drawn from each key."""

    def features(self, frames: Tensor, lengths: Tensor, keys: Any) -> Tensor:
        shifts = [np.random.Generator(np.random.Philox(int(key))).standard_normal() for key in keys]
        return frames + 0.1 * torch.tensor(shifts, dtype=frames.dtype, device=frames.device)[:, None, None]


def build_model(dropout: float = 0.1, dim: int = DIM) -> SpeechModel:
    torch.manual_seed(0)
    contexts = ((WHOLE, 1.0), (Context(4, 8), 2.0))
    encoder = Chain([Layer(10, dim, dropout), Layer(dim, dim, dropout)])
    return SpeechModel(encoder, [CTCHead(dim, VOCAB)], [1.0], [2], contexts, VOCAB)


def build_learner(
    *,
    data: Any = None,
    dropout: float = 0.1,
    precision: str | PrecisionManager = "fp32",
    dim: int = DIM,
    optimizer: Callable[[nn.Module], torch.optim.Optimizer] | None = None,
    schedule: Callable[[int, float], float] = lambda step, share: 1.0 - 0.5 * share,
    lr: float = 5e-3,
    max_steps: int | None = 10,
    max_epochs: int | None = None,
    clip_norm: float | None = 1.0,
    average_decay: float | None = 0.9,
    max_nonfinite: int = 2,
    device: str = "cpu",
    arithmetic: Arithmetic = FAST,
) -> Learner:
    model = build_model(dropout, dim).to(device)
    manager = get_precision_manager(precision) if isinstance(precision, str) else precision
    manager.convert(model)
    groups = parameter_groups(model, (), 1e-2)
    made = optimizer(model) if optimizer else torch.optim.AdamW(groups, lr=lr, fused=True)
    return Learner(
        model,
        Windows(),
        data or Noise(),
        made,
        schedule,
        manager,
        (Shift(),),
        seed=7,
        limits=Limits(max_steps=max_steps, max_epochs=max_epochs),
        clip_norm=clip_norm,
        average_decay=average_decay,
        max_nonfinite=max_nonfinite,
        arithmetic=arithmetic,
    )


class Lab(NamedTuple):
    """What a test builds with."""

    learner: Callable[..., Learner]
    model: Callable[..., SpeechModel]
    data: type[Noise]


@pytest.fixture(scope="session")
def lab() -> Lab:
    torch.set_num_threads(1)
    return Lab(build_learner, build_model, Noise)
