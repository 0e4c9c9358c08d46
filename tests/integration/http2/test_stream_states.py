# SPDX-License-Identifier: Apache-2.0
"""RFC 9113 5.1 as a table: what becomes of each type of frame that a client sends on a stream in each
state. Each cell runs over the wire against a proxy."""
import itertools
import select
import struct
import threading

import pytest

from support import Closed, Origin, Proxy, config_for, scaled
from support import h2frames as h2
from support.h2frames import (CONTINUATION, DATA, END_HEADERS, END_STREAM, GET, GOAWAY, HEADERS, PING, POST, PRIORITY,
                              PUSH_PROMISE, RST_STREAM, SETTINGS, RawH2, frame, headers, literals, rst_stream,
                              window_update)

# What a client sends on stream `s`.
FRAMES = {
    "HEADERS": lambda s: headers(s, *GET),
    "trailers": lambda s: headers(s, ("x-sum", "1")),
    "DATA": lambda s: frame(DATA, 0, s, b"x"),
    "DATA that ends": lambda s: frame(DATA, END_STREAM, s, b"x"),
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
STATES = ["idle", "open", "half-closed", "responding", "ended", "reset", "reset by us", "passed over", "even"]
PE, SC = h2.PROTOCOL_ERROR, h2.STREAM_CLOSED
# The answer: the code of the GOAWAY that ends the connection; or "fine": taken, or ignored, and the
# connection goes on; or "400": a malformed request, whose stream is reset. "responding" is half-closed
# with the response begun.
TABLE = {
    #                  idle    open    half-c. respon. ended   reset   by us   passed  even
    "HEADERS":        ["fine", "400",  SC,     SC,     SC,     SC,     "fine", PE,     PE],
    "trailers":       ["400",  "fine", SC,     SC,     SC,     SC,     "fine", PE,     PE],
    "DATA":           [PE,     "fine", SC,     SC,     SC,     SC,     "fine", PE,     PE],
    "DATA that ends": [PE,     "fine", SC,     SC,     SC,     SC,     "fine", PE,     PE],
    "PRIORITY":       ["fine"] * 9,
    "RST_STREAM":     [PE,     "fine", "fine", "fine", "fine", "fine", "fine", "fine", PE],
    "SETTINGS":       [PE] * 9,
    "PUSH_PROMISE":   [PE] * 9,
    "PING":           [PE] * 9,
    "GOAWAY":         [PE] * 9,
    "WINDOW_UPDATE":  [PE,     "fine", "fine", "fine", "fine", "fine", "fine", "fine", PE],
    "CONTINUATION":   [PE] * 9,
    "unknown":        ["fine"] * 9,
}
CELLS = [(kind, state, TABLE[kind][at]) for kind in FRAMES for at, state in enumerate(STATES)]


class Held:
    """A request that its origin answers when it is told to, and what became of it there."""
    numbers = itertools.count()
    all = {}

    def __init__(self, path="/held"):
        number = str(next(self.numbers))
        self.path = f"{path}?{number}"
        self.seen, self.release, self.over = threading.Event(), threading.Event(), threading.Event()
        self.request, self.lost = None, False
        self.all[number] = self

    @classmethod
    def serve(cls, exchange):
        held = cls.all[exchange.request.target.partition("?")[2]]
        held.request = exchange.request
        try:
            if exchange.request.path == "/begun":
                exchange.start_chunked()
                exchange.chunk("begun ")
            held.seen.set()
            exchange.read_body()
            held.wait_for_release(exchange)
            if exchange.request.path == "/begun":
                exchange.chunk("held")
                exchange.end_chunks()
            else:
                exchange.reply(body=b"held")
        except Closed:
            held.lost = True
            raise
        finally:
            held.over.set()

    def wait_for_release(self, exchange):
        """Or for the connection's end, which the proxy brings about when nobody wants the answer."""
        while not self.release.is_set():
            if select.select([exchange.wire.sock], [], [], 0.01)[0]:
                exchange.wire.need()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release.set()


@pytest.fixture(scope="module")
def proxy():
    origin = Origin()
    origin.otherwise(body=b"fine", may_break=True)
    for path in ("/held", "/begun"):
        origin.on(path, Held.serve, may_break=True)
    early = {"name": "early", "match": {"path": "/early"}, "respond": {"status": 200, "body": "early"}}
    config = config_for(origin)
    config["routes"].insert(0, early)
    with Proxy(config) as running:
        yield running
    origin.close()


def at(path, method=GET):
    return (*method[:3], (":path", path))


def bring_to(client, state, held):
    """A stream in that state; gives its number. The others of its connection are above it."""
    if state == "idle":
        return 5
    if state == "even":
        return 2
    if state == "open":
        client.send(headers(5, *at(held.path, POST), end=False))
        assert held.seen.wait(scaled(5))
    elif state in ("half-closed", "responding"):
        client.send(headers(5, *at(held.path)))
        assert held.seen.wait(scaled(5))
        if state == "responding":
            assert client.until([DATA])[2] == 5
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


def answered(client, *streams):
    """The bodies of the responses on these streams, read to their ends; no other has frames."""
    bodies = dict.fromkeys(streams, b"")
    ended = set()
    while ended != set(streams):
        got = client.until([HEADERS, DATA, GOAWAY, RST_STREAM])
        assert got and got[0] in (HEADERS, DATA) and got[2] in streams, got
        if got[0] == DATA:
            bodies[got[2]] += got[3]
        if got[1] & END_STREAM:
            ended.add(got[2])
    return bodies


def lost(client, held):
    assert held.over.wait(scaled(5)) and held.lost, "the origin was not told"


def whole(body, trailers=(), ends=b""):
    """The origin gets this request to its end, which `ends` brings, and its answer comes."""
    def check(client, held):
        client.send(ends)
        held.release.set()
        assert answered(client, 5)[5] == b"held"
        assert (held.request.body, list(held.request.trailers)) == (body, list(trailers))
    return check


def goes_on(client, held):
    """Nothing has changed: the answer comes when the origin gives it."""
    assert not held.over.is_set()
    held.release.set()
    assert answered(client, 5)[5] == b"held"


LAST = frame(DATA, END_STREAM, 5, b"y")
# What a frame that is taken brings about, beside that the connection goes on.
EFFECTS = {
    ("HEADERS", "idle"): lambda client, held: answered(client, 5),
    ("trailers", "open"): whole(b"", [("x-sum", "1")]),
    ("DATA", "open"): whole(b"xy", ends=LAST),
    ("DATA that ends", "open"): whole(b"x"),
    **{("RST_STREAM", state): lost for state in ("open", "half-closed", "responding")},
    **{(kind, "open"): whole(b"y", ends=LAST) for kind in ("PRIORITY", "WINDOW_UPDATE", "unknown")},
    **{(kind, state): goes_on for kind in ("PRIORITY", "WINDOW_UPDATE", "unknown")
       for state in ("half-closed", "responding")},
    **{(kind, "idle"): lambda client, held: client.send(headers(5, *GET)) and answered(client, 5)
       for kind in ("PRIORITY", "unknown")},
}


def test_h2_each_frame_that_is_taken_on_a_live_stream_has_an_effect_to_look_for():
    live = {(kind, state) for kind, state, answer in CELLS
            if answer == "fine" and state in ("idle", "open", "half-closed", "responding")}
    assert live == set(EFFECTS)


@pytest.mark.parametrize("kind,state,answer", CELLS, ids=[f"{kind} on {state}" for kind, state, _ in CELLS])
def test_h2_each_frame_in_each_state(proxy, kind, state, answer):
    with RawH2(proxy.port()) as client, Held("/begun" if state == "responding" else "/held") as held:
        stream = bring_to(client, state, held)
        client.send(FRAMES[kind](stream))
        if isinstance(answer, int):
            assert client.goaway() == answer
            return
        if answer == "400":
            got = client.until([RST_STREAM])
            assert (got[2], got[3]) == (stream, struct.pack("!I", PE))
        elif (kind, state) in EFFECTS:
            EFFECTS[kind, state](client, held)
        client.send(frame(PING, 0, 0, b"12345678"), headers(9, *GET))
        assert answered(client, 9) == {9: b"fine"}


@pytest.mark.parametrize("state", ["open", "half-closed", "responding"])
def test_h2_a_window_update_lets_as_many_bytes_pass(proxy, state):
    """Beside the table: with a window of nothing, its effect is seen."""
    with RawH2(proxy.port()) as client, Held() as held:
        client.send(frame(SETTINGS, 0, 0, struct.pack("!HI", 4, 0)))
        client.send(headers(5, *at(held.path, POST), end=False))
        if state != "open":
            client.send(frame(DATA, END_STREAM, 5))
        if state == "responding":
            held.release.set()
            assert client.until([HEADERS])[2] == 5
        client.send(window_update(5, 3))
        if state == "open":
            client.send(frame(DATA, END_STREAM, 5))
        held.release.set()
        assert client.until([DATA]) == (DATA, 0, 5, b"hel")
        client.send(window_update(5, 1))
        assert client.until([DATA]) == (DATA, END_STREAM, 5, b"d")


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
