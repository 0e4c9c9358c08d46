# SPDX-License-Identifier: Apache-2.0
"""Origins that cost more than they pay: each flood ends its connection soon, and takes little of the
processor; the client gets an answer, or an end, and others are served."""
import struct
import time

import pytest

from support import Closed, scaled
from support.h2 import ErrorCodes, H2Origin
from support.h2frames import (CONTINUATION, DATA, END_HEADERS, HEADERS, MAGIC, PING, PRIORITY, PUSH_PROMISE, SETTINGS,
                              frame, literals, rst_stream, window_update)

MOST_BYTES = 16 << 20  # that an origin hands to the kernel before it is cut off
MOST_CPU = 0.5         # seconds of the proxy
HEAD = frame(HEADERS, END_HEADERS, 1, b"\x88")
TRAILERS = frame(HEADERS, END_HEADERS, 1, literals(("x", "y")))
# What comes once for a request, and what then comes without an end.
FLOODS = {
    "empty DATA": (HEAD, frame(DATA, 0, 1)),
    "DATA of padding": (HEAD, frame(DATA, 8, 1, b"\2\0\0")),
    "empty DATA before the head": (b"", frame(DATA, 0, 1)),
    "PING": (b"", frame(PING, 0, 0, b"12345678")),
    "SETTINGS": (b"", frame(SETTINGS)),
    "SETTINGS that change the windows": (b"", frame(SETTINGS, 0, 0, struct.pack("!HI", 4, 100)) +
                                         frame(SETTINGS, 0, 0, struct.pack("!HI", 4, 200))),
    "RST_STREAM": (b"", rst_stream(1)),
    "WINDOW_UPDATE": (b"", window_update(0, 1)),
    "WINDOW_UPDATE of the stream": (HEAD, window_update(1, 1)),
    "PRIORITY": (b"", frame(PRIORITY, 0, 1, b"\0\0\0\0\x10")),
    "PUSH_PROMISE": (b"", frame(PUSH_PROMISE, END_HEADERS, 1, struct.pack("!I", 2) + literals((":method", "GET")))),
    "CONTINUATION": (frame(HEADERS, 0, 1, b"\x88"), frame(CONTINUATION, 0, 1)),
    "1xx": (b"", frame(HEADERS, END_HEADERS, 1, literals((":status", "103")))),
    "HEADERS": (HEAD, TRAILERS),
    "HEADERS behind the end": (HEAD + frame(HEADERS, END_HEADERS | 1, 1, literals(("x", "y"))), TRAILERS),
    "unknown frames": (b"", frame(0x42, 0, 0, b"x" * 1000)),
}


def cpu(proxy):
    with open(f"/proc/{proxy.process.pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.mark.parametrize("what", FLOODS)
def test_h15_an_origin_that_floods_is_cut_off(make_origin, proxy_to, connect, what):
    once, flood = FLOODS[what]
    sent = []

    def attack(wire, number):
        assert wire.read_exactly(len(MAGIC)) == MAGIC
        wire.send(frame(SETTINGS))
        kind = None
        while kind != HEADERS:
            head = wire.read_exactly(9)
            kind = head[3]
            wire.read_exactly(int.from_bytes(head[:3], "big"))
        batch = flood * (16384 // len(flood) + 1)
        total = 0
        try:
            wire.send(frame(SETTINGS, 1), once)
            while total < MOST_BYTES:
                wire.send(batch)
                total += len(batch)
        except Closed:
            pass
        sent.append(total)
    origin = make_origin().raw(attack)
    proxy = proxy_to(origin, cluster={"protocol": "h2"}, listener={"http2": {"enabled": True}})
    before, begin = cpu(proxy), time.monotonic()
    client = connect(proxy)
    client.send_request("GET", "/")
    whole = what == "HEADERS behind the end"
    client.read_to_close() if once.startswith(HEAD) and not whole else client.response()
    origin.wait_until_open(0)
    assert sent and sent[0] < MOST_BYTES
    assert cpu(proxy) - before < scaled(MOST_CPU)
    assert time.monotonic() - begin < scaled(3)


@pytest.mark.parametrize("code", [ErrorCodes.INTERNAL_ERROR, ErrorCodes.CANCEL, ErrorCodes.REFUSED_STREAM])
def test_an_origin_that_resets_streams_is_not_dialled_for_each(proxy_to, code):
    """The connection lives on, and so does the next request on it."""
    def resets(exchange):
        if exchange.request.target == "/well":
            return exchange.reply(200, b"well")
        exchange.side.reset_stream(exchange.stream, code)
    origin = H2Origin("resets")
    try:
        origin.otherwise(resets, may_break=True)
        proxy = proxy_to(origin, cluster={"protocol": "h2"})
        with proxy.client() as client:
            for _ in range(40):
                assert client.get("/reset").status in (502, 503)
                assert client.get("/well").status == 200
        assert proxy.metrics()("proxy_backend_connections_active", default=0) <= 2
    finally:
        origin.close()
