"""Models without memory: built unfilled on the meta device, run on weights that are one zero each, their cost counted.

torch's own tools for this import its compiler, which takes longer than all else that `explain` does.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

M = TypeVar("M", bound=nn.Module)

ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu


class Unfilled(TorchFunctionMode):
    """On the meta device there is nothing to fill: in here, what changes a tensor in place does nothing."""

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name.endswith("_") and not name.endswith("__") and name != "requires_grad_":
            return args[0] if args else (kwargs or {})["tensor"]  # torch.nn.init passes it by name
        return func(*args, **(kwargs or {}))


def weightless(module: M) -> M:
    """A copy of a meta module that runs: each weight is one zero seen as the whole tensor."""
    ghost = copy.deepcopy(module)
    for part in ghost.modules():
        for name, weight in part._parameters.items():
            if weight is not None:
                zeros = torch.zeros((), dtype=weight.dtype).expand(weight.shape)
                part._parameters[name] = nn.Parameter(zeros, requires_grad=False)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = torch.zeros((), dtype=buffer.dtype).expand(buffer.shape)
    return ghost


@torch.no_grad()
def macs(run: Callable[[], Any]) -> tuple[int, Any]:
    """Multiply-adds of the matrix products, convolutions and attentions of a call, and what it returns."""
    with _Count() as count:
        result = run()
    return count.flops // 2, result


class _Count(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        packet = func._overloadpacket
        if packet is ATTENTION:
            self.flops += sdpa_flop_count(*(x.shape for x in args[:3]))  # type: ignore[no-untyped-call]
        elif (formula := flop_registry.get(packet)) is not None:
            self.flops += formula(*args, **(kwargs or {}), out_val=out)
        return out
