"""lhotse's cuts with values that lhotse never wrote, and manifests of other kinds."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr_lab.data.cuts import read_cuts
from asr_lab.data.utterance import Utterance
from asr_lab.errors import DataError
from asr_lab.slots.datasets.manifest import Manifest

RATE = 8000


def cut(folder: Path, **values: Any) -> dict[str, Any]:
    """A cut of 0.5 to 1.5 s of a mono recording of 2 s, with one supervision over all of it."""
    path = folder / "rec.wav"
    if not path.exists():
        soundfile.write(path, np.full(2 * RATE, 0.1), RATE)
    spoken = {"id": "s", "recording_id": "r", "start": 0.0, "duration": 1.0, "channel": 0, "text": "hello"}
    recording = {
        "id": "r",
        "sampling_rate": RATE,
        "num_samples": 2 * RATE,
        "duration": 2.0,
        "channel_ids": [0],
        "sources": [{"type": "file", "channels": [0], "source": str(path)}],
    }
    whole = {"id": "c", "type": "MonoCut", "start": 0.5, "duration": 1.0, "channel": 0, "supervisions": [spoken]}
    return {**whole, "recording": recording, **values}


def read(folder: Path, *lines: Any, name: str = "cuts.jsonl") -> tuple[list[Utterance], list[str]]:
    rows = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    (folder / name).write_bytes(b"\n".join(rows))
    source = Manifest(path=name).read(folder)
    return list(source.utterances), [bad.reason for bad in source.bad]


@pytest.mark.parametrize(
    ("start", "duration", "stretch"),
    [
        (0.0, 1.0, (0.5, 1.0)),
        (-0.01, 1.02, (0.5, 1.0)),
        (0.01, 0.98, (0.5, 1.0)),
        (0.25, 0.5, (0.75, 0.5)),
        (0.0, 0.4, (0.5, 0.4)),
        (0.4, 0.6, (0.9, 0.6)),
        (-0.01, 0.5, (0.5, 0.49)),
    ],
)
def test_an_utterance_is_what_its_supervision_covers(
    tmp_path: Path, start: float, duration: float, stretch: tuple[float, float]
) -> None:
    row = cut(tmp_path)
    row["supervisions"][0].update(start=start, duration=duration)
    ((utterance,), bad) = read(tmp_path, row)
    assert (utterance.start_s, utterance.duration_s) == stretch
    assert not bad


@pytest.mark.parametrize(
    ("start", "duration", "where"),
    [
        (-0.3, 1.0, "begins 0.30 s before the cut"),
        (0.0, 1.3, "ends 0.30 s after the cut"),
        (0.5, 1.0, "ends 0.50 s after the cut"),
        (-1.0, 4.0, "begins 1.00 s before the cut"),
    ],
)
def test_a_supervision_of_more_than_its_cut_is_bad(tmp_path: Path, start: float, duration: float, where: str) -> None:
    row = cut(tmp_path)
    row["supervisions"][0].update(start=start, duration=duration)
    assert read(tmp_path, row) == (
        [],
        [f"its supervision {where}: its text is of more (lhotse: trim_to_supervisions)"],
    )


def test_a_number_as_an_id_is_read(tmp_path: Path) -> None:
    assert [u.id for u in read(tmp_path, cut(tmp_path, id=17))[0]] == ["17"]


def test_an_empty_text_is_a_text_and_none_is_bad(tmp_path: Path) -> None:
    silent, unknown = cut(tmp_path), cut(tmp_path)
    silent["supervisions"][0]["text"] = ""
    unknown["supervisions"][0]["text"] = None
    utterances, bad = read(tmp_path, silent, unknown)
    assert [u.text for u in utterances] == [""]
    assert bad == ["has a supervision without a text"]


def at(*path: Any) -> Callable[[dict[str, Any], Any], None]:
    def put(row: dict[str, Any], value: Any) -> None:
        for key in path[:-1]:
            row = row[key]
        row[path[-1]] = value

    return put


@pytest.mark.parametrize(
    ("put", "value", "reason"),
    [
        (at("id"), None, "its id must be a text, got null"),
        (at("id"), True, "its id must be a text, got true"),
        (at("id"), [1], "its id must be a text, got a list of 1"),
        (at("id"), "\ud800", r"its id is not UTF-8: '\ud800'"),
        (at("id"), "x" * 5000, "its id is of 5000 characters, not of 1 to 4096"),
        (at("type"), [], "is not a cut but a list of 0"),
        (at("start"), -1, "start must not be below 0, got -1"),
        (at("start"), float("nan"), "start must be a finite number of seconds, got NaN"),
        (at("start"), 10**400, "start must be a finite number of seconds, got a number of more than 18 digits"),
        (at("start"), True, "start must be a number of seconds, got true"),
        (at("duration"), "1", "duration must be a number of seconds, got '1'"),
        (at("channel"), -1, "channel must be from 0, got -1"),
        (at("channel"), 1, "has channels [1] that no single source of its recording holds"),
        (at("channel"), None, "channel must be a whole number, got null"),
        (at("channel"), [], "is of no channel"),
        (at("supervisions"), {}, "has 0 supervisions"),
        (at("supervisions"), {"a": 1}, "supervisions must be a list, got an object of 1"),
        (at("supervisions", 0), 3, "supervision must be an object, got 3"),
        (at("supervisions", 0, "text"), 5, "supervision.text must be a text, got 5"),
        (at("supervisions", 0, "text"), "a\0", "its text holds a zero byte"),
        (at("supervisions", 0, "speaker"), [1], "supervision.speaker must be a text, got a list of 1"),
        (at("custom"), "x", "custom must be an object, got 'x'"),
        (at("custom"), {"a": "\udc00"}, "custom.a is not UTF-8"),
        (at("recording"), 5, "recording must be an object, got 5"),
        (at("recording", "duration"), float("inf"), "recording.duration must be a finite number of seconds"),
        (at("recording", "num_samples"), None, "recording.num_samples must be a whole number, got null"),
        (at("recording", "sources"), None, "recording.sources must be a list, got null"),
        (at("recording", "sources", 0, "source"), "a\0b", "its path holds a zero byte"),
        (
            at("recording", "sources", 0, "channels"),
            ["0"],
            "recording.sources.channels must be a whole number, got '0'",
        ),
    ],
)
def test_a_value_that_no_cut_has_is_named(
    tmp_path: Path, put: Callable[[dict[str, Any], Any], None], value: Any, reason: str
) -> None:
    row = cut(tmp_path)
    put(row, value)
    utterances, bad = read(tmp_path, cut(tmp_path), row)
    assert len(utterances) == 1
    assert len(bad) == 1
    assert reason in bad[0]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"[" * 100_000, "is JSON nested too deep"),
        (b'{"a":' * 3000, "is JSON nested too deep"),
        (b'{"id": ' + b"9" * 5000 + b"}", "is not a cut, as it is not JSON: Exceeds the limit"),
        (b"\xff{}", "is not UTF-8"),
        (b'{"id": "' + b"x" * 2**23 + b'"}', "is longer than 4 MiB"),
        (b'{"id": "a\x00"}', "is not a cut, as it is not JSON: Invalid control character"),
    ],
)
def test_lines_that_are_no_cuts_are_bad(tmp_path: Path, line: bytes, reason: str) -> None:
    utterances, (bad,) = read(tmp_path, b"\xef\xbb\xbf" + json.dumps(cut(tmp_path)).encode(), line)
    assert len(utterances) == 1
    assert bad.startswith(reason)


def test_a_channel_that_the_file_lacks_is_known_from_its_header(tmp_path: Path) -> None:
    row = cut(tmp_path, channel=1)
    row["recording"].update(channel_ids=[0, 1])
    row["recording"]["sources"][0]["channels"] = [0, 1]
    (tmp_path / "cuts.jsonl").write_text(f"{json.dumps(row)}\n{json.dumps({**copy.deepcopy(row), 'channel': 0})}")
    cuts = read_cuts([Manifest(path="cuts.jsonl").build(tmp_path)], tmp_path)
    assert len(cuts) == 1
    assert [b.reason for b in cuts.bad] == ["has no channel 1, only 1 (counted from 0)"]


def test_some_channels_of_more_are_no_mix_of_all(tmp_path: Path) -> None:
    row = cut(tmp_path, type="MultiCut", channel=[0, 1])
    row["recording"]["sources"][0]["channels"] = [0, 1, 2]
    assert read(tmp_path, row) == ([], ["is of channels [0, 1], some of [0, 1, 2]; take one or all"])


@pytest.mark.parametrize("name", ["m.jsonl", "m.json"])
def test_a_nemo_manifest_is_named_with_the_way(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="looks like a NeMo manifest") as caught:
        read(tmp_path, {"audio_filepath": "a.wav", "duration": 1.5, "text": "one"}, name=name)
    assert f'{{ type = "nemo", path = "{name}" }}' in str(caught.value)


@pytest.mark.parametrize(
    ("row", "kind"),
    [({"id": "r", "sources": [], "duration": 1}, "recordings"), ({"id": "s", "recording_id": "r"}, "supervisions")],
)
def test_other_manifests_of_lhotse_are_named_with_the_way(tmp_path: Path, row: dict[str, Any], kind: str) -> None:
    with pytest.raises(DataError, match=rf"holds {kind}, not cuts.*\n  lhotse cut simple -r "):
        read(tmp_path, row)
