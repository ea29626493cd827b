"""The parts of the loop, each alone: averages, limits, draws, precision, determinism, first weights."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from asr_lab.errors import CheckpointError, LabError
from asr_lab.training import PrecisionManager, checkpoint, get_precision_manager, randomness
from asr_lab.training.arithmetic import Arithmetic
from asr_lab.training.average import WeightAverage
from asr_lab.training.determinism import apply_determinism
from asr_lab.training.init import initialise
from asr_lab.training.limits import Limits, Progress
from asr_lab.training.rank import Rank
from asr_lab.training.state import mismatches
from asr_lab.training.store import CheckpointStore
from asr_lab.training.weights import load_weights, weights_of


def test_an_average_is_the_sum_that_it_claims() -> None:
    model = nn.Linear(3, 2)
    model.bias.requires_grad_(False)
    average = WeightAverage(model, 0.5)
    expected = model.weight.detach().clone()
    for n in range(20):
        with torch.no_grad():
            model.weight += torch.randn(2, 3)
        average.update()
        decay = min(0.5, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * model.weight.detach()
    torch.testing.assert_close(average.present().weight, expected)
    assert set(average.tensors()) == {"weight"}
    assert not any(p.requires_grad for p in average.module.parameters())


def test_the_averaged_model_is_another_and_in_eval_mode(lab: Any) -> None:
    learner = lab.learner()
    list(islice(learner.steps(), 3))
    averaged = learner.averaged()
    assert averaged is not learner.model
    assert not averaged.training
    assert learner.model.training
    bare = lab.learner(average_decay=None)
    assert bare.averaged() is bare.model


def test_the_share_is_that_of_the_nearest_limit() -> None:
    now = Progress(step=30, epoch=1, epoch_step=5, audio_s=1800.0, wall_s=30.0)
    assert Limits(max_epochs=4).share(now, 10) == pytest.approx(1.5 / 4)
    assert Limits(max_steps=60).share(now, 10) == pytest.approx(0.5)
    assert Limits(max_audio_h=1.0).share(now, 10) == pytest.approx(0.5)
    assert Limits(max_epochs=4, max_steps=60, max_audio_h=5.0).share(now, 10) == pytest.approx(0.5)
    assert Limits(max_epochs=4, max_wall_min=0.6).share(now, 10) == pytest.approx(1.5 / 4)
    assert Limits(max_wall_min=2.0).share(now, 10) == pytest.approx(0.25)
    assert Limits(max_steps=3).share(now, 10) == 1.0
    with pytest.raises(ValueError, match="needs a limit"):
        Limits()


def test_a_run_ends_at_the_first_limit() -> None:
    limits = Limits(max_epochs=4, max_steps=60, max_audio_h=1.0, max_wall_min=1.0)
    assert not limits.reached(Progress(step=59, epoch=3, audio_s=3599.0, wall_s=59.0))
    for reached in (Progress(step=60), Progress(epoch=4), Progress(audio_s=3600.0), Progress(wall_s=60.0)):
        assert limits.reached(reached)


def test_epochs_end_the_run_and_the_cursor_is_at_the_start_of_the_next(lab: Any) -> None:
    learner = lab.learner(max_steps=None, max_epochs=2)
    reports = list(learner.steps())
    assert len(reports) == 8
    assert (learner.progress.epoch, learner.progress.epoch_step) == (2, 0)
    assert reports[-1].share == pytest.approx(7 / 8)
    assert list(learner.steps()) == []


def test_contexts_come_as_often_as_their_weights_say() -> None:
    choices = [("a", 1.0), ("b", 2.0), ("c", 0.5)]
    drawn = Counter(randomness.draw_context(choices, 5, step) for step in range(3500))
    assert drawn["a"] == pytest.approx(1000, rel=0.1)
    assert drawn["b"] == pytest.approx(2000, rel=0.1)
    assert drawn["c"] == pytest.approx(500, rel=0.15)


def test_the_context_of_a_step_depends_on_seed_and_step_alone() -> None:
    choices = [("a", 1.0), ("b", 2.0), ("c", 0.5)]
    steps = list(range(200))
    drawn = {seed: [randomness.draw_context(choices, seed, step) for step in steps] for seed in (5, 6)}
    torch.manual_seed(0)
    again = {step: randomness.draw_context(choices, 5, step) for step in reversed(steps)}
    assert [again[step] for step in steps] == drawn[5] != drawn[6]
    before = torch.get_rng_state()
    randomness.draw_context(choices, 5, 0)
    assert torch.equal(torch.get_rng_state(), before)
    scaled = [(name, 7 * weight) for name, weight in choices]
    assert [randomness.draw_context(scaled, 5, step) for step in steps] == drawn[5]


def test_dropout_depends_on_seed_step_and_microbatch_alone() -> None:
    seen = {}
    for key in [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]:
        randomness.seed_torch(*key, torch.device("cpu"))
        seen[key] = tuple(torch.rand(4).tolist())
        torch.rand(7)
        randomness.seed_torch(*key, torch.device("cpu"))
        assert tuple(torch.rand(4).tolist()) == seen[key]
    assert len(set(seen.values())) == 4


@pytest.mark.parametrize(("name", "dtype"), [("fp32", None), ("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_a_precision_decides_the_products_and_not_the_weights(name: str, dtype: torch.dtype | None) -> None:
    precision = get_precision_manager(name)
    assert isinstance(precision, PrecisionManager)
    layer = nn.Linear(8, 8)
    with precision.autocast("cpu"):
        assert layer(torch.randn(2, 8)).dtype == (dtype or torch.float32)
    assert layer.weight.dtype == torch.float32
    assert (precision.scaler("cpu") is not None) == (name == "fp16")
    with pytest.raises(LabError, match="no precision called 'fp7'"):
        get_precision_manager("fp7")


def test_a_precision_without_a_device_takes_the_one_there_is() -> None:
    with get_precision_manager("bf16").autocast():
        kind = "cuda" if torch.cuda.is_available() else "cpu"
        assert torch.is_autocast_enabled(kind)


def test_fp32_means_32_bits_inside_another_region() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16), get_precision_manager("fp32").autocast("cpu"):
        assert (torch.randn(2, 2) @ torch.randn(2, 2)).dtype == torch.float32


def test_determinism_is_set_and_recorded() -> None:
    cpu = torch.device("cpu")
    try:
        record = apply_determinism(Arithmetic("bitwise"), cpu)
        assert torch.are_deterministic_algorithms_enabled()
        assert record["level"] == "bitwise"
        assert record["threads"] == torch.get_num_threads()
        assert "same bits" in record["promise"]
        assert record["repeats"]
        assert len(record["probe"]) == 64
    finally:
        apply_determinism(Arithmetic("seeded"), cpu)
    assert not torch.are_deterministic_algorithms_enabled()
    with pytest.raises(LabError, match="no level 'always'"):
        Arithmetic("always")


def test_first_weights_come_from_a_run_and_say_so(lab: Any, tmp_path: Path) -> None:
    learner = lab.learner()
    list(islice(learner.steps(), 4))
    store = CheckpointStore(tmp_path / "run" / "checkpoints")
    store.save(learner.snapshot(), rank=Rank(0.3))
    model = lab.model()
    fresh = model.heads[0].output.weight.detach().clone() + 1
    with torch.no_grad():
        model.heads[0].output.weight.copy_(fresh)
    lineage = initialise(model, tmp_path / "run", skip=["heads.*"], freeze=["encoder.layers.0.*"])
    averaged = dict(learner.averaged().named_parameters())
    assert torch.equal(model.encoder.layers[0].linear.weight, averaged["encoder.layers.0.linear.weight"])
    assert torch.equal(model.heads[0].output.weight, fresh)
    assert lineage.step == 4
    assert lineage.averaged
    assert "heads.0.output.weight" in lineage.fresh
    assert set(lineage.frozen) == {n for n, _ in model.named_parameters() if n.startswith("encoder.layers.0.")}
    assert all(p.requires_grad != n.startswith("encoder.layers.0.") for n, p in model.named_parameters())


def test_weights_that_do_not_fit_are_all_named(lab: Any, tmp_path: Path) -> None:
    learner = lab.learner()
    learner.save(tmp_path / "saved")
    model = lab.model()
    model.heads[0].output = nn.Linear(16, 9)
    with pytest.raises(CheckpointError) as caught:
        initialise(model, tmp_path / "saved")
    assert "heads.0.output.weight: float32 (9, 16) here, float32 (7, 16) in the checkpoint" in str(caught.value)
    assert "heads.0.output.bias" in str(caught.value)
    assert "init.skip" in str(caught.value)
    with pytest.raises(LabError, match=r"init.skip: 'head.\*' matches no parameter; near it: heads.0"):
        initialise(model, tmp_path / "saved", skip=["head.*"])
    with pytest.raises(LabError, match=r"init\.freeze"):
        initialise(model, tmp_path / "saved", skip=["heads.*"], freeze=["enc.*"])
    with pytest.raises(CheckpointError, match="neither a checkpoint nor a run"):
        initialise(model, tmp_path)


def test_weights_that_are_not_finite_are_refused_by_name(lab: Any, tmp_path: Path) -> None:
    learner = lab.learner()
    with torch.no_grad():
        learner.average.tensors()["heads.0.output.bias"][:2] = torch.tensor([torch.nan, torch.inf])
    learner.save(tmp_path / "saved")
    with pytest.raises(CheckpointError, match=r"heads\.0\.output\.bias: 2 of its values are not finite"):
        initialise(lab.model(), tmp_path / "saved")
    initialise(lab.model(), tmp_path / "saved", skip=["heads.*"])


def test_names_out_of_a_file_are_escaped_and_short() -> None:
    names = ["\x1b[2Jgone", "n" * 5000, *(f"stranger.{i}" for i in range(200))]
    lines = mismatches({}, dict.fromkeys(names, torch.zeros(1)))
    assert lines[0] == "\\x1b[2Jgone: in the checkpoint only"
    assert max(map(len, lines)) < 110
    assert lines[-1] == "… and 162 more"


def test_a_model_for_evaluation_gets_averaged_or_last_weights(lab: Any, tmp_path: Path) -> None:
    learner = lab.learner()
    list(islice(learner.steps(), 3))
    learner.save(tmp_path / "saved")
    for averaged, source in ((True, learner.averaged()), (False, learner.model)):
        model = lab.model()
        load_weights(model, weights_of(checkpoint.read(tmp_path / "saved"), averaged=averaged), "saved")
        for mine, theirs in zip(model.parameters(), source.parameters(), strict=True):
            assert torch.equal(mine, theirs)
