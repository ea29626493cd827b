"""Whether a corpus's audio is the same numbers on every machine."""

from __future__ import annotations

from pathlib import Path

from asr_lab.audio.reading import read_info
from asr_lab.data.cuts import Cuts
from asr_lab.errors import DataError

LOSSLESS = (".wav", ".flac")


def require_exact_audio(cuts: Cuts, sample_rate: int) -> None:
    """DataError for the first recording that is not WAV or FLAC at this rate: decoders and resamplers round."""
    way_out = "convert it, or set determinism.level = 'bitwise'"
    for name in dict.fromkeys(cuts.audio[row] for row in range(len(cuts.audio))):
        if Path(name).suffix.lower() not in LOSSLESS:
            raise DataError(
                f"{name}: determinism.level = 'cross_hardware' reads {' and '.join(LOSSLESS)} only; {way_out}"
            )
        if (rate := read_info(Path(name)).sample_rate) != sample_rate:
            raise DataError(
                f"{name} has {rate:,} Hz and features.sample_rate is {sample_rate:,}: what resamples has its sums from "
                f"the processor, which determinism.level = 'cross_hardware' does not cover; {way_out}"
            )
