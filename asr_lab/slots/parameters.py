"""Parameters of layers by arithmetic, so that a model's size is known before torch is loaded."""

from __future__ import annotations


def linear(num_in: int, num_out: int, bias: bool = True) -> int:
    """Of a linear layer; a convolution's inputs are its channels times the places under its kernel."""
    return (num_in + bias) * num_out


def norm(dim: int) -> int:
    """Of a LayerNorm."""
    return 2 * dim


def feed_forward(dim: int, hidden_dim: int) -> int:
    """Of two linear layers, there and back."""
    return linear(dim, hidden_dim) + linear(hidden_dim, dim)
