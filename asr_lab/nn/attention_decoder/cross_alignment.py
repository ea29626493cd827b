"""Where in the frames each token of a text is, by an attention decoder's cross-attention weights."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from asr_lab.nn.ctc.alignment import align

SMOOTHED_FRAMES = 3
"""Width of the median filter over the frames. Whisper's 7 would hide tokens that last 3 frames, as short pieces do."""
EPSILON = 1e-6
"""Least deviation of a frame's weights: a frame that all tokens attend to alike tells nothing."""


def align_weights(weights: Tensor) -> list[tuple[int, int]]:
    """The first and last frame of each of U tokens, from some heads' weights (H, U + 1, T), the end's in the last row.

    As Whisper's word times: in each frame weights are standardised over the tokens, then filtered by a median over
    frames and averaged over heads; the path through the mean that goes on token by token and has the greatest sum
    decides. Every frame belongs to a token or to the end, so silence is counted to the token before or behind it.
    ValueError with fewer frames than U + 1.
    """
    _, num_rows, num_frames = weights.shape
    if num_frames < num_rows:
        raise ValueError(f"{num_frames} frames cannot hold {num_rows - 1} tokens and the end")
    if num_rows == 1:
        return []
    weights = weights.detach().double().cpu()
    deviation, mean = torch.std_mean(weights, dim=1, keepdim=True, correction=0)
    standard = (weights - mean) / deviation.clamp(min=EPSILON)
    padded = F.pad(standard, (SMOOTHED_FRAMES // 2, SMOOTHED_FRAMES // 2), mode="replicate")
    matrix = padded.unfold(2, SMOOTHED_FRAMES, 1).median(-1).values.mean(0)  # (U + 1, T)
    # As an alignment with CTC that has no blank: each token is another, and a frame's scores need not be probabilities.
    scores = F.pad(matrix.T, (1, 0), value=-torch.inf)  # (T, U + 2)
    found = align(scores, range(1, num_rows + 1)).tokens[:-1]
    return [(span.first_frame, span.last_frame) for span in found]
