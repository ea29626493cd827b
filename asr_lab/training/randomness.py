"""Everything the loop draws, keyed by the seed and where in the run it is: nothing carries over from step to step."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
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
    edges = list(accumulate(weight for _, weight in choices))
    place = _number(seed, _CONTEXT, step) / 2**64 * edges[-1]
    return choices[min(bisect_right(edges, place), len(choices) - 1)][0]


def seed_torch(seed: int, step: int, microbatch: int, device: torch.device) -> None:
    """Set torch's generators of the CPU and of `device` from (seed, step, microbatch): what dropout draws from."""
    number = _number(seed, _DROPOUT, step, microbatch) >> 1
    # torch.manual_seed does this for every kind of device there might be, and formats a stack for each: 1 ms.
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        torch.cuda.manual_seed(number)


def _number(*key: int) -> int:
    """A number of 64 bits that depends on all of the key (numpy's SeedSequence, whose values are fixed by contract)."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])


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
