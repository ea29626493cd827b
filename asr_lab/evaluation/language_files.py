"""What stands beside the JSON of an evaluation over languages: a table, a page, and how long decoding took.

Times are in a file of their own, so that an evaluation has the same bytes however often it was interrupted.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs

from asr_lab.config.stored import read_json, stored
from asr_lab.errors import LabError
from asr_lab.evaluation.evaluation_files import Evaluation
from asr_lab.evaluation.language_page import render
from asr_lab.evaluation.language_rows import csv_text
from asr_lab.files import write_json, write_text


@attrs.frozen
class SetTime:
    """What decoding a set took."""

    audio_s: float
    compute_s: float


def write_languages(path: Path, evaluation: Evaluation, times: Mapping[str, SetTime]) -> None:
    """Write `.csv`, `.html` and `.speed.json` beside an evaluation's JSON."""
    speeds = speed_of(times)
    write_text(path.with_suffix(".csv"), csv_text(evaluation, speeds))
    write_text(path.with_suffix(".html"), render(path.stem, evaluation, speeds))
    write_json(_times_file(path), {name: attrs.asdict(one) for name, one in times.items()})


def read_times(path: Path) -> dict[str, SetTime]:
    """The times beside an evaluation's JSON; none where they are not there, or damaged."""
    try:
        return {name: stored(one, SetTime, str(path)) for name, one in read_json(_times_file(path)).items()}
    except (LabError, AttributeError):
        return {}


def speed_of(times: Mapping[str, SetTime]) -> dict[str, float]:
    """Seconds of computing for each second of audio, by set; those without audio are left out."""
    return {name: one.compute_s / one.audio_s for name, one in times.items() if one.audio_s}


def _times_file(path: Path) -> Path:
    return path.with_suffix(".speed.json")
