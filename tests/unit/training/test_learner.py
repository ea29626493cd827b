"""The loop: what a step is, what it skips, and that it goes on with the same bits."""

from __future__ import annotations

import math
from collections import deque
from itertools import islice
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch

from asr_lab.errors import CheckpointError, TrainingError
from asr_lab.training import state


def run(learner: Any, count: int | None = None) -> list[Any]:
    return list(islice(learner.steps(), count))


def tensors(learner: Any) -> dict[str, torch.Tensor]:
    return {name: t.clone() for name, t in state.model_tensors(learner.model).items()}


def test_the_loss_falls(lab: Any) -> None:
    reports = run(lab.learner(max_steps=60))
    assert reports[-1].loss < 0.7 * reports[0].loss
    assert [r.step for r in reports] == list(range(1, 61))
    assert [r.epoch for r in reports[:5]] == [0, 0, 0, 0, 1]
    assert not any(r.skipped for r in reports)


def test_a_step_of_one_batch_and_of_four_microbatches_has_the_same_gradient(lab: Any) -> None:
    class Cut(lab.data):  # type: ignore[misc]
        """The rows of one batch, cut into as many microbatches as wanted."""

        parts = 1

        def steps(self, epoch: int, start_step: int = 0) -> Any:
            for step in super().steps(epoch, start_step):
                (whole,) = step.batches
                rows = torch.arange(self.rows).chunk(self.parts)
                cut = tuple(
                    whole._replace(
                        audio=whole.audio[r],
                        audio_lengths=whole.audio_lengths[r],
                        targets=whole.targets.each(lambda one, r=r: one[r]),
                        ids=tuple(whole.ids[i] for i in r),
                        keys=tuple(whole.keys[i] for i in r),
                    )
                    for r in rows
                )
                yield attrs.evolve(step, batches=cut, places=tuple(range(len(cut))), rounds=len(cut))

    class CutInFour(Cut):
        parts = 4

    one = lab.learner(data=Cut(1, 8), dropout=0.0, max_steps=1)
    four = lab.learner(data=CutInFour(1, 8), dropout=0.0, max_steps=1)
    (a,), (b,) = run(one), run(four)
    assert (a.num_microbatches, b.num_microbatches) == (1, 4)
    assert a.loss == pytest.approx(b.loss, rel=1e-6)
    assert a.grad_norm == pytest.approx(b.grad_norm, rel=1e-5)
    for name, moment in state.optimizer_tensors(one.optimizer, one.model).items():
        other = state.optimizer_tensors(four.optimizer, four.model)[name]
        torch.testing.assert_close(moment, other, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("cut", [1, 4, 5, 9])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_run_that_was_saved_and_loaded_ends_with_the_same_bits(
    lab: Any, tmp_path: Path, cut: int, precision: str
) -> None:
    whole = lab.learner(precision=precision)
    losses = [r.loss for r in run(whole)]
    first = lab.learner(precision=precision)
    head = [r.loss for r in run(first, cut)]
    first.save(tmp_path / "saved")
    second = lab.learner(precision=precision)
    torch.manual_seed(12345)  # what others drew in between does not matter
    second.load(tmp_path / "saved")
    assert second.fingerprint() == first.fingerprint()
    tail = [r.loss for r in run(second)]
    assert head + tail == losses
    assert second.fingerprint() == whole.fingerprint()


def test_the_fingerprint_sees_weights_moments_average_and_cursor(lab: Any) -> None:
    learner = lab.learner()
    run(learner, 3)
    seen = {learner.fingerprint()}
    changes = [
        learner.model.encoder.layers[0].linear.bias,
        learner.optimizer.state[learner.model.encoder.layers[0].linear.bias]["exp_avg"],
        learner.average.module.encoder.layers[0].linear.bias,
    ]
    for tensor in changes:
        with torch.no_grad():
            tensor[0] += 1e-3
        seen.add(learner.fingerprint())
    learner.progress.epoch_step += 1
    seen.add(learner.fingerprint())
    assert len(seen) == 5
    learner.progress.wall_s += 1.0
    assert learner.fingerprint() in seen


def test_evaluating_between_steps_changes_nothing(lab: Any) -> None:
    quiet, busy = lab.learner(), lab.learner()
    run(quiet)
    for _ in busy.steps():
        busy.averaged().eval()
        busy.model.eval()
        torch.rand(100)
    assert busy.fingerprint() == quiet.fingerprint()


def test_contexts_are_drawn_by_weight_and_step(lab: Any) -> None:
    reports = run(lab.learner(max_steps=120))
    share = sum(r.context.is_whole for r in reports) / len(reports)
    assert 0.2 < share < 0.47  # weights 1 : 2
    again = run(lab.learner(max_steps=20))
    assert [r.context for r in again] == [r.context for r in reports[:20]]


def test_a_step_with_a_loss_that_is_not_finite_leaves_everything_as_it_was(lab: Any) -> None:
    learner = lab.learner(data=lab.data(poison=(2,)))
    steps = learner.steps()
    list(islice(steps, 2))
    before = tensors(learner) | state.optimizer_tensors(learner.optimizer, learner.model)
    before = {k: v.clone() for k, v in before.items()}
    report = next(steps)
    assert report.skipped
    assert report.cause == "the loss is nan"
    assert set(report.suspects) == {"0-2-0-0", "0-2-1-0"}
    assert report.record()["skipped"] is True
    after = tensors(learner) | state.optimizer_tensors(learner.optimizer, learner.model)
    assert all(torch.equal(before[k], after[k]) for k in before)
    assert all(p.grad is None for p in learner.model.parameters())
    assert not any(r.skipped for r in steps)
    assert learner.progress.num_nonfinite == 1


def test_too_many_such_steps_stop_the_run_with_their_cause(lab: Any, tmp_path: Path) -> None:
    learner = lab.learner(data=lab.data(poison=(1, 2, 5)), max_nonfinite=2)
    reports: list[Any] = []
    steps = map(reports.append, learner.steps())
    with pytest.raises(TrainingError, match=r"3 steps were skipped.*step 6: the loss is nan .*1-1-0-0"):
        deque(steps)
    assert [r.step for r in reports if r.skipped] == [2, 3, 6]
    learner.save(tmp_path / "saved")
    resumed = lab.learner(data=lab.data(), max_nonfinite=2)
    resumed.load(tmp_path / "saved")
    with pytest.raises(TrainingError, match="3 steps were skipped"):
        next(resumed.steps())


def test_a_gradient_that_is_not_finite_names_the_parameter(lab: Any) -> None:
    learner = lab.learner()
    weight = learner.model.encoder.layers[1].linear.weight
    weight.register_hook(lambda gradient: gradient * math.inf)
    report = next(learner.steps())
    assert report.skipped
    assert "encoder.layers.1.linear.weight" in report.cause
    assert len(report.suspects) == report.num_utterances
    assert math.isfinite(report.loss)


def test_an_overflow_under_fp16_lowers_the_scale_and_is_not_counted(lab: Any) -> None:
    learner = lab.learner(precision="fp16", max_steps=20)
    learner.scaler.load_state_dict(learner.scaler.state_dict() | {"scale": 2.0**28})
    reports = run(learner)
    assert reports[0].skipped
    assert "overflow at loss scale" in reports[0].cause
    assert not reports[-1].skipped
    assert reports[-1].loss_scale < 2.0**28
    assert learner.progress.num_nonfinite == 0


def test_an_epoch_without_a_step_is_named(lab: Any) -> None:
    with pytest.raises(TrainingError, match="epoch 0 has 0 steps"):
        next(lab.learner(data=lab.data(steps=0)).steps())


def test_a_step_without_a_usable_utterance_is_passed_over(lab: Any) -> None:
    learner = lab.learner(data=lab.data(microbatches=0), max_steps=3)
    before = tensors(learner)
    reports = run(learner)
    assert [r.cause for r in reports] == ["no usable utterance in the step"] * 3
    assert all(torch.equal(t, before[n]) for n, t in tensors(learner).items())
    assert learner.progress.num_nonfinite == 0


def test_gradients_are_clipped_as_torch_clips_them(lab: Any) -> None:
    loose = lab.learner(clip_norm=None, optimizer=lambda m: torch.optim.SGD(m.parameters(), lr=1.0), max_steps=1)
    tight = lab.learner(clip_norm=0.01, optimizer=lambda m: torch.optim.SGD(m.parameters(), lr=1.0), max_steps=1)
    start = tensors(loose)
    (report,) = run(loose)
    run(tight)
    for name, before in start.items():
        gradient = before - tensors(loose)[name]
        moved = before - tensors(tight)[name]
        torch.testing.assert_close(moved, gradient * 0.01 / (report.grad_norm + 1e-6), rtol=1e-3, atol=1e-6)


def test_the_schedule_is_given_step_and_share_and_groups_keep_their_scale(lab: Any) -> None:
    seen = []

    def schedule(step: int, share: float) -> float:
        seen.append((step, share))
        return 0.5

    def optimizer(model: torch.nn.Module) -> torch.optim.Optimizer:
        first, *rest = model.parameters()
        groups: list[dict[str, Any]] = [{"params": [first], "lr_scale": 0.1}, {"params": rest}]
        return torch.optim.AdamW(groups, lr=1e-2)

    learner = lab.learner(schedule=schedule, optimizer=optimizer, max_steps=8)
    reports = run(learner)
    assert seen == [(k, k / 8) for k in range(8)]
    assert reports[0].lr == pytest.approx(5e-3)
    assert [g["lr"] for g in learner.optimizer.param_groups] == pytest.approx([5e-4, 5e-3])


def test_a_checkpoint_of_another_model_is_refused_by_name(lab: Any, tmp_path: Path) -> None:
    learner = lab.learner()
    learner.save(tmp_path / "saved")
    other = lab.learner()
    other.model.heads[0].output = torch.nn.Linear(16, 9)
    with pytest.raises(CheckpointError, match=r"heads.0.output.weight: float32 \(9, 16\) here, float32 \(7, 16\)"):
        other.load(tmp_path / "saved")
    with pytest.raises(CheckpointError, match="average: the checkpoint has one, here has none"):
        lab.learner(average_decay=None).load(tmp_path / "saved")


def test_a_report_becomes_a_line_of_metrics(lab: Any) -> None:
    report = next(lab.learner().steps())
    record = report.record()
    assert record["step"] == 1
    assert record["loss_ctc"] == pytest.approx(record["loss"])
    shares = [record[f"time_{phase}"] for phase in ("data", "forward", "backward", "optimizer")]
    assert sum(shares) == pytest.approx(1.0)
    assert 0 <= record["padded"] < 1
    assert record["audio_s_per_s"] > 0


@pytest.mark.parametrize("optimizer", ["fused", "foreach", "sgd"])
def test_any_torch_optimizer_resumes_exactly(lab: Any, tmp_path: Path, optimizer: str) -> None:
    def build(model: torch.nn.Module) -> torch.optim.Optimizer:
        if optimizer == "sgd":
            return torch.optim.SGD(model.parameters(), lr=1e-2, momentum=0.9)
        return torch.optim.AdamW(
            model.parameters(), lr=1e-2, fused=optimizer == "fused", foreach=optimizer == "foreach"
        )

    whole, first, second = (lab.learner(optimizer=build) for _ in range(3))
    run(whole)
    run(first, 6)
    first.save(tmp_path / "saved")
    second.load(tmp_path / "saved")
    run(second)
    assert second.fingerprint() == whole.fingerprint()
