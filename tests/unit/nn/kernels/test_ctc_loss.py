"""CTC's loss on GPUs: its Triton kernels by their interpreter, and the twin that stands for them on processors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from asr_lab.nn.kernels.ctc import ctc_alphas

TOLERANCE = {"float32": 2e-5, "long": 2e-4}


def test_the_kernels_equal_torchs_loss_and_gradient() -> None:
    pytest.importorskip("triton", reason="Triton is not installed")
    script = Path(__file__).with_name("interpreted_ctc.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    for name, apart in json.loads(done.stdout).items():
        assert apart < TOLERANCE.get(name, 1e-9), name


def test_the_twins_gradient_is_that_of_the_loss() -> None:
    logits = torch.randn(2, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rest = (torch.tensor([[1, 1], [3, 0]]), torch.tensor([6, 4]), torch.tensor([2, 1]))

    def loss(x: torch.Tensor) -> torch.Tensor:
        return ctc_alphas(x, *rest, 0)[0]

    assert torch.autograd.gradcheck(loss, logits.log_softmax(-1).requires_grad_())
    theirs = F.ctc_loss(logits.log_softmax(-1).transpose(0, 1), *rest, reduction="none")
    assert torch.equal(loss(logits.log_softmax(-1)), theirs)
