"""Rooms: images of the speaker one by one, and what the ear would notice."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_lab.audio.augmentation.reverb import Reverberation, Room, images, impulse_response, reverberated
from asr_lab.audio.keyed_random import generator, mix
from asr_lab.errors import DataError

RATE = 16000
ROOM = Room((5.0, 4.0, 3.0), (1.0, 1.5, 1.2), (3.5, 2.5, 1.6), 0.4)
KEYS = mix(np.arange(300, dtype=np.uint64), 11)


def speech() -> np.ndarray:
    return (0.1 * generator(2).standard_normal(RATE)).astype(np.float32)


def naive_images(room: Room, within_s: float) -> list[tuple[float, float]]:
    """Allen and Berkley's sum, term by term: shifts by whole rooms, mirrored or not along each axis."""
    volume = math.prod(room.sides)
    a, b, c = room.sides
    absorbed = 1 - math.exp(-0.161 * volume / (2 * (a * b + b * c + c * a) * room.t60_s))
    found = []
    for shift in itertools.product(range(-6, 7), repeat=3):
        for mirror in itertools.product((0, 1), repeat=3):
            place = [
                (1 - 2 * q) * s + 2 * m * side
                for q, s, m, side in zip(mirror, room.speaker, shift, room.sides, strict=True)
            ]
            distance = math.dist(place, room.microphone)
            bounces = sum(abs(m - q) + abs(m) for m, q in zip(shift, mirror, strict=True))
            if distance <= within_s * 343:
                found.append((distance / 343, math.sqrt(1 - absorbed) ** bounces / (4 * math.pi * distance)))
    return sorted(found)


def test_images_are_those_of_the_sum_term_by_term() -> None:
    delays, loudness = images(ROOM, 0.05)
    found = sorted(zip(delays.tolist(), loudness.tolist(), strict=True))
    assert len(found) > 200
    np.testing.assert_allclose(found, naive_images(ROOM, 0.05), rtol=1e-9)


def test_the_direct_sound_comes_first_and_straight() -> None:
    delays, loudness = images(ROOM, 0.0)
    distance = math.dist(ROOM.speaker, ROOM.microphone)
    assert delays.tolist() == pytest.approx([distance / 343])
    assert loudness.tolist() == pytest.approx([1 / (4 * math.pi * distance)])
    response = impulse_response(ROOM, RATE, generator(1))
    assert response[0] == pytest.approx(1 / (4 * math.pi * distance))
    second = sorted(images(ROOM, 0.05)[0])[1]
    assert not response[1 : round((second - distance / 343) * RATE)].any()


@pytest.mark.parametrize("t60_s", [0.2, 0.4, 0.8])
def test_sound_falls_by_60_db_in_the_time_that_is_asked_for(t60_s: float) -> None:
    """By Schroeder's backward integration, from -5 to -25 dB, over many draws of the tail."""
    room = Room(ROOM.sides, ROOM.speaker, ROOM.microphone, t60_s)
    energy = np.mean([impulse_response(room, RATE, generator(key)) ** 2 for key in range(20)], axis=0)
    left_db = 10 * np.log10(energy[::-1].cumsum()[::-1] / energy.sum())
    times = [np.argmax(left_db < level) / RATE for level in (-5, -25)]
    assert 3 * (times[1] - times[0]) == pytest.approx(t60_s, rel=0.25)


def test_speech_in_a_room_is_convolved_sample_by_sample() -> None:
    audio, response = speech()[:200], impulse_response(ROOM, RATE, generator(1))[:400]
    found = reverberated(audio, response)
    wanted = np.zeros(len(audio))
    for n in range(len(audio)):
        for k in range(len(response)):
            if n >= k:
                wanted[n] += audio[n - k] * response[k]
    wanted *= np.sqrt(np.mean(audio**2) / np.mean(wanted**2))
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_some_utterances_are_in_rooms_as_long_and_as_loud_as_before() -> None:
    rooms = Reverberation(0.5, (0.1, 0.6), (3.0, 10.0))
    changed = 0
    for key in KEYS[:60].tolist():
        found = rooms.waveform(speech(), RATE, key)
        assert (found.dtype, found.shape) == (np.float32, speech().shape)
        assert np.mean(found**2) == pytest.approx(np.mean(speech() ** 2), rel=1e-3)
        assert np.array_equal(found, rooms.waveform(speech(), RATE, key))
        changed += not np.array_equal(found, speech())
    assert 18 < changed < 42


def test_drawn_rooms_hold_their_speaker_and_microphone() -> None:
    rooms = Reverberation(1.0, (0.1, 0.6), (2.0, 10.0))
    for key in KEYS.tolist():
        room = rooms._room(generator(key))
        for place in (room.speaker, room.microphone):
            assert all(0.49 < x < side - 0.49 for x, side in zip(place, room.sides, strict=True))
        assert 0.1 <= room.t60_s <= 0.6


def test_measured_rooms_come_from_the_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    response = np.zeros(400, dtype=np.float32)
    response[[50, 250]] = 0.5, 0.25  # the direct sound after 50 samples, an echo 200 later
    soundfile.write(tmp_path / "real" / "hall.wav", np.stack([response, 0 * response], 1), RATE, subtype="FLOAT")
    audio = np.zeros(1000, dtype=np.float32)
    audio[100] = 1
    found = Reverberation(1.0, (0.1, 0.6), (3.0, 10.0), tmp_path).waveform(audio, RATE, 1)
    assert np.flatnonzero(np.abs(found) > 1e-6).tolist() == [100, 300]
    assert found[300] / found[100] == pytest.approx(0.5)
    with pytest.raises(DataError, match=r"no recordings under .* \(asrlab data prepare"):
        Reverberation(1.0, (0.1, 0.6), (3.0, 10.0), tmp_path / "none")


def test_silence_stays_silence() -> None:
    assert not Reverberation(1.0, (0.1, 0.6), (3.0, 10.0)).waveform(np.zeros(100, np.float32), RATE, 1).any()
