# SPDX-License-Identifier: Apache-2.0
"""RFC 9113 5.1 as a table: what becomes of each type of frame that a client sends on a stream in each
state. Each cell runs over the wire against a proxy."""
import struct
import threading

import pytest

from support import Origin, Proxy, config_for
from support import h2frames as h2
from support.h2frames import (CONTINUATION, DATA, END_HEADERS, END_STREAM, GET, GOAWAY, HEADERS, PING, POST, PRIORITY,
                              PUSH_PROMISE, RST_STREAM, SETTINGS, RawH2, frame, headers, literals, rst_stream,
                              window_update)

# What a client sends on stream `s`.
FRAMES = {
    "HEADERS": lambda s: headers(s, *GET),
    "DATA": lambda s: frame(DATA, 0, s, b"x"),
    "PRIORITY": lambda s: frame(PRIORITY, 0, s, b"\0\0\0\0\x10"),
    "RST_STREAM": rst_stream,
    "SETTINGS": lambda s: frame(SETTINGS, 0, s),
    "PUSH_PROMISE": lambda s: frame(PUSH_PROMISE, END_HEADERS, s, struct.pack("!I", 2) + literals(*GET)),
    "PING": lambda s: frame(PING, 0, s, b"12345678"),
    "GOAWAY": lambda s: frame(GOAWAY, 0, s, b"\0" * 8),
    "WINDOW_UPDATE": lambda s: window_update(s, 1),
    "CONTINUATION": lambda s: frame(CONTINUATION, END_HEADERS, s, literals(*GET)),
    "unknown": lambda s: frame(0x42, 0xff, s, b"what"),
}
STATES = ["idle", "open", "half-closed", "ended", "reset", "reset by us", "passed over", "even"]
PE, SC = h2.PROTOCOL_ERROR, h2.STREAM_CLOSED
# The answer: the code of the GOAWAY that ends the connection; or "fine": taken, or ignored, and the
# connection goes on; or "400": a malformed request, whose stream is reset.
TABLE = {
    #                idle    open    half-c. ended   reset   by us   passed  even
    "HEADERS":       ["fine", "400",  SC,     SC,     SC,     "fine", PE,     PE],
    "DATA":          [PE,     "fine", SC,     SC,     SC,     "fine", PE,     PE],
    "PRIORITY":      ["fine", "fine", "fine", "fine", "fine", "fine", "fine", "fine"],
    "RST_STREAM":    [PE,     "fine", "fine", "fine", "fine", "fine", "fine", PE],
    "SETTINGS":      [PE] * 8,
    "PUSH_PROMISE":  [PE] * 8,
    "PING":          [PE] * 8,
    "GOAWAY":        [PE] * 8,
    "WINDOW_UPDATE": [PE,     "fine", "fine", "fine", "fine", "fine", "fine", PE],
    "CONTINUATION":  [PE] * 8,
    "unknown":       ["fine"] * 8,
}
CELLS = [(kind, state, TABLE[kind][at]) for kind in FRAMES for at, state in enumerate(STATES)]


@pytest.fixture(scope="module")
def proxy():
    release = threading.Event()
    origin = Origin()
    origin.otherwise(body=b"fine", may_break=True)
    origin.on("/held", lambda exchange: exchange.wait(release, 60), may_break=True)
    early = {"name": "early", "match": {"path": "/early"}, "respond": {"status": 200, "body": "early"}}
    config = config_for(origin)
    config["routes"].insert(0, early)
    with Proxy(config) as running:
        yield running
        release.set()
    origin.close()


def at(path, method=GET):
    return (*method[:3], (":path", path))


def bring_to(client, state):
    """A stream in that state; gives its number. The others of its connection are above it."""
    if state == "idle":
        return 5
    if state == "even":
        return 2
    if state == "open":
        client.send(headers(5, *at("/held", POST), end=False))
    elif state == "half-closed":
        client.send(headers(5, *at("/held")))
    elif state == "ended":
        client.send(headers(5, *GET))
        assert client.until([DATA])[2] == 5
    elif state == "reset":
        client.send(headers(5, *at("/held", POST), end=False), rst_stream(5))
    elif state == "reset by us":
        # The response is complete before the request, so the proxy says that it wants no more of it.
        client.send(headers(5, *at("/early", POST), end=False))
        assert client.until([RST_STREAM])[2] == 5
    elif state == "passed over":
        client.send(headers(7, *GET))
        assert client.until([DATA])[2] == 7
    return 5


@pytest.mark.parametrize("kind,state,answer", CELLS, ids=[f"{kind} on {state}" for kind, state, _ in CELLS])
def test_h2_each_frame_in_each_state(proxy, kind, state, answer):
    with RawH2(proxy.port()) as client:
        stream = bring_to(client, state)
        client.send(FRAMES[kind](stream))
        if isinstance(answer, int):
            assert client.goaway() == answer
            return
        if answer == "400":
            got = client.until([RST_STREAM])
            assert (got[2], got[3]) == (stream, struct.pack("!I", PE))
        client.send(frame(PING, 0, 0, b"12345678"), headers(9, *GET))
        while (got := client.until([DATA, GOAWAY]))[2] != 9:
            assert got[0] == DATA, "the connection ended"
        assert got[3] == b"fine"


@pytest.mark.parametrize("what,sent,code", [
    ("5, then 3", headers(5, *GET) + headers(3, *GET), PE),
    ("5, then 1", headers(5, *GET) + headers(1, *GET), PE),
    ("the same twice", headers(5, *GET) + headers(5, *GET), SC),
    ("trailers twice", headers(5, *POST, end=False) + headers(5, ("x", "y")) + headers(5, ("x", "y")), SC),
    ("DATA behind END_STREAM on DATA", headers(5, *POST, end=False) + frame(DATA, END_STREAM, 5, b"x") +
     frame(DATA, 0, 5, b"y"), SC),
    ("HEADERS behind the client's reset", headers(5, *POST, end=False) + rst_stream(5) + headers(5, *GET), SC),
])
def test_h2_in_one_read(proxy, what, sent, code):
    with RawH2(proxy.port()) as client:
        client.send(sent)
        assert client.goaway() == code
