"""Everything the loop draws, keyed by the seed and where in the run it is: nothing carries over from step to step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch

T = TypeVar("T")

_CONTEXT, _DROPOUT = 1, 2
"""Domains, so that draws for different ends are unrelated."""


def draw_context(choices: Sequence[tuple[T, float]], seed: int, step: int) -> T:
    """One of the (value, weight) pairs' values, drawn by weight from (seed, step)."""
    if len(choices) == 1:
        return choices[0][0]
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, _CONTEXT, step))))
    edges = np.cumsum([weight for _, weight in choices])
    index = int(np.searchsorted(edges, generator.random() * edges[-1], side="right"))
    return choices[min(index, len(choices) - 1)][0]


def seed_torch(seed: int, step: int, microbatch: int) -> None:
    """Set torch's generators (CPU and CUDA) from (seed, step, microbatch): what dropout draws from."""
    sequence = np.random.SeedSequence((seed, _DROPOUT, step, microbatch))
    torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0]) >> 1)


def rng_state() -> dict[str, torch.Tensor]:
    """The states of torch's generators, uint8 tensors on the CPU by device name."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        states |= {f"cuda:{i}": state for i, state in enumerate(torch.cuda.get_rng_state_all())}
    return states


def set_rng_state(states: dict[str, torch.Tensor]) -> None:
    """Put back what `rng_state` gave; devices that are not here are passed over."""
    for device, state in states.items():
        if device == "cpu":
            torch.set_rng_state(state.cpu())
        elif torch.cuda.is_available() and torch.device(device).index < torch.cuda.device_count():
            torch.cuda.set_rng_state(state.cpu(), device)
