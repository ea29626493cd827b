"""What can be done with a layer's state without knowing the layer: its rows are taken, overwritten and joined."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

S = TypeVar("S")


def take(state: S, index: Tensor) -> S:
    """The rows named by `index`, (b,) int64, in that order, in memory of their own."""
    return _map(lambda leaf: leaf.index_select(0, index.to(leaf.device)), state)


def put(state: S, index: Tensor, rows: S) -> None:
    """Overwrite the rows named by `index`, (b,) int64, each once, in place.

    No two tensors of `state`, and no two values of one, may share memory: `take` and `join` make such states.
    """
    for old, new in zip(leaves(state), leaves(rows), strict=True):
        old.index_copy_(0, index.to(old.device), new)


def join(states: Sequence[S]) -> S:
    """The rows of all states, one after the other, in memory of their own."""
    return _map(lambda *parts: torch.cat(parts), *states)


def num_bytes(state: Any) -> int:
    """What the values of a state take in memory."""
    return sum(leaf.numel() * leaf.element_size() for leaf in leaves(state))


def leaves(state: Any) -> Iterator[Tensor]:
    """The tensors of a state, nested tuples flattened."""
    if isinstance(state, Tensor):
        yield state
        return
    if not isinstance(state, tuple):
        raise TypeError(f"a state is a NamedTuple of tensors, not {type(state).__name__}")
    for part in state:
        yield from leaves(part)


def _map(change: Callable[..., Tensor], *states: S) -> S:
    """A state of what `change` makes of the tensors that stand in one place of all states."""
    first = states[0]
    if isinstance(first, Tensor):
        return cast(S, change(*states))
    if not isinstance(first, tuple):
        raise TypeError(f"a state is a NamedTuple of tensors, not {type(first).__name__}")
    parts = [_map(change, *places) for places in zip(*cast("tuple[tuple[Any, ...], ...]", states), strict=True)]
    return cast(S, type(first)(*parts) if hasattr(first, "_fields") else tuple(parts))
