"""What a recording holds is read whole, whatever its container, or refused: nothing of it is lost without a word."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from containers import EXACT, KINDS, RATE, READERS, encoded, speech, streamed

from asr_lab.audio.reading import AudioError, read_audio, read_info


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", [RATE, 8000])
def test_a_stream_gives_the_samples_of_the_whole(tmp_path: Path, kind: str, rate: int) -> None:
    path = tmp_path / "a"
    path.write_bytes(encoded(kind, speech(8.0)))
    whole, live = read_audio(path, rate), streamed(path, rate)
    assert whole.shape == live.shape
    error = np.square(whole - live).sum() / np.square(whole).sum()
    assert error == 0 if rate == RATE else error < 1e-10  # 100 dB


@pytest.mark.parametrize("kind", KINDS)
def test_a_stretch_is_that_of_the_whole(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(encoded(kind, speech(8.0)))
    whole = read_audio(path, RATE)
    for start_s in (0.25, 3.0, 6.5):
        start = round(start_s * RATE)
        part, expected = read_audio(path, RATE, start_s, 1.0), whole[start : start + RATE]
        if kind == "mp3":  # its filter adds in another order
            assert np.square(part - expected).sum() < 1e-12 * np.square(expected).sum()
        else:
            assert np.array_equal(part, expected)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"gsm", "adpcm"}))
@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_a_file_cut_short_is_refused_by_every_reader(tmp_path: Path, kind: str, share: float) -> None:
    path = tmp_path / "a"
    whole = encoded(kind, speech(3.0))
    path.write_bytes(whole[: int(len(whole) * share)])
    for read in READERS.values():
        with pytest.raises(AudioError, match="truncated"):
            read(path)


@pytest.mark.parametrize("kind", EXACT)
def test_a_file_that_lacks_a_few_milliseconds_is_read_with_a_warning(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    lost = 100 * {"PCM_16": 2, "PCM_24": 3, "FLOAT": 4}[KINDS[kind][1]]
    content = encoded(kind, speech())
    # What stands behind the samples is cut as well.
    end = {"float wav": content.index(b"data") + 8 + 4 * 2 * RATE} if kind == "float wav" else {}
    path.write_bytes(content[: end.get(kind, len(content)) - lost])
    with pytest.warns(UserWarning, match=r"its last 6\.\d ms are not there"):
        info = read_info(path)
    assert abs(info.num_samples - (2 * RATE - 100)) <= 1
    assert len(read_audio(path, RATE)) == info.num_samples


def sized(kind: str, content: bytes, size: int) -> bytes:
    """The bytes with another size of the samples."""
    if kind == "au":
        return content[:8] + struct.pack(">I", size) + content[12:]
    mark, form = {"wav": (b"data", "<I"), "aiff": (b"SSND", ">I"), "caf": (b"data", ">q"), "w64": (b"data", "<q")}[kind]
    at = content.index(mark) + (16 if kind == "w64" else 4)
    return content[:at] + struct.pack(form, size) + content[at + struct.calcsize(form) :]


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        *(("wav", size) for size in (0, 0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFF - 36, 0x80000000, 0xFFFFFFFF - 36)),
        ("aiff", 0), ("aiff", 0x7FFFF008), ("au", 0xFFFFFFFF), ("au", 0), ("caf", -1), ("w64", (1 << 63) - 1),
    ],
)  # fmt: skip
def test_a_size_that_was_not_known_is_found_by_decoding(tmp_path: Path, kind: str, size: int) -> None:
    path = tmp_path / "a"
    whole = encoded(kind, speech())
    path.write_bytes(whole)
    expected = read_audio(path, RATE)
    path.write_bytes(sized(kind, whole, size))
    assert read_info(path).num_samples == len(expected)
    assert np.array_equal(read_audio(path, RATE), expected)
    assert np.array_equal(streamed(path), expected)


def test_a_flac_that_does_not_know_its_length_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a"
    whole = bytearray(encoded("flac", speech()))
    whole[21:26] = bytes([whole[21] & 0xF0, 0, 0, 0, 0])
    path.write_bytes(whole)
    assert read_info(path).num_samples == len(read_audio(path, RATE)) == len(streamed(path)) == 2 * RATE
    path.write_bytes(whole[: len(whole) // 2])
    for read in READERS.values():
        with pytest.raises(AudioError, match="truncated or damaged"):
            read(path)


@pytest.mark.parametrize("kind", ["wav", "rf64", "aiff", "au", "flac", "ogg", "opus", "mp3"])
def test_joined_files_are_read_to_the_end_of_the_last(tmp_path: Path, kind: str) -> None:
    first, second = encoded(kind, speech(1.0)), encoded(kind, speech(1.5, seed=1))
    parts = []
    path = tmp_path / "a"
    for content in (first, second, first):
        path.write_bytes(content)
        parts.append(read_audio(path, RATE))
    expected = np.concatenate(parts)
    path.write_bytes(first + second + first)
    assert read_info(path).num_samples == len(expected)
    assert np.array_equal(read_audio(path, RATE), expected)
    assert np.array_equal(streamed(path), expected)
    assert np.array_equal(read_audio(path, RATE, 1.25, 1.0), expected[round(1.25 * RATE) : round(2.25 * RATE)])


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3"])
def test_joined_files_of_two_rates_are_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(encoded(kind, speech(1.0)) + encoded(kind, speech(1.0, 8000), 8000))
    for read in READERS.values():
        with pytest.raises(AudioError, match="streams of 16,000 and 8,000 Hz"):
            read(path)


TAGS = {
    "ID3v1": b"TAG" + bytes(125),
    "APE": b"APETAGEX" + struct.pack("<IIII8x", 2000, 32, 0, 0),
    "zeros": bytes(512),
    "chunk": b"LIST\x04\0\0\0abcd",
}


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("kind", ["wav", "aiff", "au", "flac", "ogg", "opus", "mp3"])
def test_what_stands_around_the_audio_changes_nothing(tmp_path: Path, kind: str, tag: str) -> None:
    path = tmp_path / "a"
    content = encoded(kind, speech())
    path.write_bytes(content)
    expected = read_audio(path, RATE)
    id3 = b"ID3\x04\0\0\0\0\x01\x00" + bytes(128)
    path.write_bytes(id3 + content + TAGS[tag])
    assert np.array_equal(read_audio(path, RATE), expected)
    assert read_info(path).num_samples == len(expected)
    assert np.array_equal(streamed(path), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_decides_nothing(tmp_path: Path, kind: str) -> None:
    content = encoded(kind, speech())
    lengths = set()
    for ending in ("wav", "raw", "mp3", "vox", "flac"):
        path = tmp_path / f"a.{ending}"
        path.write_bytes(content)
        lengths.add(len(read_audio(path, RATE)))
    assert len(lengths) == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\0\0\0\x20ftypM4A " + bytes(200), "looks like MP4"),
        (b"\xff\xf1\x50\x80" + bytes(200), "looks like AAC"),
        (b"\x1a\x45\xdf\xa3" + bytes(200), "looks like Matroska"),
        (b"this is a letter\n" * 50, "is not audio"),
        (bytes(5000), "is not audio"),
    ],
)
def test_what_is_not_read_is_called_what_it_is(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    for read in READERS.values():
        with pytest.raises(AudioError, match=reason):
            read(path)


def wav_header(channels: int = 1, rate: int = 16000, bits: int = 16) -> bytes:
    width = channels * bits // 8
    return b"RIFF\xff\xff\xff\x7fWAVEfmt " + struct.pack(
        "<IHHIIHH", 16, 1, channels, rate, (rate * width) % 2**32, width % 2**16, bits
    )


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (wav_header(channels=300), "300 channels; up to 256"),
        (wav_header(channels=40_000), "truncated or malformed|channels"),
        (wav_header(rate=1_000_003), "sample rate of 1,000,003 Hz; 1,000 to 768,000"),
        (wav_header(rate=2**31 - 1), "sample rate of 2,147,483,647 Hz"),
        (wav_header(rate=0), "sample rate|malformed|truncated"),
    ],
)
def test_a_number_of_a_header_sizes_nothing(tmp_path: Path, header: bytes, reason: str) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(header + b"data" + struct.pack("<I", 6000) + bytes(6000))
    for read in READERS.values():
        with pytest.raises(AudioError, match=reason):
            read(path)


def test_a_flac_that_claims_years_takes_no_memory_for_them(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    content = bytearray(encoded("flac", speech()))
    content[21:26] = bytes([content[21] | 0x0F, 255, 255, 255, 255])
    path.write_bytes(content)
    for read in READERS.values():
        with pytest.raises(AudioError, match="truncated or damaged"):
            read(path)
