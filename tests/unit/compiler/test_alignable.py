"""Which texts fit into the frames that an utterance gives its decoders."""

from __future__ import annotations

import pytest

from asr_lab.compiler.build import alignable
from asr_lab.compiler.load import checked
from asr_lab.config.load import loads
from asr_lab.recipe import Recipe

TEXT = """\
name = "alignable"
features = { type = "log_mel", num_mels = 40 }
tokenizer = { type = "chars" }

[encoder]
dim = 32
stem = { type = "depthwise_stride", factor = 8 }
stack = [{ blocks = ["a", "up", "a"] }]
block.a = { type = "macaron", mixer = { type = "attention" } }
block.up = { type = "upsample", factor = 3 }

[data]
train = [{ type = "folder", path = "a" }]

[train]
max_steps = 10
batch_s = 10
"""
SECOND = 16000


@pytest.mark.parametrize(("taps", "most"), [([None], 39), ([2], 39), ([1], 13), ([None, 1], 13), ([None, 2], 39)])
def test_a_text_must_fit_where_each_decoder_reads(taps: list[int | None], most: int) -> None:
    decoders = "".join(f'[[decoder]]\ntype = "ctc"\n{"" if tap is None else f"tap = {tap}"}\n' for tap in taps)
    recipe = checked(loads(TEXT + decoders, Recipe, "x.toml")).value
    fits = alignable(recipe.features, recipe.encoder, recipe.decoder)
    # A second is 100 feature frames: 13 after the stem, 39 after the upsampling.
    text = list(range(2, 2 + most))
    assert fits(SECOND, text)
    assert not fits(SECOND, [*text, 99])
    assert not fits(SECOND, [*text[:-1], text[-2]])  # equal neighbours need a blank between them
