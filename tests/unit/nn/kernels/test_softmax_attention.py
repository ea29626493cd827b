"""Attention with its gradient written out, against torch's."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from asr_lab.nn.kernels.dropout import keep
from asr_lab.nn.kernels.softmax_attention import lined_up, softmax_attention
from asr_lab.nn.positions import DistanceScores, distance_sinusoids, sinusoids

ROWS, QUERIES, LEFT, HEADS, WIDTH = 2, 5, 3, 2, 4
KEYS = LEFT + QUERIES


def inputs() -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    q = torch.randn(ROWS, QUERIES, HEADS, WIDTH, dtype=torch.float64, requires_grad=True)
    kv = torch.randn(ROWS, KEYS, 2, HEADS, WIDTH, dtype=torch.float64, requires_grad=True)
    by_distance = torch.randn(HEADS, ROWS, QUERIES, KEYS + QUERIES, dtype=torch.float64, requires_grad=True)
    visible = (torch.rand(ROWS, QUERIES, KEYS) < 0.6) | (torch.arange(KEYS) == torch.arange(QUERIES)[:, None])
    kept = keep((ROWS * HEADS, QUERIES, KEYS), 0.3, torch.float64, q.device)
    return q, kv, visible, by_distance, kept


@pytest.mark.parametrize("with_distance", [False, True])
@pytest.mark.parametrize("with_dropout", [False, True])
def test_value_and_gradients_are_those_of_the_written_out_softmax(with_distance: bool, with_dropout: bool) -> None:
    q, kv, visible, by_distance, kept = inputs()
    k, v = kv.unbind(2)
    scores = torch.einsum("bqhk,bwhk->bhqw", q, k) / math.sqrt(WIDTH)
    if with_distance:
        for i in range(QUERIES):
            scores[:, :, i] += by_distance[:, :, i, QUERIES - i : QUERIES - i + KEYS].transpose(0, 1)
    weights = scores.masked_fill(~visible[:, None], -math.inf).softmax(-1)
    weights = weights * kept.view(weights.shape) if with_dropout else weights
    expected = torch.einsum("bhqw,bwhk->bqhk", weights, v)
    found = softmax_attention(q, kv, visible, by_distance if with_distance else None, kept if with_dropout else None)
    torch.testing.assert_close(found, expected)
    wanted = [q, kv, by_distance] if with_distance else [q, kv]
    along = torch.randn_like(expected)
    for gradient, other in zip(
        torch.autograd.grad(found, wanted, along), torch.autograd.grad(expected, wanted, along), strict=True
    ):
        torch.testing.assert_close(gradient, other)


def test_it_is_torchs_attention_where_all_queries_see_the_same() -> None:
    q, kv, visible, _, _ = inputs()
    visible = visible[:, :1] | (torch.arange(KEYS) == 0)
    k, v = (x.transpose(1, 2) for x in kv.unbind(2))
    expected = F.scaled_dot_product_attention(q.transpose(1, 2), k, v, visible[:, None]).transpose(1, 2)
    torch.testing.assert_close(softmax_attention(q, kv, visible, None, None), expected)


@pytest.mark.parametrize("rows", [1, 60])
def test_scores_by_distance_are_the_same_in_either_order_of_their_products(rows: int) -> None:
    torch.manual_seed(0)
    scores = DistanceScores(16, 2).double()
    torch.nn.init.normal_(scores.bias)
    q = torch.randn(rows, 1, 2, 8, dtype=torch.float64)
    found = lined_up(scores(q, 6))[:, :, 0]  # (H, b, W)
    r = scores.project(sinusoids(torch.arange(6, -1, -1), 16, torch.float64)).view(7, 2, 8)
    torch.testing.assert_close(found, torch.einsum("bhk,whk->hbw", q[:, 0] + scores.bias, r) / math.sqrt(8))


def test_what_a_live_session_remembers_of_distances_can_be_trained_with() -> None:
    with torch.inference_mode():
        distance_sinusoids(3, 3, 8, torch.float32, torch.device("cpu"))
    scores = DistanceScores(8, 2)
    scores(torch.randn(9, 1, 2, 4), 2).sum().backward()
    assert scores.project.weight.grad is not None
