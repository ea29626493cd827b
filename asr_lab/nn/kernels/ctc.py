"""CTC's loss (Graves et al., ICML 2006): torch's on processors, and on GPUs one kernel each way that nothing waits for.

torch's CUDA loss reads the lengths back to the host, blocks on copies of them, and adds gradients of a repeated token
in no fixed order. Here a program per utterance walks its frames over all states at once, with the alphas in memory;
what the states of one token add up to is a matrix product, whose order is fixed.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def ctc_loss(log_probs: Tensor, tokens: Tensor, frame_lengths: Tensor, token_lengths: Tensor, blank: int) -> Tensor:
    """Negative log-likelihood over all alignments, (B,); infinity where there is none.

    Log-probabilities are (B, T, V), tokens (B, U) int64 without blank, lengths (B,) int64.
    """
    if log_probs.device.type == "cuda" and importlib.util.find_spec("triton") is not None:
        loss: Tensor = ctc_alphas(log_probs, tokens, frame_lengths, token_lengths, blank)[0]
        return loss
    return F.ctc_loss(log_probs.transpose(0, 1), tokens, frame_lengths, token_lengths, blank=blank, reduction="none")


@torch.library.custom_op("asr_lab::ctc_alphas", mutates_args=(), device_types="cuda")
def ctc_alphas(
    log_probs: Tensor, tokens: Tensor, frame_lengths: Tensor, token_lengths: Tensor, blank: int
) -> tuple[Tensor, Tensor]:
    """The loss (B,), and in each frame the log-probability of all that leads to each state, (B, T, 2 U + 1)."""
    from asr_lab.nn.kernels.ctc_triton import alphas

    return alphas(log_probs.contiguous(), tokens.contiguous(), frame_lengths, token_lengths, blank)


@ctc_alphas.register_kernel("cpu")
def _(
    log_probs: Tensor, tokens: Tensor, frame_lengths: Tensor, token_lengths: Tensor, blank: int
) -> tuple[Tensor, Tensor]:
    """Torch's."""
    return torch.ops.aten._ctc_loss(log_probs.transpose(0, 1), tokens, frame_lengths, token_lengths, blank)  # type: ignore[no-any-return]


@ctc_alphas.register_fake
def _(
    log_probs: Tensor, tokens: Tensor, frame_lengths: Tensor, token_lengths: Tensor, blank: int
) -> tuple[Tensor, Tensor]:
    batch, frames, _ = log_probs.shape
    return log_probs.new_empty(batch), log_probs.new_empty(batch, frames, 2 * tokens.shape[1] + 1)


@torch.library.custom_op("asr_lab::ctc_gradient", mutates_args=(), device_types="cuda")
def ctc_gradient(
    grad: Tensor,
    log_probs: Tensor,
    tokens: Tensor,
    frame_lengths: Tensor,
    token_lengths: Tensor,
    loss: Tensor,
    alpha: Tensor,
    blank: int,
) -> Tensor:
    """The gradient of the log-probabilities, (B, T, V), from that of the loss, (B,)."""
    from asr_lab.nn.kernels.ctc_triton import occupancies

    # Column 0 is the blank's, the others are the tokens' places.
    share = occupancies(
        grad, log_probs.contiguous(), tokens.contiguous(), frame_lengths, token_lengths, loss, alpha, blank
    )
    labels = F.pad(tokens, (1, 0), value=blank)
    places = share.new_zeros(*labels.shape, log_probs.shape[2]).scatter_(2, labels[..., None], 1.0)
    return share @ places


@ctc_gradient.register_kernel("cpu")
def _(
    grad: Tensor,
    log_probs: Tensor,
    tokens: Tensor,
    frame_lengths: Tensor,
    token_lengths: Tensor,
    loss: Tensor,
    alpha: Tensor,
    blank: int,
) -> Tensor:
    """Torch's, which is of the logits before a softmax, less the softmax that it has in it."""
    backward = torch.ops.aten._ctc_loss_backward
    ours = log_probs.transpose(0, 1)
    found: Tensor = backward(grad, ours, tokens, frame_lengths, token_lengths, loss, alpha, blank, False)
    valid = torch.arange(log_probs.shape[1]) < frame_lengths[:, None]
    return found.transpose(0, 1) - log_probs.exp() * (grad[:, None] * valid)[..., None]


@ctc_gradient.register_fake
def _(grad: Tensor, log_probs: Tensor, *rest: Any) -> Tensor:
    return torch.empty_like(log_probs)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *tensors, ctx.blank = inputs
    ctx.save_for_backward(*tensors, *output)


def _way_back(ctx: Any, grad: Tensor, grad_alpha: Tensor | None) -> tuple[Tensor | None, ...]:
    log_probs, tokens, frame_lengths, token_lengths, loss, alpha = ctx.saved_tensors
    found = ctc_gradient(grad, log_probs, tokens, frame_lengths, token_lengths, loss, alpha, ctx.blank)
    return found, None, None, None, None


ctc_alphas.register_autograd(_way_back, setup_context=_keep)
