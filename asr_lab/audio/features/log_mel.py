"""Log-mel features in three conventions, by one body for recordings and streams."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple, overload

import torch
from torch import Tensor

from asr_lab.audio.features.bounds import Floor, Level, Name, whole_because
from asr_lab.audio.features.conventions import convention
from asr_lab.audio.features.normalisation import (
    RunningState,
    fresh_running_state,
    running_level,
    utterance_level,
)
from asr_lab.audio.windows import rows_from
from asr_lab.streaming import WHOLE, Context, Frames, Streamable, last_valid, run_whole

FLOOR_DECADES = 8
"""With `floor = "utterance"`, nothing is further below the utterance's loudest feature (Whisper's rule)."""
RUNNING_HORIZON_S = 5.0
"""With `level = "running"`, audio that is this old counts 1/e."""
RUNNING_PRIOR_S = 0.5
"""As if this much audio of the usual spread had come before."""
RUNNING_PRIOR_DECADES = 1.3
"""The usual standard deviation of a mel energy in speech, in decades (1.1 to 1.5 in seven corpora)."""
BLOCK_SAMPLES = 1 << 18
"""Samples whose spectra are made at once: few enough to stay in a processor's cache."""


LevelState = RunningState | tuple[()]


class MelState(NamedTuple):
    """What `MelSpectrogramExtractor` carries."""

    past: Tensor  # (B, P), each row's last samples, zeros before the first
    seen: Tensor  # (B,) int64, samples so far
    level: LevelState


