"""What the loop says of a step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs

from asr_lab.data.utterance import BadCut
from asr_lab.streaming import Context

_PLAIN = (
    *("step", "epoch", "loss", "loss_per_utterance", "lr", "grad_norm", "share", "audio_s", "num_utterances"),
    *("num_tokens", "num_microbatches", "padded", "step_s", "audio_s_per_s"),
)
_SPEED = ("step_s", "audio_s_per_s", "audio_h_per_core_h", "audio_h_per_gpu_h")
_TIMES = "time_"


def without_speed(record: Mapping[str, Any]) -> dict[str, Any]:
    """A line of metrics.jsonl but for what tells of the machine's speed: what equal runs have alike."""
    return {key: value for key, value in record.items() if key not in _SPEED and not key.startswith(_TIMES)}


@attrs.frozen(kw_only=True)
class StepReport:
    """One step: what it trained on, what came of it, and where its time went."""

    step: int
    """Steps taken so far, this one included."""
    epoch: int
    """The pass over the data that it belongs to, from 0."""
    loss: float
    """Weighted loss per target token, in nats."""
    losses: dict[str, float]
    """Each decoder's own loss per target token, by kind."""
    loss_per_utterance: float
    """Weighted loss per utterance, in nats."""
    lr: float
    """The learning rate of groups with `lr_scale` 1."""
    grad_norm: float
    """Norm of the whole gradient before clipping."""
    context: Context
    """The context drawn for this step."""
    share: float
    """Share of the run done before this step, 0..1."""
    audio_s: float
    """Seconds of audio in the step, padding not counted."""
    num_utterances: int
    num_tokens: int
    num_microbatches: int
    padded: float
    """Share of the samples that is padding."""
    times: dict[str, float]
    """Shares of the step's time: `data` (waiting), `forward` (features to loss), `backward`, `optimizer`."""
    step_s: float = 0.0
    """Seconds that the step took, waiting for data included."""
    audio_s_per_s: float = 0.0
    """Seconds of audio per second of training."""
    units: int = 1
    """GPUs that trained, or processors where there are none: of all ranks."""
    unit: Literal["gpu", "core"] = "core"
    skipped: bool = False
    """Whether the weights were left as they are."""
    cause: str = ""
    """Why the step was skipped."""
    suspects: tuple[str, ...] = ()
    """Utterances whose loss was not finite; all of the step's where only the gradient was not."""
    loss_scale: float | None = None
    """The factor on the loss under fp16."""
    stop: int = 0
    """The signal that any process was given by the end of this step; 0 = none."""
    bad: tuple[BadCut, ...] = ()
    """Utterances that this step should have held and that cannot be used."""

    @property
    def audio_h_per_unit_h(self) -> float:
        """Hours of audio that an hour of one GPU, or of one processor, trains on."""
        return self.audio_s_per_s / self.units

    def record(self) -> dict[str, Any]:
        """The line of metrics.jsonl: plain numbers and text."""
        record: dict[str, Any] = {key: getattr(self, key) for key in _PLAIN}
        record[f"audio_h_per_{self.unit}_h"] = self.audio_h_per_unit_h
        record |= {f"{_TIMES}{phase}": value for phase, value in self.times.items()}
        record |= {f"loss_{kind}": value for kind, value in self.losses.items()}
        record["chunk_frames"] = self.context.chunk_frames
        record["left_frames"] = self.context.left_frames
        if self.loss_scale is not None:
            record["loss_scale"] = self.loss_scale
        if self.skipped:
            record |= {"skipped": True, "cause": self.cause, "suspects": list(self.suspects)}
        if self.bad:
            record["bad"] = [cut._asdict() for cut in self.bad]
        return record
