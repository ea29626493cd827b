"""Optimizers built from their sections: what moves which parameter, and how far."""

from __future__ import annotations

import math
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import nn

from asr_lab.errors import LabError
from asr_lab.slots.optimizers import Group
from asr_lab.slots.optimizers.adamw import AdamW
from asr_lab.slots.optimizers.muon import Muon
from asr_lab.training.checkpoint import read, write
from asr_lab.training.muon import Muon as OneByShape
from asr_lab.training.muon import orthogonalised
from asr_lab.training.state import Snapshot, fingerprint, model_tensors, optimizer_tensors, restore_optimizer

COEFFICIENTS = (3.4445, -4.775, 2.0315)
"""Those of Muon's authors."""


class Net(nn.Module):
    """A table, two hidden matrices, a norm, kernels, a head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.embedding = nn.Embedding(11, 32)
        self.conv = nn.Conv1d(32, 32, 3, padding=1, groups=32)
        self.up = nn.Linear(32, 64)
        self.norm = nn.LayerNorm(64)
        self.down = nn.Linear(64, 32)
        self.kernel = nn.Parameter(torch.ones(32, 5))
        self.heads = nn.ModuleList([nn.Sequential(OrderedDict(output=nn.Linear(32, 11)))])

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.conv(self.embedding(tokens).mT).mT
        x = self.down(torch.relu(self.norm(self.up(x)))) * self.kernel.mean(1)
        logits: torch.Tensor = self.heads[0](x)
        return logits


def train(net: Net, optimizer: torch.optim.Optimizer, steps: int, start: int = 0) -> list[float]:
    losses = []
    for k in range(start, start + steps):
        tokens = torch.randint(0, 11, (4, 9), generator=torch.Generator().manual_seed(k))
        loss = nn.functional.cross_entropy(net(tokens).flatten(0, 1), tokens.roll(1, 1).flatten() // 2)
        torch.autograd.backward(loss)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
    return losses


def kinds(net: Net, optimizer: torch.optim.Optimizer) -> dict[str, str]:
    names = {id(p): n for n, p in net.named_parameters()}
    return {
        names[id(p)]: "muon" if "momentum" in group else "adamw"
        for group in optimizer.param_groups
        for p in group["params"]
    }


def test_muon_takes_hidden_matrices_and_leaves_the_rest_to_adamw() -> None:
    net = Net()
    found = kinds(net, Muon().build(net))
    assert {n for n, kind in found.items() if kind == "muon"} == {"up.weight", "down.weight"}
    assert set(found) == set(dict(net.named_parameters()))


def test_a_muon_step_is_orthogonal_and_as_large_as_adamws() -> None:
    net = Net()
    optimizer = Muon(peak_lr=0.01, weight_decay=0.0).build(net)
    before = net.up.weight.detach().clone()
    for p in net.parameters():
        p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(1))
    optimizer.step()
    step = (net.up.weight.detach() - before) / 0.01  # (64, 32)
    singular = torch.linalg.svdvals(step / (0.2 * math.sqrt(64)))
    assert singular.min() > 0.6
    assert singular.max() < 1.3
    assert step.square().mean().sqrt().item() == pytest.approx(0.2, rel=0.2)


def test_a_muon_step_is_torchs_but_for_the_precision_of_its_products() -> None:
    ours, theirs, fresh = Net(), Net(), Net()
    # With coefficients that converge, both find the same matrix, whatever each divides by at first.
    settings = {"lr": 0.01, "weight_decay": 0.1, "ns_coefficients": (15 / 8, -10 / 8, 3 / 8), "ns_steps": 20}
    muon, torchs = (
        kind([net.up.weight, net.down.weight], adjust_lr_fn="match_rms_adamw", **settings)
        for kind, net in ((OneByShape, ours), (torch.optim.Muon, theirs))
    )
    for k in range(3):
        for net in (ours, theirs):
            for i, p in enumerate((net.up.weight, net.down.weight)):
                p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(2 * k + i))
        muon.step()
        torchs.step()
    for name in ("up", "down"):
        mine, reference, start = (getattr(net, name).weight for net in (ours, theirs, fresh))
        assert (mine - reference).norm() < 0.02 * (reference - start).norm()


@pytest.mark.parametrize("shape", [(3, 16, 16), (3, 16, 64), (3, 64, 16)])
def test_newton_schulz_of_the_gram_matrix_is_that_of_the_matrix(shape: tuple[int, int, int]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(5))
    x = x * torch.logspace(0, -5, shape[2])  # nearly singular
    a, b, c = COEFFICIENTS
    eighths = torch.linalg.svdvals(x.double()).pow(8).sum(1)[:, None, None]
    want = x.double() / eighths ** (1 / 8)
    for _ in range(5):
        gram = want @ want.mT
        want = a * want + (b * gram + c * gram @ gram) @ want
    got = orthogonalised(x, COEFFICIENTS, steps=5, eps=1e-7)
    assert (got - want).norm() < 1e-4 * want.norm()


def test_on_an_even_spectrum_four_steps_do_what_five_did_from_the_usual_norm() -> None:
    x = torch.randn(8, 48, 160, generator=torch.Generator().manual_seed(6))
    a, b, c = COEFFICIENTS
    usual = torch.linalg.svdvals(x / x.norm(dim=(1, 2), keepdim=True))
    for _ in range(5):
        usual = a * usual + b * usual**3 + c * usual**5
    got = torch.linalg.svdvals(orthogonalised(x, COEFFICIENTS, steps=4, eps=1e-7))
    assert float(got.min()) > 0.95 * float(usual.min())
    assert float(got.max()) < 1.25


@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-10, 1e-6, 1e12])
def test_the_size_of_a_gradient_does_not_matter_until_it_is_next_to_nothing(size: float) -> None:
    x = torch.randn(2, 8, 24, generator=torch.Generator().manual_seed(7))
    for one in (x, x.mT, x[:, :, :8]):
        got = orthogonalised(size * one, COEFFICIENTS, steps=4, eps=1e-7)
        if size < 1e-7:
            assert float(got.norm()) <= size * 1e11
            assert got.isfinite().all()
        else:
            torch.testing.assert_close(got, orthogonalised(one, COEFFICIENTS, steps=4, eps=1e-7))


@pytest.mark.parametrize("section", [AdamW(peak_lr=1e-2), Muon(peak_lr=1e-2)])
def test_an_optimizer_trains(section: AdamW | Muon) -> None:
    net = Net()
    losses = train(net, section.build(net), 80)
    assert sum(losses[-5:]) < 0.75 * sum(losses[:5])


@pytest.mark.parametrize("section", [AdamW(), Muon()])
def test_groups_keep_their_settings(section: AdamW | Muon) -> None:
    net = Net()
    optimizer = section.build(net)
    decay = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    assert decay[id(net.up.bias)] == decay[id(net.norm.weight)] == 0.0
    assert decay[id(net.up.weight)] == decay[id(net.embedding.weight)] == section.weight_decay
    assert sum(len(g["params"]) for g in optimizer.param_groups) == len(list(net.parameters()))


def test_muon_is_the_same_twice_and_over_a_checkpoint(tmp_path: Path) -> None:
    def prints(net: Net, optimizer: torch.optim.Optimizer) -> str:
        tensors = {"model": model_tensors(net), "optimizer": optimizer_tensors(optimizer, net)}
        return fingerprint(Snapshot(tensors, {}))

    whole, half, rest = Net(), Net(), Net()
    a, b, c = (Muon(peak_lr=1e-2).build(n) for n in (whole, half, rest))
    losses = train(whole, a, 8)
    assert train(half, b, 3) == losses[:3]
    saved = {"model": model_tensors(half), "optimizer": optimizer_tensors(b, half)}
    write(tmp_path / "saved", Snapshot(saved, {}))
    loaded = read(tmp_path / "saved").tensors
    rest.load_state_dict(loaded["model"])
    restore_optimizer(c, rest, loaded["optimizer"])
    assert train(rest, c, 5, start=3) == losses[3:]
    assert prints(whole, a) == prints(rest, c)


def test_muon_without_a_matrix_is_refused() -> None:
    with pytest.raises(LabError, match="use adamw"):
        Muon(adamw=("*",)).build(Net())


def test_the_default_groups_may_match_nothing_but_written_ones_may_not() -> None:
    net = Net()
    AdamW().build(net)
    written = AdamW(group=(Group(match=("*.bias", "*.A_log"), weight_decay=0.0),))
    with pytest.raises(LabError, match=r"'\*.A_log' matches no parameter"):
        written.build(net)
