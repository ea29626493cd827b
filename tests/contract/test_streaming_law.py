"""Any legal way of cutting the input gives the same frames: every layer of every slot."""

from __future__ import annotations

import law
import pytest
import torch
from cases import whole_only
from law import Case

from asr_lab.streaming import Context, Frames

CUTS = [(torch.float64, 1), (torch.float64, 2), (torch.float32, 1)]


@pytest.mark.parametrize(("dtype", "seed"), CUTS, ids=["float64-1", "float64-2", "float32-1"])
def test_any_cut_gives_the_same_frames(cuttable: Case, context: Context, dtype: torch.dtype, seed: int) -> None:
    law.check_cuts(cuttable, context, dtype, seed)


def test_the_finest_cut_gives_the_same_frames_from_a_state_of_constant_size(cuttable: Case, context: Context) -> None:
    law.check_hop_by_hop(cuttable, context)


@pytest.mark.parametrize(("dtype", "most"), [(torch.float64, 12), (torch.float64, 400), (torch.float32, 90)], ids=str)
def test_a_waveform_may_come_in_pieces_of_any_size(waveform_case: Case, dtype: torch.dtype, most: int) -> None:
    law.check_any_size(waveform_case, dtype, most, seed=most)


@pytest.mark.prove
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_a_waveform_may_come_sample_by_sample(waveform_case: Case, dtype: torch.dtype) -> None:
    law.check_any_size(waveform_case, dtype, most=1, seed=1)


def test_gradients_through_carried_state_are_those_of_one_long_step(cuttable: Case, context: Context) -> None:
    law.check_gradients(cuttable, context)


def test_an_idle_row_keeps_its_state_bit_for_bit(cuttable: Case, context: Context) -> None:
    law.check_idle_rows(cuttable, context)


def test_a_full_batch_may_say_so_and_nothing_changes(cuttable: Case, context: Context) -> None:
    law.check_full(cuttable, context)


def test_rows_may_change_places_between_steps(cuttable: Case, context: Context) -> None:
    law.check_order(cuttable, context)


def test_padding_is_never_read(case: Case, context: Context) -> None:
    law.check_padding(case, context)


def test_a_row_does_not_depend_on_its_batch_mates(case: Case, context: Context) -> None:
    law.check_batch_mates(case, context)


def test_only_layers_with_a_reason_need_whole_utterances(case: Case) -> None:
    layer = case.layer(torch.float32)
    refused = [c for c in case.contexts if not c.is_whole and layer.hop_frames(c) is None]
    if whole_only(case.name):
        assert refused, f"{case.name} streams: take it off the list"
        assert case.whole_because, f"{case.name} must say why it needs whole utterances (whole_because)"
    else:
        assert not refused, f"{case.name} needs whole utterances in {refused[0]} and is not on the list with a reason"
        assert case.whole_because is None, f"{case.name} streams, and whole_because says otherwise"


def test_the_number_of_frames_follows_from_the_ratio(case: Case) -> None:
    layer = case.layer(torch.float32)
    per = layer.ratio.denominator
    shape = () if case.dim is None else (case.dim,)
    for context in case.contexts:
        frames = Frames.whole(case.scale * torch.randn(1, 6 * per, *shape))
        given = int(law.run_whole(layer, frames, context).lengths)
        assert abs(given - 6 * layer.ratio.numerator) <= (2 if case.dim is None else 0)
