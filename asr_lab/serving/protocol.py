"""The messages between a client and the server over the WebSocket `/stream`.

The client begins, in this order:

1. a text message `{"type": "hello", "sample_rate": 16000, "source": "microphone"}`: `sample_rate` in Hz, the model's
   own (`/model.json` has it) or one of the usual ones (`RATES_HZ`), which is resampled here; `source` is
   `"microphone"` (the default: audio comes as it is spoken, at most in real time) or `"file"` (it comes as fast as the
   server takes it: the server stops reading while enough of it waits, and the sender's socket fills up);
2. binary messages of mono PCM, 16 bits a sample, signed, little endian;
3. a text message `{"type": "end"}`; the server sends the last words and closes with code 1000.

A client that simply closes is forgotten at once. The server answers the hello by
`{"type": "ready", "sample_rate", "chunk_ms", "delay_ms"}` (the model's rate, its chunk, its algorithmic delay) and then
sends, each time that the model has moved on,

    {"type": "update", "final": [{"text", "start_s", "end_s", "confidence"}], "interim": "…",
     "segment_ended": false, "stream_ended": false, "audio_s": 1.28, "delay_ms": 412.0, "rtf": 0.08}

`final` are words that are new since the last update and will not change, with their place in the stream and the
model's confidence, 0 to 1; `interim` is what may still change, all of it; `segment_ended` says that a pause follows;
`stream_ended` that this is the last update. `audio_s` is how much of the stream has been decoded. `delay_ms` is the
time from the arrival of the last sample of the newest final word to this update, null without a new word. `rtf` is the
real-time factor of the stream so far: seconds that the batched steps with this stream in them took, per second of its
audio.

Whatever is wrong with a client's stream is told to it alone, as `{"type": "error", "code", "message"}`, and its
connection is closed (1008; 1013 when the server is full; 1011 when the fault is the server's). A message above the
size limit is not read: code 1009, nothing before it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal, Protocol

import attrs
import numpy as np
from numpy.typing import NDArray

from asr_lab.serving.limits import ServingLimits

Source = Literal["microphone", "file"]
SOURCES: tuple[Source, ...] = ("microphone", "file")
FULL_SCALE = 32768.0

POLICY, INTERNAL, TRY_LATER = 1008, 1011, 1013
"""Codes of a closed WebSocket (RFC 6455, section 7.4; 1013 from IANA's registry)."""


class ClientError(Exception):
    """What is wrong with one client's stream: told to that client, and its stream ends."""

    def __init__(self, code: str, message: str, close_code: int = POLICY) -> None:
        super().__init__(message)
        self.code = code
        self.close_code = close_code


@attrs.frozen
class Hello:
    """How a client's audio comes."""

    sample_rate: int
    """Hertz."""
    source: Source


class WordMessage(Protocol):
    """A final word."""

    @property
    def text(self) -> str: ...
    @property
    def start_s(self) -> float: ...
    @property
    def end_s(self) -> float: ...
    @property
    def confidence(self) -> float: ...


def read_message(text: str, limits: ServingLimits) -> dict[str, Any]:
    """A JSON object with a `type`; ClientError for anything else."""
    if len(text) > limits.max_text_chars:
        raise ClientError("malformed", f"a JSON message has at most {limits.max_text_chars} characters")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise ClientError("malformed", "the message is not JSON") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ClientError("malformed", "a message is a JSON object with a type")
    return message


def read_hello(text: str, model_rate: int, limits: ServingLimits) -> Hello:
    """A client's first message; ClientError when it is not a hello that can be served."""
    message = read_message(text, limits)
    if message["type"] != "hello":
        raise ClientError("no_hello", f"the first message is of type hello, not {message['type'][:40]!r}")
    rate, source = message.get("sample_rate"), message.get("source", "microphone")
    rates = sorted({model_rate, *limits.rates_hz})
    if type(rate) is not int or rate not in rates:
        raise ClientError("bad_rate", f"sample_rate must be one of {', '.join(map(str, rates))}")
    if source not in SOURCES:
        raise ClientError("bad_source", f"source must be one of {', '.join(SOURCES)}")
    return Hello(rate, source)


def read_end(text: str, limits: ServingLimits) -> None:
    """The only text message after the hello; ClientError when it is another."""
    kind = read_message(text, limits)["type"]
    if kind != "end":
        raise ClientError("unknown_type", f"only audio or a message of type end can follow, not {kind[:40]!r}")


def samples_of(data: bytes) -> NDArray[np.float32]:
    """A binary message's samples (S,) in [-1, 1); ClientError when it holds none, or half a one."""
    if not data or len(data) % 2:
        raise ClientError("odd_bytes", f"16-bit samples come in pairs of bytes; the message has {len(data)} bytes")
    return np.frombuffer(data, dtype="<i2").astype(np.float32) / np.float32(FULL_SCALE)


def ready(sample_rate: int, chunk_ms: float, delay_ms: float) -> dict[str, Any]:
    """The answer to a hello."""
    return {"type": "ready", "sample_rate": sample_rate, "chunk_ms": chunk_ms, "delay_ms": round(delay_ms, 1)}


def update(
    final: Sequence[WordMessage],
    interim: str,
    *,
    segment_ended: bool,
    stream_ended: bool,
    audio_s: float,
    delay_ms: float | None,
    rtf: float,
) -> dict[str, Any]:
    """What the model has decoded since the last update."""
    return {
        "type": "update",
        "final": [
            {
                "text": word.text,
                "start_s": round(word.start_s, 3),
                "end_s": round(word.end_s, 3),
                "confidence": round(word.confidence, 4),
            }
            for word in final
        ],
        "interim": interim,
        "segment_ended": segment_ended,
        "stream_ended": stream_ended,
        "audio_s": round(audio_s, 3),
        "delay_ms": None if delay_ms is None else round(delay_ms, 1),
        "rtf": round(rtf, 4),
    }


def error(problem: ClientError) -> dict[str, Any]:
    """What a client is told before its connection is closed."""
    return {"type": "error", "code": problem.code, "message": str(problem)}
