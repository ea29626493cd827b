"""CTC's two recursions in Triton: a program per utterance, its states side by side, its frames one after another.

A state's neighbours are read back from memory, where the step before left them: lanes cannot look at each other.
"""

from __future__ import annotations

import torch
import triton  # type: ignore[import-untyped]
import triton.language as tl  # type: ignore[import-untyped]
from torch import Tensor


def alphas(
    log_probs: Tensor, tokens: Tensor, frame_lengths: Tensor, token_lengths: Tensor, blank: int
) -> tuple[Tensor, Tensor]:
    """The loss (B,) and the forward variables (B, T, 2 U + 1) of contiguous (B, T, V) and (B, U)."""
    batch, frames, vocab = log_probs.shape
    width = tokens.shape[1]
    alpha = torch.empty(batch, frames, 2 * width + 1, dtype=log_probs.dtype, device=log_probs.device)
    loss = torch.empty(batch, dtype=log_probs.dtype, device=log_probs.device)
    states = _states(width)
    _forward[(batch,)](
        log_probs, tokens, frame_lengths, token_lengths, alpha, loss, frames, vocab, width, blank, states
    )
    return loss, alpha


def occupancies(
    grad: Tensor,
    log_probs: Tensor,
    tokens: Tensor,
    frame_lengths: Tensor,
    token_lengths: Tensor,
    loss: Tensor,
    alpha: Tensor,
    blank: int,
) -> Tensor:
    """Minus `grad` times the probability of the blank (column 0) and each token's place, (B, T, U + 1)."""
    batch, frames, vocab = log_probs.shape
    width = tokens.shape[1]
    states = _states(width)
    share = torch.zeros(batch, frames, width + 1, dtype=log_probs.dtype, device=log_probs.device)
    beta = torch.empty(batch, states, dtype=log_probs.dtype, device=log_probs.device)
    _backward[(batch,)](
        grad.contiguous(), log_probs, tokens, frame_lengths, token_lengths, loss, alpha, beta, share,
        frames, vocab, width, blank, states,
    )  # fmt: skip
    return share


def _states(width: int) -> int:
    return max(4, int(triton.next_power_of_2(2 * width + 1)))


@triton.jit
def _log_sum(a, b, c):  # type: ignore[no-untyped-def]
    top = tl.maximum(tl.maximum(a, b), c)
    safe = tl.where(top == -float("inf"), 0.0, top)
    return safe + tl.log(tl.exp(a - safe) + tl.exp(b - safe) + tl.exp(c - safe))


@triton.jit
def _labels(tokens, row, s, width, num_states, blank):  # type: ignore[no-untyped-def]
    """Each state's token, and whether it may be reached from the token before without a blank between."""
    is_token = (s % 2 == 1) & (s < num_states)
    label = tl.load(tokens + row * width + s // 2, mask=is_token, other=blank)
    before = tl.load(tokens + row * width + s // 2 - 1, mask=is_token & (s >= 3), other=blank)
    return label, is_token & (s >= 3) & (label != before)


@triton.jit  # type: ignore[untyped-decorator]
def _forward(  # type: ignore[no-untyped-def]
    log_probs, tokens, frame_lengths, token_lengths, alpha, loss, frames, vocab, width, blank, STATES: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64)
    s = tl.arange(0, STATES)
    last_frame = tl.load(frame_lengths + row) - 1
    num_states = 2 * tl.load(token_lengths + row) + 1
    label, skips = _labels(tokens, row, s, width, num_states, blank)
    inside = s < num_states
    all_states = 2 * width + 1
    log_probs += row * frames * vocab
    alpha += row * frames * all_states
    begin = tl.load(log_probs + label, mask=inside & (s < 2), other=-float("inf"))
    tl.store(alpha + s, begin, mask=s < all_states)
    for t in range(1, last_frame + 1):
        tl.debug_barrier()
        old = alpha + (t - 1) * all_states + s
        stay = tl.load(old, mask=inside, other=-float("inf"))
        step = tl.load(old - 1, mask=inside & (s >= 1), other=-float("inf"))
        skip = tl.load(old - 2, mask=inside & skips, other=-float("inf"))
        here = tl.load(log_probs + t * vocab + label, mask=inside, other=-float("inf"))
        new = tl.where(inside, _log_sum(stay, step, skip) + here, -float("inf"))
        tl.store(alpha + t * all_states + s, new, mask=s < all_states)
    tl.debug_barrier()
    final = alpha + last_frame * all_states + num_states
    is_there = last_frame >= 0
    blank_end = tl.load(final - 1, mask=is_there, other=-float("inf"))
    token_end = tl.load(final - 2, mask=is_there & (num_states > 1), other=-float("inf"))
    total = _log_sum(blank_end, token_end, token_end - float("inf"))
    tl.store(loss + row, tl.where((last_frame < 0) & (num_states == 1), 0.0, -total))


@triton.jit  # type: ignore[untyped-decorator]
def _backward(  # type: ignore[no-untyped-def]
    grad, log_probs, tokens, frame_lengths, token_lengths, loss, alpha, beta, share,
    frames, vocab, width, blank, STATES: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    s = tl.arange(0, STATES)
    num_frames = tl.load(frame_lengths + row)
    num_states = 2 * tl.load(token_lengths + row) + 1
    label, _ = _labels(tokens, row, s, width, num_states, blank)
    _, skips = _labels(tokens, row, s + 2, width, num_states, blank)
    inside = s < num_states
    all_states = 2 * width + 1
    log_probs += row * frames * vocab
    alpha += row * frames * all_states
    share += row * frames * (width + 1)
    beta += row * STATES + s
    scale = -tl.load(grad + row)
    nll = tl.load(loss + row)
    now = tl.where(inside & (s >= num_states - 2), 0.0, -float("inf")).to(nll.dtype)
    for back in range(0, num_frames):
        t = num_frames - 1 - back
        if back > 0:
            tl.store(beta, now)
            tl.debug_barrier()
            step = tl.load(beta + 1, mask=s + 1 < num_states, other=-float("inf"))
            skip = tl.load(beta + 2, mask=skips, other=-float("inf"))
            tl.debug_barrier()
            now = tl.where(inside, _log_sum(now, step, skip), -float("inf"))
        here = tl.load(log_probs + t * vocab + label, mask=inside, other=-float("inf"))
        lead = tl.load(alpha + t * all_states + s, mask=inside, other=-float("inf"))
        occupied = tl.where(inside, tl.exp(lead + now + nll), 0.0) * scale
        out = share + t * (width + 1)
        tl.store(out, tl.sum(tl.where(s % 2 == 0, occupied, 0.0)))
        tl.store(out + (s + 1) // 2, occupied, mask=inside & (s % 2 == 1))
        now = tl.where(inside, now + here, -float("inf"))
