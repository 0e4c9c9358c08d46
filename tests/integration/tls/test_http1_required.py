# SPDX-License-Identifier: Apache-2.0
"""Origins that agree on HTTP/2 by ALPN and then want HTTP/1.1 (HTTP_1_1_REQUIRED, RFC 9113 7)."""
import struct
import threading

import pytest

from support import Closed
from support.h2frames import (DATA, GOAWAY, HEADERS, MAGIC, RST_STREAM, SETTINGS, frame)

HTTP_1_1_REQUIRED = 13
OK_BLOCK = b"\x88"  # :status 200


def reset(stream):
    return frame(RST_STREAM, 0, stream, struct.pack("!I", HTTP_1_1_REQUIRED))


def goaway(last):
    return frame(GOAWAY, 0, 0, struct.pack("!II", last, HTTP_1_1_REQUIRED))


# What the origin answers to the HEADERS of a stream by HTTP/2; GREETINGS are sent before any.
ANSWERS = {
    "reset": reset,
    "GOAWAY": lambda stream: goaway(0),
    "GOAWAY at once": lambda stream: b"",
    "reset and GOAWAY": lambda stream: reset(stream) + goaway(stream),
}


class Choosy:
    """An https origin of both protocols: HTTP/2 as `answer(stream)` says, HTTP/1.1 as an Origin."""

    def __init__(self, make_origin, authority, answer, greeting=b"", settings=b"", name="origin"):
        context = authority.local.for_origin()
        context.set_alpn_protocols(["h2", "http/1.1"])
        self.origin = make_origin(name, tls=context)
        self.answer, self.greeting, self.settings = answer, greeting, settings
        self.streams = 0  # by HTTP/2
        self.agreed = []
        self.origin.raw(self.serve)

    def serve(self, wire, number):
        self.agreed.append(wire.sock.selected_alpn_protocol())
        if self.agreed[-1] != "h2":
            while self.origin._serve_one(wire, number):
                pass
            return
        highest = 0
        try:
            assert wire.read_exactly(len(MAGIC)) == MAGIC
            wire.send(frame(SETTINGS, 0, 0, self.settings), self.greeting)
            while True:
                head = wire.read_exactly(9)
                kind, flags, stream = struct.unpack("!BBI", head[3:])
                wire.read_exactly(int.from_bytes(head[:3], "big"))
                if kind == SETTINGS and not flags & 1:
                    wire.send(frame(SETTINGS, 1))
                if kind == HEADERS and stream > highest:  # else trailers
                    highest = stream
                    self.streams += 1
                    wire.send(self.answer(stream))
        except Closed:
            pass


@pytest.fixture
def choosy(make_origin, authority):
    def make(answer, **kwargs):
        return Choosy(make_origin, authority, answer, **kwargs)
    return make


@pytest.fixture
def front(proxy_to, authority):
    def start(*made, cluster=None, **kwargs):
        return proxy_to(*(one.origin for one in made),
                        cluster={"tls": {"ca": str(authority.cert)}, **(cluster or {})}, **kwargs)
    return start


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("how", ANSWERS)
def test_h9_the_endpoint_gets_http_1_from_then_on(choosy, front, connect, how, method):
    made = choosy(ANSWERS[how], greeting=goaway(0) if how == "GOAWAY at once" else b"")
    made.origin.otherwise(lambda exchange: exchange.reply(body=exchange.read_body() + b"fine"))
    proxy = front(made)
    client = connect(proxy)
    sent = b"" if method == "GET" else b"sent, "
    for _ in range(3):
        answer = client.get("/") if method == "GET" else client.post("/", sent)
        assert (answer.status, answer.body) == (200, sent + b"fine")
    assert made.agreed == ["h2", "http/1.1"], "one connection of each"
    assert len(made.origin.requests) == 3


def test_h9_many_requests_at_once_are_all_served(choosy, front, connect):
    barrier = threading.Barrier(6, timeout=5)
    held = []

    def answer(stream):
        held.append(stream)
        return b"".join(map(reset, held)) if len(held) == 6 else b""
    made = choosy(answer)
    made.origin.otherwise(lambda exchange: (barrier.wait(), exchange.reply(body=b"fine")))
    proxy = front(made, cluster={"breaker": {"max_failures": 1}})
    clients = [connect(proxy) for _ in range(6)]
    for client in clients:
        client.send_request("GET", "/")
    for client in clients:
        assert client.response().body == b"fine"


