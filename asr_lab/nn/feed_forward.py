"""The part of a block that looks at one frame at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from asr_lab.nn.kernels.dropout import dropout

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"silu": F.silu, "gelu": F.gelu}


class FeedForward(nn.Module):
    """Widen, bend, narrow: (…, dim) to (…, dim)."""

    def __init__(self, dim: int, hidden_dim: int, activation: Literal["silu", "gelu"], dropout: float) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.dropout = dropout
        self.up = nn.Linear(dim, hidden_dim)
        self.down = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.up(x))
        x = dropout(x, self.dropout, self.training)
        x = self.down(x)
        x = dropout(x, self.dropout, self.training)
        return x
