"""What the loop draws, to the number: a run that is repeated by a later version draws the same."""

from __future__ import annotations

import pytest
import torch

from asr_lab.training.randomness import draw_context, rng_state, seed_torch, set_rng_state


def test_contexts_are_drawn_from_seed_and_step() -> None:
    drawn = [draw_context([("a", 1.0), ("b", 2.0), ("c", 1.0)], 17, step) for step in range(16)]
    assert "".join(drawn) == "bbbabccbcbbbccbb"
    drawn = [draw_context([("a", 1.0), ("b", 1.0)], 18, step) for step in range(16)]
    assert "".join(drawn) == "aababaabbaaabbaa"
    assert draw_context([("only", 0.5)], 17, 0) == "only"


@pytest.mark.parametrize(
    ("key", "seed"),
    [
        ((17, 0, 0), 1680359943503984283),
        ((17, 1, 0), 9108340078856303321),
        ((17, 0, 1), 7905580056056226514),
        ((18, 0, 0), 6614908550691501549),
    ],
)
def test_dropout_is_seeded_by_seed_step_and_microbatch(key: tuple[int, int, int], seed: int) -> None:
    before = rng_state()
    seed_torch(*key, torch.device("cpu"))
    assert torch.initial_seed() == seed
    set_rng_state(before)
    assert torch.equal(torch.get_rng_state(), before["cpu"])