class MelSpectrogramExtractor(Streamable[MelState]):
    """Samples (B, S) in [-1, 1] to log-mel features (B, T, F), computed in single precision whatever autocast says.

    `extractor(waveform)` takes a waveform (S,) or (B, S) and gives (T, F) or (B, T, F). As a layer it streams:
    `extractor(state, chunk, context)`, in pieces of any size, down to one sample, each row its own; unless
    `whole_because` says why it needs the whole utterance.

    Conventions, each equal to its reference on the same samples:
    whisper: openai-whisper's `log_mel_spectrogram` (with `floor = "utterance"`), S // hop frames;
    kaldi: `torchaudio.compliance.kaldi.fbank` without dither, frames wholly inside the recording;
    nemo: NeMo's `FilterbankFeatures` without dither (`level = "utterance"` is its `per_feature`), S // hop frames.
    """

    def __init__(
        self,
        name: Name,
        sample_rate: int = 16000,
        num_mels: int = 80,
        floor: Floor = "fixed",
        level: Level = "none",
        window_ms: float = 25.0,
        hop_ms: float = 10.0,
        low_hz: float | None = None,
        high_hz: float | None = None,
    ) -> None:
        super().__init__()
        self.convention = convention(name, sample_rate, num_mels, window_ms, hop_ms, low_hz, high_hz)
        self.sample_rate = sample_rate
        self.num_mels = num_mels
        self.floor = floor
        self.level = level
        self.hop_samples = self.convention.hop_samples
        self.ratio = Fraction(1, self.hop_samples)
        self.lookahead_frames = self.convention.lookahead_samples
        window, filters = self.convention.window, self.convention.filters
        self.register_buffer("window", torch.tensor(window, dtype=torch.float32), persistent=False)
        self.register_buffer("filters", torch.tensor(filters, dtype=torch.float32), persistent=False)
        self.window: Tensor
        self.filters: Tensor

    @classmethod
    def whisper_style(
        cls, sample_rate: int = 16000, num_mels: int = 80, floor: Floor = "utterance", level: Level = "none"
    ) -> MelSpectrogramExtractor:
        """Whisper's features; by its own definition the floor needs the whole utterance, `floor = "fixed"` streams."""
        return cls("whisper", sample_rate, num_mels, floor, level)

    @classmethod
    def kaldi_style(
        cls, sample_rate: int = 16000, num_mels: int = 80, floor: Floor = "fixed", level: Level = "none"
    ) -> MelSpectrogramExtractor:
        """Kaldi's filter banks, the defaults of `fbank` but for the number of filters and the dither."""
        return cls("kaldi", sample_rate, num_mels, floor, level)

    @classmethod
    def nemo_style(
        cls, sample_rate: int = 16000, num_mels: int = 80, floor: Floor = "fixed", level: Level = "utterance"
    ) -> MelSpectrogramExtractor:
        """NeMo's features; by default normalised over the utterance as offline, `level = "none"` streams."""
        return cls("nemo", sample_rate, num_mels, floor, level)

    @property
    def whole_because(self) -> str | None:
        """Why these features need the whole utterance; None when they stream."""
        why = whole_because(self.floor, self.level)
        return None if why is None else why[1]

    def hop_frames(self, context: Context) -> int | None:
        return None if self.whole_because else 1

    def initial_state(self, batch: int, context: Context) -> MelState:
        past = self.window.new_zeros(batch, self._past_samples)
        seen = torch.zeros(batch, dtype=torch.int64, device=past.device)
        level: LevelState = ()
        if self.level == "running":
            level = fresh_running_state(past, batch, self.num_mels)
        return MelState(past, seen, level)

    @overload
    def __call__(self, state: Tensor) -> Tensor: ...

    @overload
    def __call__(self, state: MelState, chunk: Frames, context: Context) -> tuple[MelState, Frames]: ...

    def __call__(
        self, state: MelState | Tensor, chunk: Frames | None = None, context: Context = WHOLE
    ) -> tuple[MelState, Frames] | Tensor:
        if isinstance(state, Tensor):
            if not state.is_floating_point() or state.ndim not in (1, 2):
                raise ValueError(
                    f"a waveform is (S,) or (B, S) of floats in [-1, 1], not {tuple(state.shape)} {state.dtype}"
                )
            batch = state if state.ndim == 2 else state[None]
            frames = run_whole(self, Frames.whole(batch), context)
            features = frames.x[:, : int(frames.lengths.max())]
            return features if state.ndim == 2 else features[0]
        assert chunk is not None
        return super().__call__(state, chunk, context)

    def recordings(self, audio: Tensor, lengths: Tensor) -> Frames:
        state = self.initial_state(len(audio), WHOLE)._replace(seen=torch.zeros_like(lengths))
        return self(state, Frames.whole(audio, lengths), WHOLE)[1]

    def forward(self, state: MelState, chunk: Frames, context: Context) -> tuple[MelState, Frames]:
        with torch.autocast(chunk.x.device.type, enabled=False):
            if self.whole_because and bool(((chunk.lengths > 0) & ~chunk.final).any()):
                raise ValueError(f"these features cannot be cut: {self.whole_because}")
            new, frames = self._unlevelled(state, chunk)
            level, frames = self._levelled(state.level, self._floored(frames))
            return new._replace(level=level), frames

    def _unlevelled(self, state: MelState, chunk: Frames) -> tuple[MelState, Frames]:
        """The new state, its level still the old one, and log-mel energies as they are.

        Numbers of samples and frames are reckoned where the chunk's lengths are, on the device or on the host.
        """
        x = chunk.valid()
        x = torch.cat([state.past.to(x.dtype), x if x.dtype == torch.float64 else x.float()], 1)
        total = state.seen + chunk.lengths
        given = self._num_frames(state.seen, torch.zeros_like(chunk.final))
        lengths = self._num_frames(total, chunk.final) - given
        least, most = (int(n) for n in lengths.aminmax())
        signal = self._signal(x, state.seen, total, given, chunk.final, most)
        rows = max(1, BLOCK_SAMPLES // max(1, signal.shape[1]))
        features = torch.cat([self._log_mel(block) for block in torch.split(signal, rows)])
        own, final = (t.to(x.device, non_blocking=True) for t in (lengths, chunk.final))
        frames = Frames(features, own, final, least == features.shape[1])
        return MelState(last_valid(x, chunk, self._past_samples), total, state.level), frames

    @property
    def _past_samples(self) -> int:
        preemphasis = 1 if self.convention.signal_preemphasis else 0
        # What the next frame sees before the samples that are not there yet: it may want all of its hop but one.
        return self.convention.left_samples + preemphasis + self.lookahead_frames + self.hop_samples - 1

    def _num_frames(self, samples: Tensor, final: Tensor) -> Tensor:
        """Frames that can be given after so many samples, (B,)."""
        c = self.convention
        going = (samples - self.lookahead_frames).div(self.hop_samples, rounding_mode="floor").clamp(min=0)
        if c.snip:
            return going
        return torch.where(final, samples.div(self.hop_samples, rounding_mode="floor"), going)

    def _signal(self, x: Tensor, seen: Tensor, total: Tensor, given: Tensor, final: Tensor, num_frames: int) -> Tensor:
        """What the frames are cut from, row by row: edges made up, pre-emphasised: (B, (T - 1) * hop + W), or empty."""
        c = self.convention
        before = 1 if c.signal_preemphasis else 0
        length = max(0, num_frames - 1) * self.hop_samples + len(c.window) + before
        start = given * self.hop_samples - c.left_samples - before  # (B,), the number of signal's first sample
        signal = rows_from(x, start - seen + self._past_samples, length)
        start, total, final = (t.to(x.device, non_blocking=True) for t in (start, total, final))
        if c.reflect:
            return self._mirrored(signal, start, total, final)
        if c.signal_preemphasis:
            signal = torch.sub(signal[:, 1:], signal[:, :-1], alpha=c.signal_preemphasis)
            number = start[:, None] + 1 + torch.arange(signal.shape[1], device=x.device)
            signal = torch.where(number < total[:, None], signal, torch.zeros_like(signal[:1, :1]))
        return signal

    def _mirrored(self, signal: Tensor, start: Tensor, total: Tensor, final: Tensor) -> Tensor:
        """Samples before the first and behind the last, mirrored at them as often as it takes."""
        c = self.convention
        last = signal.shape[1] - 1
        period = torch.where(final, 2 * (total - 1), 2**40).clamp(min=1)[:, None]
        offsets = torch.arange(c.left_samples, device=signal.device)
        behind = (total - start).clamp(0, max(0, last + 1 - c.left_samples))
        column = torch.cat([offsets.expand(len(signal), -1), behind[:, None] + offsets], 1)  # (B, 2 * left)
        folded = (start[:, None] + column).remainder(period)
        folded = torch.minimum(folded, period - folded) - start[:, None]
        return signal.scatter(1, column, signal.gather(1, folded.clamp(0, last)))

    def _log_mel(self, signal: Tensor) -> Tensor:
        """Log-mel energies, (B, S') to (B, T, F)."""
        c = self.convention
        frames = signal.unfold(1, len(c.window), self.hop_samples)  # (B, T, W)
        if c.frame_preemphasis:
            frames = frames - frames.mean(2, keepdim=True)
            before = torch.cat([frames[..., :1], frames[..., :-1]], 2)
            frames = torch.sub(frames, before, alpha=c.frame_preemphasis)
        spectrum = torch.fft.rfft(frames * self.window.to(frames.dtype), c.n_fft)
        power = spectrum.real.square() + spectrum.imag.square()
        energy = (power @ self.filters.to(power.dtype)).clamp(min=c.least) + c.added
        return torch.log10(energy) * c.decade + c.offset

    def _floored(self, frames: Frames) -> Frames:
        """Nothing below the floor."""
        c = self.convention
        if self.floor == "fixed":
            return frames.with_x(frames.x.clamp(min=c.fixed_floor))
        lowest = frames.x.new_full((), -torch.inf)
        loudest = torch.where(frames.mask()[..., None], frames.x, lowest).amax((1, 2), keepdim=True)
        return frames.with_x(torch.maximum(frames.x, loudest - FLOOR_DECADES * c.decade))

    def _levelled(self, state: LevelState, frames: Frames) -> tuple[LevelState, Frames]:
        if self.level == "utterance":
            return (), frames.with_x(utterance_level(frames))
        if isinstance(state, RunningState):
            rate_hz = self.sample_rate / self.hop_samples
            horizon, prior = round(RUNNING_HORIZON_S * rate_hz), round(RUNNING_PRIOR_S * rate_hz)
            prior_deviation = RUNNING_PRIOR_DECADES * self.convention.decade
            level, x = running_level(state, frames, horizon, prior, prior_deviation)
            return level, frames.with_x(x)
        return (), frames
