"""lhotse's cuts to utterances; nothing behind this module knows lhotse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from asr_lab.data.sources.json_lines import RowError, read_object, refuse_other_kinds, seconds, shown, typed
from asr_lab.data.sources.text_lines import is_text, read_lines
from asr_lab.data.utterance import Source, UnreadableUtterance, Utterance, brief
from asr_lab.errors import DataError, MissingPackageError

EDGE_S = 0.02
"""A supervision and its cut may differ by so much: times are rounded to frames."""
KINDS = ("MonoCut", "MultiCut", "Cut")
NAMED = ("speaker", "language", "gender")
RECORDING = ("sources", "sampling_rate", "num_samples", "duration", "channel_ids")
"""What is read of a recording."""
SPOKEN = ("start", "duration", "text", *NAMED)
"""What is read of a supervision."""


def read_cuts_manifest(manifest: Path, audio_root: Path) -> Source:
    """The utterances of a manifest of cuts, read line by line.

    An utterance is what a cut's one supervision covers of it. A line that is no usable cut is bad, with its reason.
    DataError for a file that is no JSON lines at all, one of another kind (NeMo's, recordings, supervisions), and for
    sources other than files: a command, a pipe or a URL would run or fetch whatever the manifest says.
    """
    bad: list[UnreadableUtterance] = []

    def utterances() -> Iterator[Utterance]:
        try:
            from lhotse.serialization import deserialize_item
        except ImportError as error:
            raise MissingPackageError(f"lhotse cannot be imported ({error}): pip install lhotse urllib3") from error
        first = True
        for number, line, problem in read_lines(manifest):
            if not line.strip(" \t\r") and not problem:
                continue
            name, text = f"{manifest.name}:{number}", None
            try:
                data = read_object(line, problem)
                name, text = name_of_cut(data) or name, spoken_in(data)
                if first:
                    refuse_other_kinds(data, manifest)
                first = False
                _check_kind(data)
                _check_recording(data["recording"], f"{manifest}:{number}")
                yield _utterance(deserialize_item(_checked(data, name)), audio_root)
            except ValueError as error:
                bad.append(UnreadableUtterance(name, str(manifest), str(error), text))
            except (TypeError, KeyError, AttributeError, AssertionError, ArithmeticError) as error:
                reason = f"is not a cut: {type(error).__name__}: {str(error)[:200]}"
                bad.append(UnreadableUtterance(name, str(manifest), reason, text))

    return Source(utterances(), bad, [manifest])


def name_of_cut(data: Mapping[str, Any]) -> str:
    """A cut's id, numbers as texts; "" where it has none that can be used."""
    given = data.get("id")
    if isinstance(given, int) and not isinstance(given, bool) and abs(given) < 10**18:
        return str(given)
    return given if isinstance(given, str) and len(given) <= 200 and is_text(given) else ""


def spoken_in(data: Mapping[str, Any]) -> str | None:
    """What is spoken in a cut, where it has one supervision that says so."""
    given = data.get("supervisions")
    only = given[0] if isinstance(given, list) and len(given) == 1 else None
    text = only.get("text") if isinstance(only, dict) else None
    return text if isinstance(text, str) and is_text(text) else None


def _check_kind(data: dict[str, Any]) -> None:
    kind = data.get("type")
    if kind == "MixedCut":
        raise RowError("is a mixed or padded cut; save it as audio first (lhotse: cut.save_audio)")
    if kind not in KINDS:
        raise RowError(f"is not a cut but {'nothing that says so' if kind is None else shown(kind)}")
    if data.get("recording") is None:
        raise RowError("has no recording")


def _check_recording(recording: Any, place: str) -> None:
    """RowError for a recording that is none; DataError where the audio is in no file."""
    typed(recording, dict, "recording")
    if recording.get("transforms"):
        raise RowError("has a recording that lhotse would transform (speed, resampling, …); save it as audio first")
    sources = typed(recording.get("sources"), list, "recording.sources")
    for source in sources:
        kind = typed(typed(source, dict, "recording.sources").get("type"), str, "recording.sources.type")
        if kind == "shar":
            raise RowError("is a placeholder of lhotse shar")
        if kind != "file":
            called = "" if kind == "memory" else f" ({brief(source.get('source'), 80)})"
            raise DataError(
                f"{place}: audio from a {brief(kind)[1:-1]} is refused{called}: it may run or fetch anything; "
                "save the audio to files first (lhotse: cuts.save_audios)"
            )
        typed(source.get("source"), str, "recording.sources.source")
        _channels(source.get("channels"), "recording.sources.channels")
    seconds(recording, "duration", "recording.duration")
    for key in ("sampling_rate", "num_samples"):
        typed(recording.get(key), int, f"recording.{key}")
    if recording.get("channel_ids") is not None:
        _channels(recording["channel_ids"], "recording.channel_ids")


def _channels(value: Any, name: str) -> list[int]:
    for channel in typed(value, list, name):
        if typed(channel, int, name) < 0:
            raise RowError(f"is not a cut: {name} must be from 0, got {shown(channel)}")
    return list(value)


def _checked(data: dict[str, Any], name: str) -> dict[str, Any]:
    """What is read of a cut, each value of the type that it must have."""
    for key in ("start", "duration"):
        seconds(data, key, key)
    supervisions = typed(data.get("supervisions") or [], list, "supervisions")
    if len(supervisions) != 1:
        raise RowError(f"has {len(supervisions)} supervisions, not one (lhotse: trim_to_supervisions)")
    supervision = typed(supervisions[0], dict, "supervision")
    seconds(supervision, "start", "supervision.start", least=None)
    seconds(supervision, "duration", "supervision.duration")
    for key in ("text", *NAMED):
        if supervision.get(key) is not None:
            typed(supervision[key], str, f"supervision.{key}")
    if supervision.get("text") is None:
        raise RowError("has a supervision without a text")
    if "channel" not in data:
        raise RowError("is not a cut: it has no channel")
    if not isinstance(data.get("id"), str) and not name_of_cut(data):
        raise RowError(f"is not a cut: its id must be a text, got {shown(data.get('id'))}")
    name = name_of_cut(data) or data["id"]
    return {
        **_known(data, "type", "start", "duration", "channel"),
        "id": name,
        "recording": {"id": "", **_known(data["recording"], *RECORDING)},
        "supervisions": [
            {"id": "", "recording_id": "", **_known(supervision, *SPOKEN), "custom": custom_of(supervision)}
        ],
        "custom": custom_of(data),
    }


def _known(values: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: values[key] for key in keys if key in values}


def custom_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """What `where` can look at; nested values are no columns."""
    custom = {} if values.get("custom") is None else typed(values["custom"], dict, "custom")
    flat = {name: value for name, value in custom.items() if isinstance(value, str | int | float | bool)}
    if wrong := [name for name, value in flat.items() if isinstance(value, str) and not is_text(value)]:
        raise RowError(f"custom.{wrong[0]} is not UTF-8")
    return flat


def _utterance(cut: Any, audio_root: Path) -> Utterance:
    supervision = cut.supervisions[0]
    start_s, duration_s = covered(cut.start, cut.duration, supervision.start, supervision.duration)
    audio, channel = _audio(cut)
    named = {"speaker": supervision.speaker, "language": supervision.language, "gender": supervision.gender}
    columns = {**(cut.custom or {}), **(supervision.custom or {}), **named}
    return Utterance(
        id=cut.id,
        audio=str(audio_root / audio),
        duration_s=duration_s,
        text=supervision.text,
        start_s=start_s,
        channel=channel,
        columns={k: v for k, v in columns.items() if v is not None},
        file_s=float(cut.recording.duration),
    )


def covered(start: float, duration: float, text_start: float, text_duration: float) -> tuple[float, float]:
    """Start and length in seconds of what has the text: the cut where they are about alike, else its part.

    A supervision counts from its cut's start. RowError for one that goes beyond its cut: the text is of more.
    """
    before, after = -text_start, text_start + text_duration - duration
    for beyond, where in ((before, "begins {:.2f} s before the cut"), (after, "ends {:.2f} s after the cut")):
        if beyond > EDGE_S:
            raise RowError(
                f"its supervision {where.format(beyond)}: its text is of more (lhotse: trim_to_supervisions)"
            )
    if before >= -EDGE_S and after >= -EDGE_S:
        return float(start), float(duration)
    begin, end = max(text_start, 0.0), min(text_start + text_duration, duration)
    return round(start + begin, 9), round(end - begin, 9)


def _audio(cut: Any) -> tuple[str, int | None]:
    """The file that a cut is of, and its channel there; None = all that it has."""
    given = cut.channel if isinstance(cut.channel, list) else [cut.channel]
    channels = _channels(given, "channel")
    if not channels:
        raise RowError("is of no channel")
    sources = [s for s in cut.recording.sources if set(channels) <= set(s.channels)]
    if not sources:
        raise RowError(f"has channels {channels} that no single source of its recording holds")
    if len(channels) == 1:
        return sources[0].source, sources[0].channels.index(channels[0])
    if set(channels) != set(sources[0].channels):
        raise RowError(f"is of channels {channels}, some of {sources[0].channels}; take one or all")
    return sources[0].source, None
