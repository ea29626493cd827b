"""The messages of the live page's WebSocket: what is read, and what is refused with a reason."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_lab.serving import protocol
from asr_lab.serving.limits import ServingLimits
from asr_lab.serving.protocol import ClientError, Hello

LIMITS = ServingLimits()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "sample_rate", "source", "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)


def test_a_hello_says_how_the_audio_comes() -> None:
    text = json.dumps({"type": "hello", "sample_rate": 48000, "source": "file"})
    assert protocol.read_hello(text, 16000, LIMITS) == Hello(48000, "file")


def test_a_hello_without_a_source_is_a_microphones() -> None:
    assert protocol.read_hello('{"type": "hello", "sample_rate": 16000}', 16000, LIMITS).source == "microphone"


def test_the_models_own_rate_is_served_however_odd() -> None:
    text = '{"type": "hello", "sample_rate": 11111}'
    assert protocol.read_hello(text, 11111, LIMITS).sample_rate == 11111
    with pytest.raises(ClientError, match="sample_rate must be one of 8000, 11025, 12000"):
        protocol.read_hello(text, 16000, LIMITS)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "malformed"),
        ("{", "malformed"),
        ("[]", "malformed"),
        ("null", "malformed"),
        ('{"type": 1}', "malformed"),
        ("[" * 1000, "malformed"),
        ('{"type": "hello", "sample_rate": ' + "9" * 900 + "}", "bad_rate"),
        ('{"type": "hello", "padding": "' + "x" * 2000 + '"}', "malformed"),
        ('{"type": "end"}', "no_hello"),
        ('{"type": "hello"}', "bad_rate"),
        ('{"type": "hello", "sample_rate": true}', "bad_rate"),
        ('{"type": "hello", "sample_rate": 16000.0}', "bad_rate"),
        ('{"type": "hello", "sample_rate": "16000"}', "bad_rate"),
        ('{"type": "hello", "sample_rate": NaN}', "bad_rate"),
        ('{"type": "hello", "sample_rate": 191999}', "bad_rate"),
        ('{"type": "hello", "sample_rate": -16000}', "bad_rate"),
        ('{"type": "hello", "sample_rate": 16000, "source": ["file"]}', "bad_source"),
        ('{"type": "hello", "sample_rate": 16000, "source": "radio"}', "bad_source"),
    ],
)
def test_a_wrong_hello_is_refused_with_its_reason(text: str, code: str) -> None:
    with pytest.raises(ClientError) as refused:
        protocol.read_hello(text, 16000, LIMITS)
    assert refused.value.code == code


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=50) | JSON.map(json.dumps))
def test_no_text_breaks_the_reader(text: str) -> None:
    for read in (lambda: protocol.read_hello(text, 16000, LIMITS), lambda: protocol.read_end(text, LIMITS)):
        try:
            read()
        except ClientError as refused:
            json.dumps(protocol.error(refused)).encode()


def test_only_an_end_can_follow_the_hello() -> None:
    protocol.read_end('{"type": "end"}', LIMITS)
    with pytest.raises(ClientError, match="'hello'"):
        protocol.read_end('{"type": "hello", "sample_rate": 16000}', LIMITS)


def test_samples_are_little_endian_and_full_scale_is_1() -> None:
    samples = protocol.samples_of(b"\x00\x00\x00\x40\x00\x80\xff\x7f")
    assert samples.dtype == np.float32
    assert samples.tolist() == [0.0, 0.5, -1.0, 32767 / 32768]


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00" * 7])
def test_half_samples_and_empty_messages_are_refused(data: bytes) -> None:
    with pytest.raises(ClientError, match=f"{len(data)} bytes"):
        protocol.samples_of(data)
