"""Recordings on disk to waveforms, and what is wrong with those that don't open."""

from __future__ import annotations

import os
import stat
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr_lab.audio.resampling import Audio, refused_rates, resample
from asr_lab.errors import DataError
from asr_lab.units import s_to_samples

Channel = int | Literal["mix"] | None
"""A channel's number from 0, or the mean of all (`"mix"` and None)."""

SEEK_MARGIN_SAMPLES = 8000
"""A lossy stream is decoded from this far before the wanted start, as its decoder needs a while to warm up."""


MP3_FRAME_SAMPLES = 1152
MAX_OGG_PAGE_BYTES = 65307


class AudioError(DataError):
    """A recording that cannot be used; `reason` says why without the path."""

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        self.reason = reason
        super().__init__(f"{os.fspath(path)}: {reason}")


class AudioInfo(NamedTuple):
    """What a file's header says."""

    sample_rate: int
    """Hertz."""
    num_samples: int
    """Samples of each channel."""
    num_channels: int
    num_bytes: int
    """Size of the file."""

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.num_samples / self.sample_rate


def read_info(path: str | os.PathLike[str]) -> AudioInfo:
    """The header of a recording: wav, flac, ogg (Vorbis, Opus), mp3, and whatever else libsndfile knows.

    AudioError for a file that is missing, empty, not audio, or shorter than its header says (so far as that shows
    without decoding it: damage in the middle shows only in `read_audio`).
    """
    import soundfile

    num_bytes = _size(path)
    try:
        with soundfile.SoundFile(os.fsencode(path)) as file:
            _check_whole(path, file)
            return AudioInfo(file.samplerate, file.frames, file.channels, num_bytes)
    except soundfile.LibsndfileError as error:
        raise AudioError(path, _why(error)) from error


def read_audio(
    path: str | os.PathLike[str],
    sample_rate: int,
    start_s: float = 0.0,
    duration_s: float | None = None,
    channel: Channel = None,
) -> Audio:
    """The waveform (S,) float32 at `sample_rate` Hz, full scale = 1, from `start_s` on for `duration_s` seconds.

    `channel` picks one channel of several; None and "mix" give their mean. AudioError for a file that `read_info`
    refuses, one that ends before its header says or before the wanted end, samples that are not numbers, and a rate
    that cannot be resampled.
    """
    import soundfile

    if start_s < 0 or (duration_s is not None and duration_s < 0):
        raise ValueError(f"start_s and duration_s must not be below 0, got {start_s} and {duration_s}")
    _size(path)
    try:
        with soundfile.SoundFile(os.fsencode(path)) as file:
            _check_whole(path, file)
            rate = file.samplerate
            if reason := refused_rates(rate, sample_rate):
                raise AudioError(path, reason)
            audio = _pick(path, _read(path, file, start_s, duration_s), channel)
    except soundfile.LibsndfileError as error:
        raise AudioError(path, _why(error)) from error
    if not np.isfinite(audio.sum()):
        raise AudioError(path, "holds samples that are not finite numbers")
    return resample(audio, rate, sample_rate)


def _size(path: str | os.PathLike[str]) -> int:
    try:
        status = os.stat(path)
    except ValueError as error:  # a zero byte, half of a surrogate pair
        raise AudioError(path, "no file can be called so") from error
    except OSError as error:
        raise AudioError(
            path, "no such file" if isinstance(error, FileNotFoundError) else str(error.strerror)
        ) from error
    if not stat.S_ISREG(status.st_mode):
        raise AudioError(path, "is not a regular file")
    if not status.st_size:
        raise AudioError(path, "is empty (0 bytes)")
    if not os.access(path, os.R_OK):
        raise AudioError(path, "permission denied")
    return status.st_size


