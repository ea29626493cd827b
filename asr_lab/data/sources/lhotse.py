"""lhotse's cuts to utterances; nothing behind this module knows lhotse."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from asr_lab.data.utterance import BadCut, Source, Utterance
from asr_lab.errors import DataError, MissingPackageError


class _CutError(ValueError):
    """A cut that cannot be used; the text says why."""


def read_cuts_manifest(manifest: Path, audio_root: Path) -> Source:
    """The utterances of a manifest of cuts, read line by line.

    A line that is no usable cut is bad, with its reason. DataError for a file that is no JSON lines at all, and for
    sources other than files: a command, a pipe or a URL would run or fetch whatever the manifest says.
    """
    try:
        from lhotse.serialization import deserialize_item
    except ImportError as error:
        raise MissingPackageError(f"lhotse cannot be imported ({error}): pip install lhotse urllib3") from error
    bad: list[BadCut] = []

    def utterances() -> Iterator[Utterance]:
        for number, line in _lines(manifest):
            name = f"{manifest.name}:{number}"
            try:
                data = json.loads(line)
                if not isinstance(data, dict):
                    raise _CutError("is not a JSON object")
                name = str(data.get("id", name))
                _check_kind(data)
                _check_sources(data, manifest, number)
                yield _utterance(deserialize_item(data), audio_root)
            except _CutError as error:
                bad.append(BadCut(name, str(manifest), str(error)))
            except (ValueError, TypeError, KeyError, AttributeError, AssertionError) as error:
                bad.append(BadCut(name, str(manifest), f"is not a cut: {type(error).__name__}: {error}"))

    return Source(utterances(), bad)


def _opened(manifest: Path) -> IO[str]:
    if manifest.suffix == ".gz":
        return gzip.open(manifest, "rt", encoding="utf-8")
    return manifest.open(encoding="utf-8")


def _lines(manifest: Path) -> Iterator[tuple[int, str]]:
    try:
        with _opened(manifest) as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise DataError(f"{manifest} cannot be read: {error}") from error


def _check_kind(data: dict[str, Any]) -> None:
    kind = data.get("type", "nothing that says so")
    if kind == "MixedCut":
        raise _CutError("is a mixed or padded cut; save it as audio first (lhotse: cut.save_audio)")
    if kind not in ("MonoCut", "MultiCut", "Cut"):
        raise _CutError(f"is not a cut but {kind}")
    if data.get("recording") is None:
        raise _CutError("has no recording")
    if data["recording"].get("transforms"):
        raise _CutError("has a recording that lhotse would transform (speed, resampling, …); save it as audio first")


def _check_sources(data: dict[str, Any], manifest: Path, number: int) -> None:
    for source in data["recording"]["sources"]:
        kind = source["type"]
        if kind == "shar":
            raise _CutError("is a placeholder of lhotse shar")
        if kind != "file":
            shown = "" if kind == "memory" else f" ({str(source['source'])[:80]!r})"
            raise DataError(
                f"{manifest}:{number}: audio from a {kind} is refused{shown}: it may run or fetch anything; "
                "save the audio to files first (lhotse: cuts.save_audios)"
            )


def _utterance(cut: Any, audio_root: Path) -> Utterance:
    if len(cut.supervisions) != 1:
        raise _CutError(f"has {len(cut.supervisions)} supervisions, not one (lhotse: trim_to_supervisions)")
    supervision = cut.supervisions[0]
    recording = cut.recording
    channels = cut.channel if isinstance(cut.channel, list) else [cut.channel]
    holders = [s for s in recording.sources if set(channels) <= set(s.channels)]
    if not holders:
        raise _CutError(f"has channels {channels} that no single source of its recording holds")
    source = holders[0]
    place = source.channels.index(channels[0]) if len(channels) == 1 else None
    named = {"speaker": supervision.speaker, "language": supervision.language, "gender": supervision.gender}
    custom = {**(cut.custom or {}), **(supervision.custom or {})}
    columns = {k: v for k, v in {**custom, **named}.items() if isinstance(v, str | int | float | bool)}
    return Utterance(
        id=cut.id,
        audio=str(audio_root / source.source),
        duration_s=float(cut.duration),
        text=supervision.text or "",
        start_s=float(cut.start),
        # A single channel of a one-channel file is the file.
        channel=None if len(channels) > 1 or recording.num_channels == 1 else place,
        columns=columns,
        file_s=float(recording.duration),
    )
