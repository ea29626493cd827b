"""A small training whose hash tells one arithmetic from another."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asr_lab.training.arithmetic import Arithmetic

KNOWN = "3f2d9f022a460e2fdace2eb2d4ad43a89fa1581ff33595ef67aa97e51617da4f"
"""What every machine gives at level `cross_hardware`, with RepDL as with its twin."""
STEPS = 2


class _ProbeModel(nn.Module):
    """A layer of each kind that models are made of."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(12, 24, 3, stride=2, padding=1)
        self.norm = nn.LayerNorm(24)
        self.up = nn.Linear(24, 40)
        self.down = nn.Linear(40, 9)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x.transpose(1, 2)).transpose(1, 2))
        x = x + (x @ x.transpose(1, 2)).softmax(-1) @ x
        logits: Tensor = self.down(F.silu(self.up(x)))
        return logits.log_softmax(-1)


def probe(arithmetic: Arithmetic, device: torch.device) -> str:
    """SHA-256 of losses and weights after a few steps, hex; torch's generators are as they were before."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), arithmetic.use():
        torch.manual_seed(1)
        model = _ProbeModel().to(device)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, fused=True)
        x = torch.randn(3, 30, 12).to(device)
        targets, lengths = torch.randint(1, 9, (3, 4)), torch.tensor([15, 15, 12])
        digest = hashlib.sha256()
        for _ in range(STEPS):
            log_probs = model(x).transpose(0, 1).cpu()  # CUDA's loss has no deterministic gradient
            loss = F.ctc_loss(log_probs, targets, lengths, torch.tensor([4, 3, 2]), reduction="none").sum()
            torch.autograd.backward(loss)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            digest.update(loss.detach().numpy().tobytes())
        for parameter in model.parameters():
            digest.update(parameter.detach().cpu().numpy().tobytes())
    return digest.hexdigest()
