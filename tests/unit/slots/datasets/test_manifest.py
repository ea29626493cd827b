"""lhotse's cuts: what can be used, what cannot, and what is refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from lhotse import CutSet, MonoCut, MultiCut, Recording, SupervisionSegment

from asr_lab.audio.reading import read_audio
from asr_lab.data.cuts import read_cuts
from asr_lab.errors import DataError
from asr_lab.slots.datasets.manifest import Manifest


def recording(folder: Path, name: str = "rec", channels: int = 1) -> Recording:
    path = folder / f"{name}.wav"
    if not path.exists():
        soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, (32000, channels)), 16000)
    return Recording.from_file(path, recording_id=name)


def mono(folder: Path, name: str = "c1", start: float = 0.5, duration: float = 1.0, **kind: Any) -> MonoCut:
    own = recording(folder, kind.get("recording", "rec"), kind.get("channels", 1))
    spoken = SupervisionSegment(f"s-{name}", own.id, 0, duration, text="hello there", speaker="ann", language="en")
    return MonoCut(name, start, duration, kind.get("channel", 0), [spoken], recording=own, custom={"split": "train"})


def save(folder: Path, *cuts: Any, name: str = "cuts.jsonl.gz") -> Manifest:
    CutSet.from_cuts(cuts).to_file(folder / name)
    return Manifest(path=name)


def lines(folder: Path, *rows: Any, name: str = "cuts.jsonl") -> Manifest:
    (folder / name).write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
    return Manifest(path=name)


@pytest.mark.parametrize("name", ["cuts.jsonl", "cuts.jsonl.gz"])
def test_cuts_become_utterances(tmp_path: Path, name: str) -> None:
    manifest = save(tmp_path, mono(tmp_path, "c1"), mono(tmp_path, "c2", 1.0, 0.75), name=name)
    first, second = manifest.read(tmp_path).utterances
    assert (first.id, first.start_s, first.duration_s, first.file_s) == ("c1", 0.5, 1.0, 2.0)
    assert first.text == "hello there"
    assert first.columns == {"split": "train", "speaker": "ann", "language": "en"}
    assert second.duration_s == 0.75


def test_the_audio_is_what_lhotse_loads(tmp_path: Path) -> None:
    cuts = [
        mono(tmp_path, "a"),
        mono(tmp_path, "left", recording="two", channels=2, channel=0),
        mono(tmp_path, "right", recording="two", channels=2, channel=1),
    ]
    read = read_cuts([save(tmp_path, *cuts).build(tmp_path)], tmp_path)
    assert not read.bad
    for row, cut in enumerate(cuts):
        channel = int(read.channel[row])
        audio = read_audio(
            read.audio[row], 16000, read.start_s[row], read.duration_s[row], None if channel < 0 else channel
        )
        assert np.abs(audio - cut.load_audio()[0]).max() < 1e-6


def test_relative_paths_start_at_the_audio_root(tmp_path: Path) -> None:
    recording(tmp_path)
    row = mono(tmp_path).to_dict()
    row["recording"]["sources"][0]["source"] = "rec.wav"
    lines(tmp_path, row)
    (utterance,) = Manifest(path="cuts.jsonl").read(tmp_path).utterances
    assert utterance.audio == str(tmp_path / "rec.wav")
    (utterance,) = Manifest(path="cuts.jsonl", audio_root="deep").read(tmp_path).utterances
    assert utterance.audio == str(tmp_path / "deep" / "rec.wav")


def test_cuts_that_cannot_be_used_are_named_with_their_reason(tmp_path: Path) -> None:
    good = mono(tmp_path, "good")
    silent = mono(tmp_path, "silent")
    silent.supervisions = []
    crowd = mono(tmp_path, "crowd")
    crowd.supervisions = crowd.supervisions * 2
    bare = mono(tmp_path, "bare").to_dict()
    del bare["recording"]
    placeholder = mono(tmp_path, "placeholder").to_dict()
    placeholder["recording"]["sources"][0]["type"] = "shar"
    rows = [
        good.to_dict(),
        mono(tmp_path, "mixed").mix(good).to_dict(),
        good.pad(duration=5).to_dict(),
        mono(tmp_path, "fast").perturb_speed(1.1).to_dict(),
        silent.to_dict(),
        crowd.to_dict(),
        bare,
        placeholder,
        "{broken",
        "[1, 2]",
        {"id": "odd", "type": "MonoCut", "recording": {"sources": []}},
        {"id": "sup", "recording_id": "rec", "start": 0, "duration": 1},
    ]
    source = lines(tmp_path, *rows).read(tmp_path)
    assert [u.id for u in source.utterances] == ["good"]
    reasons = [b.reason for b in source.bad]
    wanted = [
        "mixed or padded",
        "mixed or padded",
        "lhotse would transform",
        "has 0 supervisions",
        "has 2 supervisions",
        "has no recording",
        "placeholder of lhotse shar",
        "is not a cut",
        "is not a JSON object",
        "is not a cut",
        "is not a cut but nothing that says so",
    ]
    assert len(reasons) == len(wanted)
    for reason, part in zip(reasons, wanted, strict=True):
        assert part in reason


def test_a_cut_of_two_channels_follows_the_channel_choice(tmp_path: Path) -> None:
    own = recording(tmp_path, "two", 2)
    spoken = SupervisionSegment("s", own.id, 0, 1.0, channel=[0, 1], text="hello")
    manifest = save(tmp_path, MultiCut("m", 0, 1.0, [0, 1], [spoken], recording=own))
    assert list(read_cuts([manifest.build(tmp_path)], tmp_path, channel="split").ids) == ["m-c0", "m-c1"]
    assert read_cuts([manifest.build(tmp_path)], tmp_path).channel.tolist() == [-1]


def test_declared_lengths_are_checked(tmp_path: Path) -> None:
    wrong, late = mono(tmp_path, "wrong").to_dict(), mono(tmp_path, "late", 1.8, 1.0).to_dict()
    wrong["recording"].update(duration=3.0, num_samples=48000)
    cuts = read_cuts([lines(tmp_path, mono(tmp_path, "good").to_dict(), wrong, late).build(tmp_path)], tmp_path)
    assert list(cuts.ids) == ["good"]
    assert {b.id: b.reason for b in cuts.bad} == {
        "wrong": "wrong duration: the manifest says 3.00 s, the file lasts 2.00 s",
        "late": "wrong duration: it should end at 2.80 s, the file lasts 2.00 s",
    }


@pytest.mark.parametrize("kind", ["command", "url", "memory"])
def test_sources_that_run_or_fetch_refuse_the_whole_manifest(tmp_path: Path, kind: str) -> None:
    ran = tmp_path / "ran"
    row = mono(tmp_path).to_dict()
    row["recording"]["sources"][0].update(type=kind, source=f"touch {ran}; cat {tmp_path}/rec.wav")
    manifest = lines(tmp_path, mono(tmp_path, "good").to_dict(), row)
    with pytest.raises(DataError, match=rf"cuts\.jsonl:2: audio from a {kind} is refused.*save the audio to files"):
        read_cuts([manifest.build(tmp_path)], tmp_path)
    assert not ran.exists()


def test_a_path_that_looks_like_a_pipe_is_never_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    row = mono(tmp_path, "pipe").to_dict()
    row["recording"]["sources"][0]["source"] = f"pipe:touch {ran}"
    cuts = read_cuts([lines(tmp_path, mono(tmp_path, "good").to_dict(), row).build(tmp_path)], tmp_path)
    assert [b.reason for b in cuts.bad] == [
        "no such file: it looks like a command, which is never run; write what it gives to a file"
    ]
    assert not ran.exists()


def test_files_that_are_no_manifests_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no manifest .*ASRLAB_DATA"):
        Manifest(path="none.jsonl").read(tmp_path)
    with pytest.raises(DataError, match=r"ends in \.jsonl or \.jsonl\.gz"):
        Manifest(path="cuts.json").read(tmp_path)
    whole = gzip.compress(b'{"id": 1}\n' * 1000)
    for content in (b"no gzip", whole[: len(whole) // 2]):
        (tmp_path / "bad.jsonl.gz").write_bytes(content)
        with pytest.raises(DataError, match="cannot be read"):
            list(Manifest(path="bad.jsonl.gz").read(tmp_path).utterances)
