"""The training loop: a generator of step reports."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import attrs
import torch
from torch.optim import Optimizer

from asr_lab.errors import CheckpointError, TrainingError
from asr_lab.models.model import SpeechModel
from asr_lab.streaming import Streamable
from asr_lab.training import checkpoint, randomness, state
from asr_lab.training.arithmetic import FAST, Arithmetic
from asr_lab.training.forward_backward import (
    FeatureAugmentation,
    ForwardBackward,
    StepLosses,
    TrainingSteps,
)
from asr_lab.training.limits import Limits, Progress
from asr_lab.training.parallel.strategy import SharedStep, Strategy
from asr_lab.training.precision import PrecisionManager
from asr_lab.training.report import StepReport
from asr_lab.training.stopwatch import Stopwatch
from asr_lab.training.update import Measured, OptimizerUpdate


class Learner:
    """A model in training: its weights, optimizer, averages and place in the data.

    A step is a function of the state alone: contexts are drawn from (seed, step), dropout from (seed, step,
    microbatch), augmentation from each utterance's key. So a learner that was saved, killed and loaded goes on with
    the same bits; `arithmetic` says what else these depend on. The model's `contexts` are in feature frames; `features`
    maps samples (B, S) to (B, T, F).
    """

    def __init__(
        self,
        model: SpeechModel,
        features: Streamable[Any],
        data: TrainingSteps,
        optimizer: Optimizer,
        schedule: Callable[[int, float], float],
        precision: PrecisionManager,
        augmentations: Sequence[FeatureAugmentation] = (),
        *,
        seed: int,
        limits: Limits,
        clip_norm: float | None = None,
        average_decay: float | None = None,
        max_nonfinite: int = 10,
        strategy: Strategy | None = None,
        stop: Callable[[], int] = lambda: 0,
        num_processors: int = 1,
        arithmetic: Arithmetic = FAST,
    ) -> None:
        self.strategy = strategy or Strategy(bitwise=arithmetic.has_ordered_norm)
        self.stop = stop
        self.arithmetic = arithmetic
        self.model = model
        self.data = data
        self.schedule = schedule
        self.seed = seed
        self.limits = limits
        self.max_nonfinite = max_nonfinite
        self.optimizer = optimizer
        self.progress = Progress()
        self.device = next(model.parameters()).device
        self.precision = precision
        self.scaler = precision.scaler(self.device)
        self._forward_backward = ForwardBackward(
            model,
            features,
            augmentations,
            precision,
            self.scaler,
            seed,
            self.strategy,
            one_by_one=arithmetic.one_by_one,
        )
        self.average = None if average_decay is None else self.strategy.average(model, average_decay)
        self._update = OptimizerUpdate(model, optimizer, self.scaler, clip_norm, self.average, self.strategy)
        self._rng = randomness.rng_state()
        self._unit: Literal["gpu", "core"] = "gpu" if self.device.type == "cuda" else "core"
        # GPUs are one for each rank; processors are counted: machines may differ.
        own = torch.tensor([1 if self._unit == "gpu" else num_processors])
        self._units = int(self.strategy.sum(own, "the processors"))

    @property
    def done(self) -> bool:
        """Whether a limit has been reached."""
        return bool(self.limits.reached(self.progress))

    @property
    def share(self) -> float:
        """Share of the training done, 0..1."""
        epoch_steps = self.data.num_steps(self.progress.epoch) if self.progress.epoch_step else 1
        return self.limits.share(self.progress, epoch_steps)

    def steps(self) -> Iterator[StepReport]:
        """Train from where the cursor stands to the nearest limit; one report per step, after it.

        Between two reports the learner may be saved, evaluated, or left. TrainingError when more than `max_nonfinite`
        steps were skipped, when an epoch has no step, and when the data end before the epoch does.
        """
        watch = Stopwatch(self.device)
        while not self.done:
            epoch, epoch_steps = self.progress.epoch, self.data.num_steps(self.progress.epoch)
            if self.progress.epoch_step >= epoch_steps:
                raise TrainingError(
                    f"epoch {epoch} has {epoch_steps} steps and the cursor is at {self.progress.epoch_step}: "
                    "no training utterance is left, or the data changed under the run"
                )
            source = self.data.steps(epoch, self.progress.epoch_step)
            while self.progress.epoch == epoch and not self.done:
                self._check_faults()
                began = time.perf_counter()
                watch.start()
                step = next(source, None)
                if step is None:
                    raise TrainingError(
                        f"epoch {epoch} ended before its {epoch_steps} steps: the data source is at fault"
                    )
                watch.lap("data")
                with self.arithmetic.use():
                    report = self._step(self.strategy.share(step), watch, epoch_steps)
                stop, seconds = self.strategy.agree(
                    self.stop(), time.perf_counter() - began, f"step {report.step}: end"
                )
                self.progress.wall_s += seconds
                yield attrs.evolve(report, step_s=seconds, audio_s_per_s=report.audio_s / seconds, stop=stop)
        self._check_faults()

    def passes(self, count: int) -> Iterator[None]:
        """Forward and backward over the data of the first `count` steps of an epoch, for who looks on: no update."""
        watch = Stopwatch(self.device)
        self.model.train()
        for number, step in zip(range(count), self.data.steps(self.progress.epoch, 0), strict=False):
            context = randomness.draw_context(self.model.contexts, self.seed, number)
            with self.arithmetic.use():
                self._forward_backward.run(self.strategy.share(step), number, context, watch)
            self.optimizer.zero_grad(set_to_none=True)
            yield

    def _step(self, step: SharedStep, watch: Stopwatch, epoch_steps: int) -> StepReport:
        number, epoch = self.progress.step, self.progress.epoch
        share = self.limits.share(self.progress, epoch_steps)
        lr = self._update.set_lr(self.schedule(number, share))
        context = randomness.draw_context(self.model.contexts, self.seed, number)
        if not self.model.training:
            self.model.train()
        sums = StepLosses([], {})
        if step.num_utterances:  # of all ranks: they go the same way
            sums = self._forward_backward.run(step, number, context, watch)
        # Whatever is drawn before the next microbatch seeds them again depends on no rank's share of this step.
        randomness.seed_torch(self.seed, number + 1, 0, self.device)
        self._rng = randomness.rng_state()
        measured = self._update.measure(sums, f"step {number + 1}: losses")
        watch.synchronised()
        self._update.apply(measured)
        watch.lap("optimizer")
        suspects = self._suspects(step, sums) if measured.cause else ()
        self._advance(step, measured, suspects, epoch_steps)
        tokens = max(1, step.num_tokens)
        return StepReport(
            step=number + 1,
            epoch=epoch,
            loss=measured.loss / tokens,
            losses={kind: value / tokens for kind, value in measured.parts.items()},
            loss_per_utterance=measured.loss / max(1, step.num_utterances),
            lr=lr,
            grad_norm=measured.norm,
            context=context,
            share=share,
            audio_s=step.audio_s,
            num_utterances=step.num_utterances,
            num_tokens=step.num_tokens,
            num_microbatches=step.num_microbatches,
            padded=step.padded,
            times=watch.shares(),
            skipped=bool(measured.cause),
            cause=measured.cause,
            suspects=suspects,
            loss_scale=None if self.scaler is None else self.scaler.get_scale(),
            bad=step.bad,
            units=self._units,
            unit=self._unit,
        )

    def _suspects(self, step: SharedStep, sums: StepLosses) -> tuple[str, ...]:
        """Utterances whose loss is not finite, of all ranks; all of the step's where each one's is."""
        ids = [i for batch in step.batches if batch is not None for i in batch.ids]
        finite = torch.cat([torch.isfinite(rows) for rows in sums.rows]).tolist() if sums.rows else []
        own = [i for i, fine in zip(ids, finite, strict=True) if not fine]
        found = self.strategy.group.gather([own, ids], f"step {self.progress.step + 1}: what is not finite")
        return tuple(i for broken, _ in found for i in broken) or tuple(i for _, known in found for i in known)

    def _advance(self, step: SharedStep, measured: Measured, suspects: Sequence[str], epoch_steps: int) -> None:
        now = self.progress
        now.step += 1
        now.epoch_step += 1
        now.audio_s += step.audio_s
        now.num_tokens += step.num_tokens
        now.num_utterances += step.num_utterances
        if measured.fault:
            now.num_nonfinite += 1
            few = ", ".join(suspects[:5]) + (", …" if len(suspects) > 5 else "")
            now.cause = f"step {now.step}: {measured.cause} (utterances: {few})"
        if now.epoch_step == epoch_steps:
            now.epoch, now.epoch_step = now.epoch + 1, 0

    def _check_faults(self) -> None:
        now = self.progress
        if now.num_nonfinite > self.max_nonfinite:
            raise TrainingError(
                f"{now.num_nonfinite} steps were skipped for a loss or gradient that is not finite, "
                f"{self.max_nonfinite} are allowed (train.max_nonfinite). The last one, {now.cause}. "
                "If these utterances are sound, a lower peak_lr or clip_norm or a longer warm-up helps"
            )

    def averaged(self) -> SpeechModel:
        """The model to evaluate: a module of its own with the averaged weights; the model itself without averaging.

        Every rank has it whole, and all must ask for it together.
        """
        return self.strategy.to_decode(self.model, self.average)

    def snapshot(self) -> state.Snapshot:
        """The state to go on from; its tensors are the live ones, not copies, and may lie in shards."""
        tensors = {
            "model": state.model_tensors(self.model),
            "optimizer": state.optimizer_tensors(self.optimizer, self.model),
            "rng": self._rng,
        }
        if self.average is not None:
            tensors["average"] = self.average.tensors()
        if carried := self.precision.tensors():
            tensors["precision"] = carried
        numbers: dict[str, Any] = {
            "seed": self.seed,
            "progress": attrs.asdict(self.progress),
            "average_updates": None if self.average is None else self.average.num_updates,
            "scaler": None if self.scaler is None else self.scaler.state_dict(),
        }
        return state.Snapshot(tensors, numbers)

    def whole_snapshot(self) -> state.Snapshot | None:
        """The state to go on from, whole, on rank 0; None elsewhere. All ranks must ask for it together."""
        return self.strategy.gathered(self.snapshot())

    def restore(self, snapshot: state.Snapshot) -> None:
        """Go on from a snapshot; CheckpointError, naming what differs, when it is not of this model and settings."""
        numbers = snapshot.numbers
        if numbers["seed"] != self.seed:
            raise CheckpointError(f"the checkpoint was trained with seed {numbers['seed']}, not {self.seed}")
        for key, own in (("average_updates", self.average), ("scaler", self.scaler)):
            if (numbers[key] is None) != (own is None):
                with_it, without = ("here", "the checkpoint") if own is not None else ("the checkpoint", "here")
                raise CheckpointError(f"{key.split('_')[0]}: {with_it} has one, {without} has none")
        state.restore_tensors(state.model_tensors(self.model), snapshot.tensors["model"], "the model")
        state.restore_optimizer(self.optimizer, self.model, snapshot.tensors.get("optimizer", {}))
        if self.average is not None:
            state.restore_tensors(self.average.tensors(), snapshot.tensors["average"], "the average")
            self.average.num_updates = int(numbers["average_updates"])
        if self.scaler is not None:
            self.scaler.load_state_dict(numbers["scaler"])
        state.restore_tensors(self.precision.tensors(), snapshot.tensors.get("precision", {}), "precision")
        self.progress = Progress(**numbers["progress"])
        self._rng = snapshot.tensors["rng"]
        randomness.set_rng_state(self._rng)

    def save(self, folder: Path) -> None:
        """Write a checkpoint to `folder`, whole or not at all; all ranks call it, and each writes its part."""
        checkpoint.write(folder, self.snapshot(), self.strategy.group)

    def load(self, folder: Path) -> None:
        """Go on from the checkpoint in `folder`, of any number of ranks; CheckpointError when damaged or misfit."""
        self.restore(checkpoint.read(folder, like=self.snapshot().tensors, group=self.strategy.group))

    def fingerprint(self) -> str:
        """SHA-256 of weights, optimizer, averages, RNG and cursor: equal for runs that went the same way, hex.

        Of several ranks, which all call it, the first gets it; "" elsewhere.
        """
        if (snapshot := self.whole_snapshot()) is None:
            return ""
        progress = {k: v for k, v in snapshot.numbers["progress"].items() if k != "wall_s"}
        return state.fingerprint(state.Snapshot(snapshot.tensors, {**snapshot.numbers, "progress": progress}))
