"""The loss of connectionist temporal classification and its gradient, as ordered sums."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from asr_lab.training.cross_hardware.exact_functions import LN_2, exp, log
from asr_lab.training.cross_hardware.ordered_sums import ordered_sum


def ctc(
    log_probs: Tensor, targets: Tensor, lengths: Sequence[int], target_lengths: Sequence[int], blank: int
) -> tuple[Tensor, Tensor]:
    """The loss of each row, (B,), and the expected number of times each token is used in each frame, (T, B, V).

    `log_probs` (T, B, V); `targets` (B, U), or all rows' one after another. The loss is infinite, and nothing used,
    where no alignment exists. Forward and backward variables (Graves et al., ICML 2006, 4.1) are probabilities in
    float64, each frame's scaled by a power of two, which loses nothing.
    """
    losses, used = [], torch.zeros_like(log_probs)
    starts = [sum(target_lengths[:row]) for row in range(len(target_lengths))]
    for row, (frames, count) in enumerate(zip(lengths, target_lengths, strict=True)):
        tokens = targets[row, :count] if targets.ndim == 2 else targets[starts[row] : starts[row] + count]
        loss, share = _row(log_probs[:frames, row].to(torch.float64), tokens, blank)
        losses.append(loss)
        used[:frames, row] = share.to(used.dtype)
    return torch.stack(losses).to(log_probs.dtype), used


def _row(log_probs: Tensor, tokens: Tensor, blank: int) -> tuple[Tensor, Tensor]:
    """The loss of one utterance, (), and the use of its tokens, (T, V): float64."""
    frames, count = len(log_probs), len(tokens)
    labels = torch.full((2 * count + 1,), blank, dtype=torch.int64, device=tokens.device)
    labels[1::2] = tokens
    used = torch.zeros_like(log_probs)
    if frames == 0:
        return log_probs.new_tensor(math.inf if count else 0.0), used
    scores = log_probs[:, labels]  # (T, S)
    highest = scores.amax(1)
    probs = exp(scores - highest[:, None])
    skips = torch.zeros(len(labels), dtype=torch.float64, device=tokens.device)
    skips[3::2] = (labels[3::2] != labels[1:-2:2]).to(torch.float64)  # a blank between equal tokens stays
    begin = torch.zeros_like(skips)
    begin[:2] = 1.0
    forward, halvings = _pass(probs, begin, skips)
    ends = forward[-1, -2:] if count else forward[-1, -1:]
    total = ordered_sum(ends, [0])
    if float(total) == 0.0:
        return log_probs.new_tensor(math.inf), used
    # From the end, the same recursion on the labels turned round.
    back_skips = torch.zeros_like(skips)
    back_skips[2:] = skips.flip(0)[:-2]
    backward = _pass(probs.flip(0, 1), begin, back_skips)[0].flip(0, 1)
    shares = forward * backward / torch.where(probs == 0, 1.0, probs)
    shares = shares / ordered_sum(shares, [1], keepdim=True)
    for label in dict.fromkeys(labels.tolist()):
        used[:, label] = ordered_sum(shares[:, labels == label], [1])
    loss = -(log(total) + halvings * LN_2 + ordered_sum(highest, [0]))
    return loss, used


def _pass(probs: Tensor, begin: Tensor, skips: Tensor) -> tuple[Tensor, int]:
    """The variables of each frame, (T, S), and how often all of the last were halved in total."""
    current = begin * probs[0]
    kept, halvings = [current], 0
    for frame in probs[1:].unbind(0):
        one, two = torch.zeros_like(current), torch.zeros_like(current)
        one[1:] = current[:-1]
        two[2:] = current[:-2]
        current = ((current + one) + skips * two) * frame
        exponent = math.frexp(float(current.max()))[1]
        current = current * 2.0**-exponent
        halvings += exponent
        kept.append(current)
    return torch.stack(kept), halvings
