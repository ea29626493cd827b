"""Losses and their gradients, by ordered sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from asr_lab.training.cross_hardware.ctc import ctc
from asr_lab.training.cross_hardware.ordered_sums import ordered_sum

SUM = 2
"""torch's number for `reduction="sum"`; 0 is none, 1 the mean."""


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    lengths: Sequence[int],
    target_lengths: Sequence[int],
    blank: int = 0,
    zero_infinity: bool = False,
) -> tuple[Tensor, Tensor]:
    lengths, target_lengths = (n.tolist() if isinstance(n, Tensor) else list(n) for n in (lengths, target_lengths))
    return ctc(log_probs, targets, lengths, target_lengths, blank)


def ctc_loss_backward(grad: Tensor, log_probs: Tensor, targets: Tensor, *rest: Any) -> Tensor:
    """The loss's second result stands in the place of torch's forward variables: how often each token is used."""
    used: Tensor = rest[3]
    return -(used * grad[None, :, None])


def nll_loss(
    log_probs: Tensor, targets: Tensor, weight: Tensor | None, reduction: int, ignored: int
) -> tuple[Tensor, Tensor]:
    """Of rows (N, V) and their targets (N,): (N,) without a reduction, or their sum; and what they count."""
    _require_plain(log_probs, weight, reduction)
    is_read = targets != ignored
    found = -log_probs.gather(1, targets.where(is_read, targets.new_zeros(()))[:, None])[:, 0]
    found = found.where(is_read, found.new_zeros(()))
    count = is_read.to(log_probs.dtype)
    return (ordered_sum(found, [0]), ordered_sum(count, [0])) if reduction == SUM else (found, count.new_zeros(()))


def nll_loss_backward(
    grad: Tensor,
    log_probs: Tensor,
    targets: Tensor,
    weight: Tensor | None,
    reduction: int,
    ignored: int,
    total_weight: Tensor,
) -> Tensor:
    _require_plain(log_probs, weight, reduction)
    is_read = targets != ignored
    places = targets.where(is_read, targets.new_zeros(()))[:, None]
    each = (-grad).where(is_read, grad.new_zeros(()))[:, None]
    return log_probs.new_zeros(log_probs.shape).scatter(1, places, each)


def _require_plain(log_probs: Tensor, weight: Tensor | None, reduction: int) -> None:
    if log_probs.ndim != 2 or weight is not None or reduction == 1:
        raise NotImplementedError("cross-entropy with weights of classes, as a mean or of one row")


LOSSES: Mapping[str, Callable[..., Any]] = {
    "_ctc_loss": ctc_loss,
    "_ctc_loss_backward": ctc_loss_backward,
    "nll_loss_forward": nll_loss,
    "nll_loss_backward": nll_loss_backward,
}
"""By the operator's name."""