def _check_whole(path: str | os.PathLike[str], file: Any) -> None:
    """AudioError when the file ends before its header says, as far as that shows without decoding all of it."""
    if file.format == "OGG" and not _ends_ogg(path):
        raise AudioError(path, f"is truncated: its stream has no end (about {_seconds(file)} s are there)")
    if not file.frames:
        raise AudioError(path, "holds no samples")
    if file.format in ("FLAC", "MP3"):
        # libsndfile believes the header; the last sample is there or not.
        try:
            file.seek(max(0, file.frames - 1 - _slack(file)))
            found = len(file.read(1, dtype="float32"))
            file.seek(0)
        except Exception as error:
            raise AudioError(path, f"is truncated: its header says {_seconds(file)} s") from error
        if not found:
            raise AudioError(path, f"is truncated: its header says {_seconds(file)} s")
    elif file.format in ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "NIST"):
        for line in file.extra_info.splitlines():
            if line.lower().startswith(("data", "ssnd", " data")) and "should be" in line:
                raise AudioError(path, f"is truncated: only {_seconds(file)} s of what its header says are there")


def _slack(file: Any) -> int:
    """Samples that a whole file may lack at its end: an MP3's header counts the codec's delay or doesn't."""
    return 2 * MP3_FRAME_SAMPLES if file.format == "MP3" else 0


def _ends_ogg(path: str | os.PathLike[str]) -> bool:
    """Whether the last page is whole and marked as a stream's last (RFC 3533, section 6)."""
    with open(path, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - MAX_OGG_PAGE_BYTES))
        tail = file.read()
    page = tail.rfind(b"OggS")
    if page < 0 or len(tail) < page + 27:
        return False
    table = tail[page + 27 : page + 27 + tail[page + 26]]
    return bool(tail[page + 5] & 4) and len(tail) >= page + 27 + len(table) + sum(table)


def _seconds(file: Any) -> str:
    return f"{file.frames / file.samplerate:.2f}"


def _read(path: str | os.PathLike[str], file: Any, start_s: float, duration_s: float | None) -> NDArray[np.float32]:
    """The wanted stretch of all channels, (S, channels)."""
    start = s_to_samples(start_s, file.samplerate)
    wanted = file.frames - start if duration_s is None else s_to_samples(duration_s, file.samplerate)
    if start + wanted > file.frames:
        # A manifest's end may be rounded; what is missing must stay below what `matches` lets pass.
        if start + wanted - file.frames > tolerance_s(start_s + (duration_s or 0.0)) * file.samplerate:
            end_s = (start + wanted) / file.samplerate
            raise AudioError(path, f"lasts {_seconds(file)} s, but {end_s:.2f} s are wanted")
        wanted = file.frames - start
    if wanted <= 0:
        raise AudioError(path, f"lasts {_seconds(file)} s, and nothing is wanted behind {start_s:.2f} s")
    margin = min(start, SEEK_MARGIN_SAMPLES) if file.format in ("OGG", "MP3") else 0
    if start:
        file.seek(start - margin)
    audio: NDArray[np.float32] = file.read(margin + wanted, dtype="float32", always_2d=True)[margin:]
    if len(audio) < wanted - _slack(file):
        raise AudioError(path, f"is truncated: it ends at {(start + len(audio)) / file.samplerate:.2f} s")
    return audio


def _pick(path: str | os.PathLike[str], audio: NDArray[np.float32], channel: Channel) -> Audio:
    """One channel of (S, channels)."""
    if audio.shape[1] == 1 and channel in (None, "mix", 0):
        return audio[:, 0]
    if channel is None or channel == "mix":
        mean: Audio = audio.mean(axis=1, dtype=np.float32)
        return mean
    assert isinstance(channel, int)
    if not 0 <= channel < audio.shape[1]:
        raise AudioError(path, f"has no channel {channel}, only {audio.shape[1]} (counted from 0)")
    return np.ascontiguousarray(audio[:, channel])


def tolerance_s(duration_s: float) -> float:
    """Seconds by which a declared length may be off: 0.1 s and 1 %."""
    return 0.1 + 0.01 * duration_s


def _why(error: Any) -> str:
    text = str(error.error_string).rstrip(".")
    if "not recognised" in text or "unknown format" in text.lower():
        return "is not audio that libsndfile can read"
    if "malformed" in text:
        return "is truncated or malformed"
    if "lost sync" in text:
        return "is truncated or damaged: the flac decoder lost sync"
    return text[:1].lower() + text[1:]
