"""CTC's Triton kernels in Triton's interpreter beside torch's loss, in a process of its own: differences as JSON."""

from __future__ import annotations

import json
import os

os.environ["TRITON_INTERPRET"] = "1"  # read where a kernel is declared

import torch
from torch import Tensor
from torch.nn import functional as F

from asr_lab.nn.kernels import ctc, ctc_triton


def case(dtype: torch.dtype, frames: int, vocab: int, texts: list[list[int]], lengths: list[int], blank: int) -> float:
    """The largest difference from torch's, of losses and gradients."""
    width = max(map(len, texts))
    tokens = torch.tensor([text + [1] * (width - len(text)) for text in texts]).view(len(texts), width)
    counts, given = torch.tensor([len(text) for text in texts]), torch.tensor(lengths)
    log_probs = torch.randn(len(texts), frames, vocab, dtype=dtype).log_softmax(-1)
    grad = torch.rand(len(texts), dtype=dtype) + 0.5
    wanted_loss, wanted_alpha = ctc.ctc_alphas(log_probs, tokens, given, counts, blank)
    wanted = ctc.ctc_gradient(grad, log_probs, tokens, given, counts, wanted_loss, wanted_alpha, blank)
    loss, alpha = ctc_triton.alphas(log_probs, tokens, given, counts, blank)
    share = ctc_triton.occupancies(grad, log_probs, tokens, given, counts, loss, alpha, blank)
    labels = F.pad(tokens, (1, 0), value=blank)
    found = share @ share.new_zeros(*labels.shape, vocab).scatter_(2, labels[..., None], 1.0)
    possible = wanted_loss.isfinite()
    assert torch.equal(possible, loss.isfinite()), (wanted_loss, loss)
    return max(_apart(wanted_loss[possible], loss[possible]), _apart(wanted[possible], found[possible]))


def _apart(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max()) if a.numel() else 0.0


def main() -> None:
    torch.manual_seed(0)
    repeats = [[2, 2, 3], [4, 5], [1, 1, 1], [6]]
    print(
        json.dumps(
            {
                "float32": case(torch.float32, 9, 7, repeats, [9, 7, 5, 1], 0),
                "float64": case(torch.float64, 9, 7, repeats, [9, 7, 6, 1], 0),
                "other blank": case(torch.float64, 12, 5, [[0, 0, 1], [3, 2, 1, 0]], [12, 10], 4),
                "no text": case(torch.float64, 4, 5, [[], [2]], [4, 3], 0),
                "too short": case(torch.float64, 4, 5, [[1, 1, 2], [2, 3]], [3, 4], 0),
                "long": case(torch.float32, 80, 30, [[5] * 20 + list(range(1, 15))], [80], 0),
            }
        )
    )


if __name__ == "__main__":
    main()