def test_h9_each_endpoint_is_learnt_by_itself(choosy, front, connect):
    """A request that meets two such endpoints, one after the other, is served, without any retry policy."""
    first, second = choosy(reset, name="first"), choosy(reset, name="second")
    proxy = front(first, second)
    client = connect(proxy)
    assert [client.get("/").status for _ in range(4)] == [200] * 4
    assert len(first.origin.requests) + len(second.origin.requests) == 4


def test_h9_a_body_that_cannot_be_sent_again_is_refused_once(choosy, front, connect):
    """The origin refuses after it has taken more than the proxy keeps."""
    made = choosy(lambda stream: b"")
    taken = threading.Event()
    plain = made.serve

    def serve(wire, number):
        if wire.sock.selected_alpn_protocol() != "h2":
            return plain(wire, number)
        wire.read_exactly(len(MAGIC))
        wire.send(frame(SETTINGS), frame(8, 0, 0, struct.pack("!I", 1 << 24)))
        got = 0
        try:
            while True:
                head = wire.read_exactly(9)
                size, (kind, flags, stream) = int.from_bytes(head[:3], "big"), struct.unpack("!BBI", head[3:])
                wire.read_exactly(size)
                if kind == HEADERS:
                    wire.send(frame(8, 0, stream, struct.pack("!I", 1 << 24)))
                got += size if kind == DATA else 0
                if got >= 100_000 and not taken.is_set():
                    taken.set()
                    wire.send(reset(stream))
        except Closed:
            return None
    made.origin.raw(serve)
    proxy = front(made)
    client = connect(proxy)
    client.post_partly("/", b"x" * 120_000, 200_000)
    answer = client.response()
    assert answer.status == 502 and "stream_refused" in answer.text
    assert connect(proxy).get("/").status == 200, "the next one is asked for by HTTP/1.1"


def test_h9_where_the_config_demands_http_2_it_is_an_error_that_says_so(choosy, front, connect):
    made = choosy(reset)
    proxy = front(made, cluster={"protocol": "h2"})
    assert connect(proxy).get("/").status == 502
    assert proxy.wait_for_access(status=502)["error"] == "stream_refused"
    proxy.wait_for_log(message="an origin asks for HTTP/1.1, which the cluster's protocol does not allow")
    assert "http/1.1" not in made.agreed


@pytest.mark.parametrize("extended", [False, True], ids=["learnt before", "CONNECT is refused"])
def test_h9_a_websocket_passes(choosy, front, connect, extended):
    answer = reset
    settings = b""
    if extended:  # HTTP/2 is fine but for extended CONNECT, which the origin announces all the same
        def answer(stream):
            return reset(stream) if stream == 1 else frame(HEADERS, 5, stream, OK_BLOCK)
        settings = struct.pack("!HI", 8, 1)
    made = choosy(answer, settings=settings)

    def agree(exchange):
        exchange.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        wire = exchange.take_over()
        wire.expect("ping")
        wire.send("pong")
        wire.expect_end()
        exchange.close()
    made.origin.on("/chat", agree)
    proxy = front(made)
    if not extended:
        assert connect(proxy).get("/").status == 200
    client = connect(proxy)
    client.send("GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    assert client.read_head().status == 101
    client.send("ping")
    client.expect("pong")
    client.half_close()
    client.expect_end()
    if extended:
        assert connect(proxy).get("/").status == 200
        assert made.streams == 2, "all else still goes by HTTP/2"


def test_h9_health_checks_follow(choosy, front, connect):
    made = choosy(reset)
    proxy = front(made, cluster={"health_check": {"path": "/healthy", "interval": "100ms", "unhealthy_after": 1}})
    made.origin.wait_for_requests(2)
    assert set(made.origin.paths()) == {"/healthy"}
    assert connect(proxy).get("/").status == 200
