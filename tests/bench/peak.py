"""How fast this machine multiplies matrices: large ones, and those of a training step."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

PEAK_DIM = 2048
_PRODUCTS = {
    torch.ops.aten.mm: (torch.mm, 0),
    torch.ops.aten.addmm: (torch.mm, 1),
    torch.ops.aten.bmm: (torch.bmm, 0),
    torch.ops.aten.baddbmm: (torch.bmm, 1),
}
"""Matrix products, what repeats them, and which argument the left matrix is."""


class Operand(NamedTuple):
    """Where a matrix lies in memory."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype

    def filled(self) -> Tensor:
        """A random one."""
        reach = 1 + sum((n - 1) * s for n, s in zip(self.shape, self.stride, strict=True))
        return torch.randn(reach).to(self.dtype).as_strided(self.shape, self.stride)


class Product(NamedTuple):
    """One matrix product, (…, M, K) by (…, K, N)."""

    multiply: Callable[[Tensor, Tensor], Tensor]
    left: Operand
    right: Operand

    @property
    def flops(self) -> int:
        """Multiplications and additions."""
        return 2 * torch.Size(self.left.shape).numel() * self.right.shape[-1]

    def seconds(self, repeats: int) -> float:
        """The shortest of some repetitions."""
        a, b = self.left.filled(), self.right.filled()
        return _shortest(lambda: self.multiply(a, b), repeats)


class Products(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes every matrix product that is computed inside it, backward passes included."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: Counter[Product] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func._overloadpacket in _PRODUCTS:
            multiply, first = _PRODUCTS[func._overloadpacket]
            left, right = (Operand(tuple(x.shape), x.stride(), x.dtype) for x in args[first : first + 2])
            self.seen[Product(multiply, left, right)] += 1
        return func(*args, **(kwargs or {}))

    def flops_per_s(self, repeats: int = 3) -> float:
        """The rate at which this machine computes these products with nothing between them; 0 without any."""
        flops = sum(count * p.flops for p, count in self.seen.items())
        seconds = sum(count * p.seconds(repeats) for p, count in self.seen.items() if p.flops)
        return flops / seconds if flops else 0.0


def peak_flops_per_s(repeats: int = 10) -> float:
    """The rate of a float32 product of square matrices of PEAK_DIM."""
    square = Operand((PEAK_DIM, PEAK_DIM), (PEAK_DIM, 1), torch.float32)
    product = Product(torch.mm, square, square)
    return product.flops / product.seconds(repeats)


def _shortest(run: Callable[[], object], repeats: int) -> float:
    run()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
