"""Word times from attention: constructed weights whose places are known, and the weights that a decoder reports."""

from __future__ import annotations

import itertools

import pytest
import torch

from asr_lab.nn.attention_decoder.cross_alignment import align_weights
from asr_lab.nn.attention_decoder.head import AttentionDecoderHead
from asr_lab.nn.decoder import Targets
from asr_lab.streaming import Frames


def peaks(ends: list[int], num_frames: int, heads: int = 2) -> torch.Tensor:
    """Each token's heads look at its frames, behind the token before it; the last one's are the end's."""
    weights = torch.full((heads, len(ends) + 1, num_frames), 0.01)
    weights[:, :, 0] = 0.5  # as decoders do: much of the weight rests where nothing is to be learned
    for token, (first, end) in enumerate(zip([0, *ends], [*ends, num_frames], strict=True)):
        weights[:, token, first:end] += 0.1
    return weights / weights.sum(-1, keepdim=True)


def test_tokens_are_where_they_are_looked_for() -> None:
    ends = [12, 20, 45]
    for (first, last), start, end in zip(align_weights(peaks(ends, 60)), [0, *ends], ends, strict=False):
        assert abs(first - start) <= 1
        assert abs(last + 1 - end) <= 1


def test_a_head_that_looks_everywhere_alike_changes_nothing() -> None:
    weights = peaks([12, 20, 45], 60)
    idle = torch.full((1, *weights.shape[1:]), 1 / 60)
    assert align_weights(torch.cat([weights, idle])) == align_weights(weights)


def test_frames_are_shared_out_completely_and_in_order() -> None:
    found = align_weights(torch.rand(3, 9, 40, generator=torch.Generator().manual_seed(0)).softmax(-1))
    assert found[0][0] == 0
    assert all(after[0] == before[1] + 1 for before, after in itertools.pairwise(found))
    assert align_weights(torch.ones(2, 1, 5)) == []
    with pytest.raises(ValueError, match="3 frames cannot hold 3 tokens and the end"):
        align_weights(torch.ones(1, 4, 3))


@torch.no_grad()
def test_a_decoder_reports_the_looks_that_its_text_comes_from() -> None:
    torch.manual_seed(0)
    head = AttentionDecoderHead(16, 9, num_layers=2, num_heads=4, max_tokens=8).double().eval()
    lengths, counts = torch.tensor([6, 4]), torch.tensor([3, 2])
    x = torch.randn(2, 6, 16).double()
    frames, targets = Frames.whole(x, lengths), Targets(torch.randint(2, 9, (2, 3)), counts)
    weights = head.attention_weights(frames, targets)
    assert weights.shape == (2, 2, 4, 4, 6)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 2, 4, 4).double())
    assert bool((weights[1, ..., 4:] == 0).all())
    sharp = AttentionDecoderHead(16, 9, num_layers=1, num_heads=1, max_tokens=8).double().eval()
    layer = sharp.layers[0]
    layer.cross_query.weight.zero_()
    layer.cross_query.bias.fill_(100.0)
    layer.cross_kv.weight.zero_()
    layer.cross_kv.weight[:16, 0] = 1.0  # a key is the frame's first value
    peaked = x.clone()
    peaked[..., 0] = -9.0
    peaked[0, 4, 0] = peaked[1, 2, 0] = 9.0
    where = sharp.attention_weights(frames.with_x(peaked), targets).argmax(-1)
    assert bool((where[0] == 4).all())
    assert bool((where[1] == 2).all())
