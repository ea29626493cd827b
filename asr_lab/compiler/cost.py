"""Models without memory: built unfilled on the meta device, run on weights that are one zero each, their cost counted.

torch's own tools for this import its compiler, which takes longer than all else that `explain` does.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

from asr_lab.streaming import Frames

M = TypeVar("M", bound=nn.Module)

MAX_MACS = 40_000_000_000
"""Multiply-adds that are done to be counted, in a graph: about two seconds of one processor."""
MAX_VALUES = 1 << 25
"""Values of a weight, or of what an operation gives, that are held to be counted: 128 MB."""

PRODUCTS = (torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.bmm, torch.ops.aten.baddbmm)
CONVOLUTION = torch.ops.aten.convolution
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
def macs(run: Callable[[], Any], limit: int | None = None) -> tuple[int, Any]:
    """Multiply-adds of the matrix products, convolutions and attentions of a call, and what it returns.

    TooDear before more than `limit` of them, or, where there is a limit, an operation that gives more than `MAX_VALUES`
    values.
    """
    with _Count(None if limit is None else 2 * limit) as count:
        result = run()
    return count.flops // 2, result


class TooDear(Exception):  # noqa: N818 - a signal
    """What is counted would take too long, or too much memory, on real numbers."""


class Costs:
    """What modules cost: counted over real zeros, and from the first module on that is too large, on the meta device.

    The meta device costs nothing but the seconds that torch takes to load what it needs there.
    """

    def __init__(self) -> None:
        self._left = MAX_MACS
        self._on_meta = False

    def of(self, module: M, frames: Frames, run: Callable[[M, Frames], Any]) -> tuple[int, Any]:
        """Multiply-adds of a meta module's call, and what it returns."""
        if not self._on_meta and sum(p.numel() for p in module.parameters()) <= MAX_VALUES:
            try:
                cost, result = macs(lambda: run(weightless(module), frames), self._left)
                self._left -= cost
                return cost, result
            except TooDear:
                pass
        self._on_meta = True
        x, lengths, final = (t.to("meta") for t in frames[:3])
        return macs(lambda: run(module, Frames(x, lengths, final, frames.full)))


class _Count(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, limit: int | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = 0
        self.limit = limit

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        packet = func._overloadpacket
        if self.limit is not None:
            flops, values = _ahead(packet, args)
            if self.flops + flops > self.limit or values > MAX_VALUES:
                raise TooDear
        out = func(*args, **(kwargs or {}))
        if packet is ATTENTION:
            self.flops += sdpa_flop_count(*(x.shape for x in args[:3]))  # type: ignore[no-untyped-call]
        elif (formula := flop_registry.get(packet)) is not None:
            self.flops += formula(*args, **(kwargs or {}), out_val=out)
        return out


def _ahead(packet: Any, args: Sequence[Any]) -> tuple[int, int]:
    """Floating-point operations of a product or a convolution of stride 1, and the values that any operation gives.

    Of one that is no product, that is known before it is done from the shapes of what it takes: they are broadcast, and
    those of a list are joined.
    """
    if packet in PRODUCTS:
        left, right = args[-2:]
        values = left.numel() // left.shape[-1] * right.shape[-1]
        return 2 * values * left.shape[-1], values
    if packet is CONVOLUTION:
        x, weight = args[:2]
        return 2 * x.numel() * weight[0].numel(), x.numel()
    joined = sum(x.numel() for arg in args if isinstance(arg, list | tuple) for x in arg if isinstance(x, Tensor))
    shapes = [x.shape for x in args if isinstance(x, Tensor)]
    try:
        return 0, max(joined, math.prod(torch.broadcast_shapes(*shapes)))  # type: ignore[no-untyped-call]
    except RuntimeError:
        return 0, joined + sum(map(math.prod, shapes))
