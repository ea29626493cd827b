"""The checks themselves: each finds a layer that breaks its part of the law."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import law
import pytest
import torch
from law import Case
from torch import Tensor, nn

from asr_lab.streaming import Context, Frames, Streamable, last_valid

CONTEXT = Context(4, 8)


class PastState(NamedTuple):
    """The last frame."""

    past: Tensor


class Lawful(Streamable[PastState]):
    """The present frame plus weighted last one; the broken layers below change one thing each."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def initial_state(self, batch: int, context: Context) -> PastState:
        return PastState(self.weight.new_zeros(batch, 1, 3))

    def forward(self, state: PastState, chunk: Frames, context: Context) -> tuple[PastState, Frames]:
        x = torch.cat([state.past, self.read(chunk)], 1)
        return self.kept(x, chunk), chunk.with_x(self.mixed(x[:, 1:] + self.weight * x[:, :-1], chunk))

    def read(self, chunk: Frames) -> Tensor:
        """What of the step is looked at."""
        return chunk.valid()

    def kept(self, x: Tensor, chunk: Frames) -> PastState:
        """What is carried on."""
        return PastState(last_valid(x, chunk, 1))

    def mixed(self, y: Tensor, chunk: Frames) -> Tensor:
        """What is given."""
        return y


class Forgets(Lawful):
    """Begins anew with each step."""

    def kept(self, x: Tensor, chunk: Frames) -> PastState:
        return PastState(torch.zeros_like(x[:, :1]))


class KeepsPadding(Lawful):
    """Carries on the last column, valid or not."""

    def kept(self, x: Tensor, chunk: Frames) -> PastState:
        return PastState(x[:, -1:])


class ReadsPadding(Lawful):
    """Adds the mean of each row, padding and all."""

    def mixed(self, y: Tensor, chunk: Frames) -> Tensor:
        return y + chunk.x.nansum(1, keepdim=True) + torch.isnan(chunk.x).sum(1, keepdim=True)


class MixesRows(Lawful):
    """Adds the batch's mean."""

    def mixed(self, y: Tensor, chunk: Frames) -> Tensor:
        return y + chunk.valid().mean((0, 1))


class LooksAhead(Lawful):
    """Adds the sum of the step."""

    def mixed(self, y: Tensor, chunk: Frames) -> Tensor:
        return y + chunk.valid().sum(1, keepdim=True)


class Detaches(Lawful):
    """Lets no gradient through its state."""

    def kept(self, x: Tensor, chunk: Frames) -> PastState:
        return PastState(last_valid(x, chunk, 1).detach())


class Grows(Lawful):
    """Keeps all it has seen."""

    def initial_state(self, batch: int, context: Context) -> PastState:
        return PastState(self.weight.new_zeros(batch, 1, 3))

    def kept(self, x: Tensor, chunk: Frames) -> PastState:
        last = last_valid(x, chunk, 1)
        return PastState(torch.cat([x[:, : x.shape[1] - chunk.x.shape[1]], last], 1))

    def forward(self, state: PastState, chunk: Frames, context: Context) -> tuple[PastState, Frames]:
        _, out = super().forward(PastState(state.past[:, -1:]), chunk, context)
        return self.kept(torch.cat([state.past, chunk.valid()], 1), chunk), out


def cuts(case: Case) -> None:
    law.check_cuts(case, CONTEXT, torch.float64, seed=1)


def check(function: Callable[..., None]) -> Callable[[Case], None]:
    """The check in the one context."""
    return lambda case: function(case, CONTEXT)


BROKEN: list[tuple[type[Lawful], Callable[[Case], None]]] = [
    (Forgets, cuts),
    (LooksAhead, cuts),
    (KeepsPadding, cuts),
    (Forgets, check(law.check_hop_by_hop)),
    (Grows, check(law.check_hop_by_hop)),
    (ReadsPadding, check(law.check_padding)),
    (MixesRows, check(law.check_batch_mates)),
    (KeepsPadding, check(law.check_idle_rows)),
    (Forgets, check(law.check_order)),
    (Detaches, check(law.check_gradients)),
]


def case_of(kind: type[Streamable[Any]]) -> Case:
    return Case(kind.__name__, kind, 3, (CONTEXT,))


@pytest.mark.parametrize(("kind", "broken"), BROKEN, ids=[kind.__name__ + str(i) for i, (kind, _) in enumerate(BROKEN)])
def test_a_layer_that_breaks_the_law_is_found(kind: type[Lawful], broken: Callable[[Case], None]) -> None:
    broken(case_of(Lawful))
    with pytest.raises(AssertionError):
        broken(case_of(kind))


def test_random_steps_are_legal_and_cover_what_can_happen() -> None:
    layer = Lawful()
    layer.hop_frames = lambda context: 4  # type: ignore[method-assign]
    layer.lookahead_frames = 3
    case = case_of(Lawful)
    frames = case.utterances(layer, CONTEXT, torch.float64)
    seen = {"idle": 0, "empty end": 0, "partial end": 0, "late start": 0}
    for seed in range(20):
        given = [0] * frames.batch
        ended = [False] * frames.batch
        for number, step in enumerate(law.random_steps(layer, frames, CONTEXT, seed)):
            for row, (count, final) in enumerate(zip(step.lengths.tolist(), step.final.tolist(), strict=True)):
                assert not (ended[row] and (count or final)), "a row went on after its end"
                seen["late start"] += given[row] == 0 and count > 0 and number > 0
                given[row] += count
                ended[row] |= final
                if not ended[row]:
                    assert given[row] == 0 or (given[row] - 3) % 4 == 0, "a step that is not legal"
                seen["idle"] += count == 0 and not ended[row]
                seen["empty end"] += count == 0 and final
                seen["partial end"] += final and (given[row] - 3) % 4 != 0
        assert given == frames.lengths.tolist()
        assert all(ended)
    assert all(seen.values()), seen
