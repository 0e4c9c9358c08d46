# SPDX-License-Identifier: Apache-2.0
"""RFC 9113 5.1 as a table, the other way round: what becomes of each type of frame that an origin sends
on a stream of the proxy's in each state. Each cell runs over the wire."""
import struct
import threading

import pytest

from support import Closed, scaled
from support import h2frames as h2
from support.h2frames import (CONTINUATION, DATA, END_HEADERS, END_STREAM, GET, GOAWAY, HEADERS, PING, PRIORITY,
                              PUSH_PROMISE, RST_STREAM, SETTINGS, RawH2Origin, frame, headers, literals, rst_stream,
                              window_update)

OK = (":status", "200")
# What an origin sends on stream `s`.
FRAMES = {
    "HEADERS": lambda s: headers(s, OK, end=False),
    "HEADERS that end": lambda s: headers(s, OK),
    "1xx": lambda s: headers(s, (":status", "103"), end=False),
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
    "CONTINUATION": lambda s: frame(CONTINUATION, END_HEADERS, s, literals(OK)),
    "unknown": lambda s: frame(0x42, 0xff, s, b"what"),
}
STATES = ["idle", "even", "open", "half-closed", "responding", "ended", "reset", "reset by us"]
PE, SC = h2.PROTOCOL_ERROR, h2.STREAM_CLOSED
# The answer: the code of the GOAWAY that ends the connection; "reset": a malformed response, whose stream
# is reset with PROTOCOL_ERROR; or the frame is taken, or ignored, and the connection goes on: then what
# the client gets in the end. "half-closed" is by the proxy, with its request; in "responding", too, with
# the response begun.
DONE = (200, b"done")
EMPTY = (200, b"")
LOST = (502, None)
TABLE = {
    #                    idle    even    open     half-c.  respon.          ended   reset   by us
    "HEADERS":          [PE,     PE,     DONE,    DONE,    "reset",         SC,     SC,     None],
    "HEADERS that end": [PE,     PE,     EMPTY,   EMPTY,   "reset",         SC,     SC,     None],
    "1xx":              [PE,     PE,     DONE,    DONE,    "reset",         SC,     SC,     None],
    "trailers":         [PE,     PE,     "reset", "reset", EMPTY,           SC,     SC,     None],
    "DATA":             [PE,     PE,     PE,      PE,      (200, b"xdone"), SC,     SC,     None],
    "DATA that ends":   [PE,     PE,     PE,      PE,      (200, b"x"),     SC,     SC,     None],
    "PRIORITY":         [DONE,   DONE,   DONE,    DONE,    DONE,            None,   None,   None],
    "RST_STREAM":       [PE,     PE,     LOST,    LOST,    LOST,            None,   None,   None],
    "SETTINGS":         [PE] * 8,
    "PUSH_PROMISE":     [PE] * 8,
    "PING":             [PE] * 8,
    "GOAWAY":           [PE] * 8,
    "WINDOW_UPDATE":    [PE,     PE,     DONE,    DONE,    DONE,            None,   None,   None],
    "CONTINUATION":     [PE] * 8,
    "unknown":          [DONE,   DONE,   DONE,    DONE,    DONE,            None,   None,   None],
}
CELLS = [(kind, state, TABLE[kind][at]) for kind in FRAMES for at, state in enumerate(STATES)]
NUMBERS = {"idle": 5, "even": 2}


class Cell:
    """What the origin does on the first connection: state, frame, and what then comes of it."""

    def __init__(self, kind, state, answer):
        self.kind, self.state, self.answer = kind, state, answer
        self.asked, self.settled, self.sent = (threading.Event() for _ in range(3))
        self.code = None        # of the GOAWAY
        self.next_stream = None

    def __call__(self, wire, number):
        origin = RawH2Origin(wire)
        if number > 0:  # the proxy has given the first connection up
            assert origin.until([HEADERS])[2] == 1
            origin.send(headers(1, OK, end=False), frame(DATA, END_STREAM, 1, b"another"))
            return origin.until([])
        self.bring(origin)
        origin.send(FRAMES[self.kind](NUMBERS.get(self.state, 1)))
        self.sent.set()
        if isinstance(self.answer, int):
            self.code = origin.goaway()
            return None
        if self.answer == "reset":
            got = origin.until([RST_STREAM])
            assert (got[2], got[3]) == (1, struct.pack("!I", PE)), got
        elif self.answer not in (None, EMPTY, LOST, (200, b"x")):
            self.finish(origin)
        got = origin.until([HEADERS, GOAWAY])
        assert got[0] == HEADERS, got
        self.next_stream = got[2]
        origin.send(headers(got[2], OK, end=False), frame(DATA, END_STREAM, got[2], b"next"))
        return origin.until([])

    def bring(self, origin):
        """Stream 1 into the state."""
        assert origin.until([HEADERS])[2] == 1
        self.asked.set()
        if self.state == "responding":
            origin.send(headers(1, OK, end=False))
        elif self.state == "ended":
            origin.send(headers(1, OK, end=False), frame(DATA, END_STREAM, 1, b"done"))
        elif self.state == "reset":
            origin.send(rst_stream(1))
        elif self.state == "reset by us":
            assert origin.until([RST_STREAM])[2] == 1
        if self.state in ("ended", "reset"):
            assert self.settled.wait(scaled(5))

    def finish(self, origin):
        """The rest of the response."""
        begun = self.state == "responding" or (self.kind == "HEADERS" and self.state in ("open", "half-closed"))
        origin.send(b"" if begun else headers(1, OK, end=False), frame(DATA, END_STREAM, 1, b"done"))


def outcome(client):
    """(status, body); of a body that breaks off, the status is 502 too."""
    try:
        response = client.response()
    except Closed:
        return LOST
    return response.status, response.body if response.status == 200 else None


def expected(cell):
    if cell.state == "ended":
        return DONE
    if cell.state == "reset" or cell.answer == "reset" or isinstance(cell.answer, int):
        return LOST
    return cell.answer


@pytest.mark.parametrize("kind,state,answer", CELLS, ids=[f"{kind} on {state}" for kind, state, _ in CELLS])
def test_h2_each_frame_of_an_origin_in_each_state(make_origin, proxy_to, connect, kind, state, answer):
    cell = Cell(kind, state, answer)
    origin = make_origin().raw(cell)
    proxy = proxy_to(origin, cluster={"protocol": "h2"})
    client = connect(proxy)
    if state == "open":
        client.send_head("POST", "/", {"Content-Length": "4"})
    else:
        client.send_request("GET", "/")
    assert cell.asked.wait(scaled(5))
    if state == "reset by us":
        client.reset()
    else:
        if state == "open":
            assert cell.sent.wait(scaled(5))
            client.send(b"body")
        assert outcome(client) == expected(cell)
    cell.settled.set()
    if isinstance(answer, int):
        origin.wait_until_open(0)
        assert cell.code == answer
    reply = connect(proxy).get("/next")
    assert (reply.status, reply.text) == (200, "another" if isinstance(answer, int) else "next")
    assert origin.connections == (2 if isinstance(answer, int) else 1)
