"""eSpeak NG gives the same bits for the same request, in any order and process."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("espeakng_loader", reason="needs the extra `demo`")

from asr_lab.audio.espeak import VARIANTS, SpeechRequest, languages, synthesize

REQUESTS = [
    SpeechRequest("the red house is near the river", "en-us+m3", 170, 50),
    SpeechRequest("my brother bought seven apples", "en-us+f1", 150, 60),
    SpeechRequest("hello", "de+whisper", 120, 40),
    SpeechRequest("hello", "en-us+klatt2", 200, 30),
]


def test_bits_do_not_depend_on_earlier_requests() -> None:
    forward = [synthesize(r, 16000) for r in REQUESTS]
    backward = [synthesize(r, 16000) for r in reversed(REQUESTS)][::-1]
    for a, b in zip(forward, backward, strict=True):
        assert np.array_equal(a, b)
        assert len(a) > 16000 * 0.2
        assert np.abs(a).max() > 1000


def test_bits_do_not_depend_on_the_process() -> None:
    code = (
        "from asr_lab.audio.espeak import *; import hashlib;"
        f"print(hashlib.sha256(synthesize(SpeechRequest(*{tuple(REQUESTS[2])!r}), 16000).tobytes()).hexdigest())"
    )
    hashes = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout for _ in range(2)}
    assert len(hashes) == 1
    assert len(hashes.pop()) == 65


def test_voices_are_all_there_and_differ() -> None:
    sounds = {synthesize(SpeechRequest("yes", f"en-us+{v}", 170, 50), 16000).tobytes() for v in VARIANTS}
    assert len(sounds) == len(VARIANTS) >= 60


def test_over_a_hundred_languages_speak() -> None:
    assert len(languages()) > 100
    for language in ("de", "fr", "ru", "cmn", "sw"):
        assert language in languages()
        assert len(synthesize(SpeechRequest("1 2 3", language, 170, 50), 8000)) > 2000


def test_a_voice_that_there_is_not_is_named() -> None:
    with pytest.raises(ValueError, match="no voice 'xx-nowhere'"):
        synthesize(SpeechRequest("yes", "xx-nowhere", 170, 50), 16000)
