"""How far a run has come, and where it ends."""

from __future__ import annotations

import math

import attrs


@attrs.define
class Progress:
    """The cursor of a run and its running totals."""

    step: int = 0
    """Steps taken, skipped ones included."""
    epoch: int = 0
    """Passes over the training data completed."""
    epoch_step: int = 0
    """Steps taken in the present pass."""
    audio_s: float = 0.0
    """Seconds of audio trained on, padding not counted."""
    num_tokens: int = 0
    """Target tokens trained on."""
    num_utterances: int = 0
    """Utterances trained on."""
    num_nonfinite: int = 0
    """Steps skipped for a loss or gradient that was not finite."""
    cause: str = ""
    """What the last of these was."""
    wall_s: float = 0.0
    """Seconds spent in steps, over all attempts; the only part that differs from repetition to repetition."""


@attrs.frozen(kw_only=True)
class Limits:
    """Where a run ends: at the first of these that it reaches. Wall time counts only the steps themselves."""

    max_epochs: int | None = None
    max_steps: int | None = None
    max_audio_h: float | None = None
    max_wall_min: float | None = None

    def __attrs_post_init__(self) -> None:
        if all(limit is None for limit in attrs.astuple(self)):
            raise ValueError("a run needs a limit: max_epochs, max_steps, max_audio_h or max_wall_min")

    def num_steps(self, epoch_steps: int, epoch_audio_s: float) -> int | None:
        """The run's length, were every pass as long as one of `epoch_steps` and `epoch_audio_s` is.

        Passes differ by a few steps where augmentation changes durations. Wall time is left out: None where nothing
        else limits.
        """
        lengths = []
        if self.max_epochs is not None:
            lengths.append(self.max_epochs * epoch_steps)
        if self.max_steps is not None:
            lengths.append(self.max_steps)
        if self.max_audio_h is not None:
            lengths.append(math.ceil(3600 * self.max_audio_h / epoch_audio_s * epoch_steps))
        return min(lengths, default=None)

    def share(self, progress: Progress, epoch_steps: int) -> float:
        """Share of the run done, 0..1: of the limit that is nearest; wall time only where nothing else limits.

        `epoch_steps` is the number of steps in the present pass.
        """
        shares = []
        if self.max_epochs is not None:
            shares.append((progress.epoch + progress.epoch_step / max(1, epoch_steps)) / self.max_epochs)
        if self.max_steps is not None:
            shares.append(progress.step / self.max_steps)
        if self.max_audio_h is not None:
            shares.append(progress.audio_s / (3600 * self.max_audio_h))
        if not shares and self.max_wall_min is not None:
            shares.append(progress.wall_s / (60 * self.max_wall_min))
        return min(1.0, max(shares))

    def reached(self, progress: Progress) -> str:
        """The limit that the run has come to, as `max_steps = 500`; empty before its end."""
        values = {
            "max_epochs": progress.epoch,
            "max_steps": progress.step,
            "max_audio_h": progress.audio_s / 3600,
            "max_wall_min": progress.wall_s / 60,
        }
        limits = attrs.asdict(self)
        return next((f"{n} = {limits[n]:g}" for n, v in values.items() if limits[n] is not None and v >= limits[n]), "")
