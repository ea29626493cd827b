"""A random channel filters as drawn, and draws from the key alone."""

from __future__ import annotations

import numpy as np

from asr_lab.audio.channel import RandomResponse, response

RATE = 8000


def tone(hz: float) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(RATE) / RATE).astype(np.float32)


def level_db(audio: np.ndarray) -> float:
    middle = audio[RATE // 4 : -RATE // 4].astype(np.float64)
    return float(20 * np.log10(np.sqrt(np.mean(np.square(middle)))))


def test_the_gain_at_a_point_is_the_one_drawn() -> None:
    gains = np.array([0.0, 12.0, -6.0])
    middle_hz = 700 * (np.sqrt(1 + RATE / 2 / 700) - 1)  # half way in mels
    factors = response(gains, RATE // 2 + 1, RATE)  # a bin a hertz
    assert abs(20 * np.log10(factors[0])) < 1e-5
    assert abs(20 * np.log10(factors[round(middle_hz)]) - 12) < 0.05
    assert abs(20 * np.log10(factors[-1]) + 6) < 1e-5


def test_tones_get_louder_and_softer_within_the_bound_and_are_not_delayed() -> None:
    channel = RandomResponse(1.0, 4, 10.0)
    changes = [
        level_db(channel.waveform(tone(hz), RATE, key)) - level_db(tone(hz)) for key in range(20) for hz in (300, 2000)
    ]
    assert min(changes) < -3
    assert max(changes) > 3
    assert max(map(abs, changes)) < 10.1
    click = np.zeros(RATE, np.float32)
    click[4000] = 1.0
    assert int(np.abs(channel.waveform(click, RATE, 3)).argmax()) == 4000


def test_a_key_draws_the_same_channel_and_a_share_of_utterances_is_left_alone() -> None:
    channel, audio = RandomResponse(0.5, 6, 6.0), tone(500)
    assert np.array_equal(channel.waveform(audio, RATE, 5), RandomResponse(0.5, 6, 6.0).waveform(audio, RATE, 5))
    kept = sum(channel.waveform(audio, RATE, key) is audio for key in range(400))
    assert 150 < kept < 250
    assert len(RandomResponse(1.0, 6, 6.0).waveform(audio[:0], RATE, 1)) == 0
