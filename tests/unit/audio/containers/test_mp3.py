"""An MP3 file is as long as its frames, whatever its headers say, and nothing is written about it to stderr."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from containers import RATE, encoded, speech, streamed

from asr_lab.audio.containers.mp3 import _header_of
from asr_lab.audio.decoding import Recording
from asr_lab.audio.reading import AudioError, read_audio, read_info


def frames(content: bytes) -> list[bytes]:
    """Each frame; the first is LAME's tag."""
    found, position = [], 0
    while position < len(content):
        header = _header_of(struct.unpack_from(">I", content, position)[0])
        assert header is not None
        found.append(content[position : position + header.size])
        position += header.size
    return found


def loud_then_quiet(loud_first: bool) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 1, 10 * RATE).astype(np.float32)
    loud = np.arange(len(noise)) < len(noise) // 2
    return noise * np.where(loud == loud_first, 0.3, 1e-4).astype(np.float32)


@pytest.mark.parametrize("loud_first", [True, False])
def test_a_vbr_file_without_a_tag_is_read_whole(tmp_path: Path, loud_first: bool) -> None:
    path = tmp_path / "a.mp3"
    whole = encoded("mp3", loud_then_quiet(loud_first), bitrate_mode="VARIABLE", compression_level=0.5)
    parts = frames(whole)
    assert len({len(frame) for frame in parts[1:]}) > 3
    path.write_bytes(b"".join(parts[1:]))
    expected = 576 * (len(parts) - 1)  # with the encoder's delay, which only the tag would tell
    assert read_info(path).num_samples == len(read_audio(path, RATE)) == len(streamed(path)) == expected
    path.write_bytes(whole)
    tagged = read_audio(path, RATE)
    assert len(tagged) == 10 * RATE
    path.write_bytes(b"".join(parts[1:]))
    delay = 576 + 529
    assert np.abs(read_audio(path, RATE)[delay:][: len(tagged)] - tagged).max() < 1e-6


def test_a_tag_that_counts_wrongly_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    whole = encoded("mp3", speech(4.0))
    place = whole.index(b"Xing") + 8
    for count, message in ((10, ""), (10_000, "of the 10000 frames"), (2**32 - 1, "frames that its header counts")):
        path.write_bytes(whole[:place] + struct.pack(">I", count) + whole[place + 4 :])
        if message:
            with pytest.raises(AudioError, match=message):
                read_info(path)
        else:
            assert read_info(path).duration_s == pytest.approx(4.0, abs=0.1)


def test_junk_between_frames_is_passed_over_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    parts = frames(encoded("mp3", speech(4.0)))
    path.write_bytes(b"".join(parts[:50]) + bytes(range(1, 200)) * 400 + b"".join(parts[50:]))
    with pytest.warns(UserWarning, match="79,600 bytes in it are no MP3 frames"):
        info = read_info(path)
    assert info.num_samples == 4 * RATE


@pytest.mark.parametrize("tagged", [True, False])
@pytest.mark.parametrize("level", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("rate", [RATE, 44100])
def test_a_stretch_far_in_is_decoded_from_near_it_to_the_same_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tagged: bool, level: float, rate: int
) -> None:
    path = tmp_path / "a.mp3"
    content = encoded("mp3", speech(20.0, rate), rate, bitrate_mode="VARIABLE", compression_level=level)
    path.write_bytes(content if tagged else b"".join(frames(content)[1:]))
    whole = read_audio(path, rate)
    decoded = []
    read = Recording._read

    def counted(self: Recording, *args: Any) -> Any:
        block = read(self, *args)
        decoded.append(len(block))
        return block

    monkeypatch.setattr("asr_lab.audio.decoding.BLOCK_VALUES", 1 << 13)
    monkeypatch.setattr(Recording, "_read", counted)
    for start_s in (7.0, 12.345, 19.0):
        decoded.clear()
        start = round(start_s * rate)
        expected = whole[start : start + rate // 2]
        assert np.square(read_audio(path, rate, start_s, 0.5) - expected).sum() < 1e-12 * np.square(expected).sum()
        assert sum(decoded) < 6 * rate


def test_nothing_is_written_to_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.mp3"
    whole = encoded("mp3", speech(4.0), bitrate_mode="VARIABLE", compression_level=0.5)
    damaged = bytearray(whole)
    for at in range(3000, len(damaged), 500):
        damaged[at] ^= 0x55
    for content in (whole, whole + b"TAG" + bytes(125), whole[: whole.index(b"Xing") + 300] + whole, bytes(damaged)):
        path.write_bytes(content)
        try:
            read_info(path)
            streamed(path, 8000)
            read_audio(path, RATE, 2.0, 1.0)
        except AudioError:
            pass
    assert capfd.readouterr().err == ""


def test_the_given_files_are_read_whole(speech: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = speech.parent / "faults" / "audio"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    for name, seconds in (("vbr_no_xing_starts_loud", 9.72), ("two_joined", 3.412), ("speech_abr_31k", 8.0)):
        path = folder / f"{name}.mp3"
        assert read_info(path).duration_s == pytest.approx(seconds, abs=1e-3)
        whole, live = read_audio(path, RATE), streamed(path)
        assert np.square(whole - live).sum() < 1e-10 * np.square(whole).sum()
    assert capfd.readouterr().err == ""
