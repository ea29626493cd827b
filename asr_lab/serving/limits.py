"""What the clients of the live page may ask for, each and all of them."""

from __future__ import annotations

import attrs

RATES_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000, 192_000)


@attrs.frozen
class ServingLimits:
    """Bounds that hold for each client on its own; going past one ends that client's stream and no other."""

    max_clients: int = 32
    """Streams at once; one more is turned away."""
    max_connections: int = attrs.field()
    """Connections at once, streams and the page's requests; one more is answered 503."""
    max_per_address: int = attrs.field()
    """Connections of one address: room is left for others. All who come through a tunnel have one address."""
    max_head_bytes: int = 16_384
    """Size of a request's line and headers."""
    max_headers: int = 64
    """Headers of a request."""
    request_s: float = 10.0
    """How long a request may take to come, from the connection's opening."""
    answer_s: float = 30.0
    """How long its answer may take to be read."""
    max_message_bytes: int = 65_536
    """Size of a WebSocket message; a larger one is not read to its end."""
    max_text_chars: int = 1_024
    """Length of a JSON message."""
    max_messages_per_s: float = 200.0
    """Messages beyond this rate wait in the sender's socket."""
    rates_hz: tuple[int, ...] = RATES_HZ
    """Sampling rates of clients besides the model's own: the usual ones, as odd ratios take huge filters."""
    max_stream_s: float = 3_600.0
    """Length of a stream."""
    max_open_s: float = 7_200.0
    """How long a stream may be open, however little audio comes; twice its length, as a busy server may be slow."""
    max_ahead_s: float = 5.0
    """How much more audio than time has passed a microphone may have sent."""
    max_behind_s: float = 10.0
    """How much of a microphone's audio may wait for the recogniser before its stream is given up."""
    file_buffer_s: float = 2.0
    """How much of a file may wait for the recogniser; its sender waits while there is more."""
    hello_s: float = 10.0
    """How long a connection may stay without its first message."""
    idle_s: float = 30.0
    """How long a stream may stay without audio."""
    drain_s: float = 60.0
    """How long the last words of a stream may take."""
    send_s: float = 10.0
    """How long a client may leave its answers unread once the buffers between are full."""

    @max_connections.default
    def _for_streams_and_pages(self) -> int:
        return self.max_clients + 96

    @max_per_address.default
    def _for_all_streams_and_a_page(self) -> int:
        return self.max_clients + 32
