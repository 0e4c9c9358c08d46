# SPDX-License-Identifier: Apache-2.0
"""Requests that cross with SIGTERM, and what is said of those that the drain's deadline cuts."""
import signal
import socket
import struct
import threading

import pytest

from support import eventually, scaled
from support import h2frames as h2
from support.h2 import H2Client
from support.h2frames import DATA, GET, GOAWAY, PING, RawH2, headers

LATE = "60s"  # a drain timeout longer than any wait here: what ends, ends before it


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), scaled(5)).close()
    except ConnectionError:
        return False
    return True


@pytest.fixture
def held_drain(make_origin, proxy_to, connect):
    """`held_drain(**config)` gives a proxy; `.drain()` sends SIGTERM while a request keeps it from ending,
    and returns when all workers have heard of it."""
    release = threading.Event()
    origin = make_origin().otherwise(body=b"fine", may_break=True)
    origin.on("/held", lambda exchange: (exchange.wait(release, 20), exchange.reply(body=b"held")))

    def start(**config):
        proxy = proxy_to(origin, drain_timeout=LATE, **config)

        def drain():
            proxy.signal(signal.SIGTERM)
            # A worker's listeners close when it has told its connections.
            eventually(lambda: not listens(proxy.port()), what="the listeners are closed")
        proxy.drain = drain
        return proxy

    def hold(client, target="/held"):
        client.send_request("GET", target)
        origin.wait_for_requests(1)
    start.hold, start.release, start.origin = hold, release.set, origin
    yield start
    release.set()


def first_request(kind, proxy, authority):
    """A client that has connected, and has no request under way; gives what sends one and reads to the
    end, and what closes the connection."""
    if kind == "h2":
        return None, RawH2(proxy.port()).wire.close
    sock = socket.create_connection(("127.0.0.1", proxy.port()), scaled(5))
    if kind == "tls":
        sock = authority.trust().wrap_socket(sock, server_hostname="localhost")
    if kind == "keep-alive":
        sock.sendall(b"GET /before HTTP/1.1\r\nHost: a\r\n\r\n")
        assert sock.recv(4096).startswith(b"HTTP/1.1 200")

    def ask():
        sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        text = b""
        while True:
            more = sock.recv(4096)
            if not more:
                return text
            text += more
    return ask, sock.close


@pytest.mark.parametrize("kind", ["connected", "tls", "keep-alive"])
def test_o6_a_client_that_has_connected_gets_one_answer(held_drain, connect, authority, kind):
    tls = {"listener": {"tls": {"certificates": [authority.local.entry]}}} if kind == "tls" else {}
    proxy = held_drain(**tls)
    ask, close = first_request(kind, proxy, authority)
    if kind == "tls":
        holder = authority.trust().wrap_socket(
            socket.create_connection(("127.0.0.1", proxy.port()), scaled(5)), server_hostname="localhost")
        holder.sendall(b"GET /held HTTP/1.1\r\nHost: localhost\r\n\r\n")
        held_drain.origin.wait_for_requests(1)
    else:
        held_drain.hold(connect(proxy), "/held")
        if kind == "keep-alive":
            held_drain.origin.wait_for_requests(2)
    eventually(lambda: proxy.metrics()("proxy_client_connections_active") == 2)
    proxy.drain()
    answer = ask()
    assert answer.startswith(b"HTTP/1.1 200 ") and b"\r\nconnection: close\r\n" in answer.lower()
    assert answer.endswith(b"fine")
    close()
    held_drain.release()
    assert proxy.wait_for_exit() == 0


@pytest.mark.parametrize("before", [0, 1])
def test_o6_an_idle_http2_connection_gets_one_more_answer(held_drain, connect, before):
    proxy = held_drain()
    held_drain.hold(connect(proxy), "/held")
    with RawH2(proxy.port()) as client:
        if before:
            client.send(headers(1, *GET))
            assert client.until([DATA])[3] == b"fine"
        else:
            assert client.until([h2.SETTINGS]) is not None
        eventually(lambda: proxy.metrics()("proxy_client_connections_active") == 2)
        proxy.drain()
        stream = 2 * before + 1
        client.send(headers(stream, *GET))
        seen = []
        while (got := client.read()) is not None:
            seen.append(got)
        assert any(kind == DATA and at == stream and payload == b"fine" for kind, _, at, payload in seen)
        lasts = [struct.unpack("!II", payload[:8]) for kind, _, _, payload in seen if kind == GOAWAY]
        assert lasts == [(0x7fffffff, 0), (stream, 0)]
    held_drain.release()
    assert proxy.wait_for_exit() == 0


@pytest.mark.parametrize("kind", ["connected", "keep-alive", "h2"])
def test_o6_a_client_that_stays_silent_is_not_waited_for(held_drain, authority, kind):
    proxy = held_drain()
    _, close = first_request(kind, proxy, authority)
    eventually(lambda: proxy.metrics()("proxy_client_connections_active") == 1)
    proxy.signal(signal.SIGTERM)
    assert proxy.wait_for_exit() == 0  # with the client's side still open
    proxy.wait_for_log(message="drained")
    close()


@pytest.mark.parametrize("later", [False, True], ids=["at once", "after a round trip"])
def test_h1_a_client_that_acknowledges_no_ping_holds_no_drain_up(held_drain, later):
    """SIGTERM while a stream is open; the stream ends."""
    proxy = held_drain()
    with RawH2(proxy.port()) as client:
        client.send(headers(1, *GET[:3], (":path", "/held")))
        held_drain.origin.wait_for_requests(1)
        proxy.drain()
        assert client.until([PING]) is not None  # never answered
        if later:
            client.send(h2.frame(PING, 0, 0, b"anything"))
            assert client.until([PING])[3] == b"anything"
        held_drain.release()
        assert client.until([DATA])[3] == b"held"
        assert struct.unpack("!II", client.until([GOAWAY])[3][:8]) == (1, 0)
        assert client.until([]) is None
        assert proxy.wait_for_exit() == 0  # with the client's side still open


def test_h1_the_last_stream_may_end_long_after_its_exchange(held_drain):
    """What its window does not let out still waits when the exchange is over."""
    proxy = held_drain()
    with RawH2(proxy.port()) as client:
        client.send(h2.frame(h2.SETTINGS, 0, 0, struct.pack("!HI", 4, 2)), headers(1, *GET))
        assert client.until([DATA])[3] == b"fi"
        proxy.drain()
        assert client.until([PING]) is not None
        client.send(h2.window_update(1, 100))
        assert client.until([DATA])[3] == b"ne"
        assert struct.unpack("!II", client.until([GOAWAY])[3][:8]) == (1, 0)
        assert client.until([]) is None
    assert proxy.wait_for_exit() == 0


@pytest.mark.parametrize("how", ["deadline", "second signal"])
@pytest.mark.parametrize("begun", [False, True], ids=["before the head", "in the body"])
@pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/2"])
def test_o23_what_the_drain_cuts_is_logged_as_draining(make_origin, proxy_to, connect, protocol, begun, how):
    origin = make_origin()

    def never_ends(exchange):
        if begun:
            exchange.start_chunked()
            exchange.chunk("begin")
        exchange.expect_gone()
    origin.on("/", never_ends, may_break=True)
    proxy = proxy_to(origin, drain_timeout="300ms" if how == "deadline" else "60s")
    if protocol == "HTTP/2":
        client = H2Client(proxy.port())
        stream = client.start("GET", "/", end=True)
        if begun:
            client.wait_body(stream, 5)
    else:
        client = connect(proxy)
        client.send_request("GET", "/")
        if begun:
            client.read_head()
    origin.wait_for_requests(1)
    proxy.signal(signal.SIGTERM)
    if how != "deadline":
        proxy.wait_for_log(message="draining")
        proxy.signal(signal.SIGTERM)
    line = proxy.wait_for_access(path="/")
    assert (line["error"], line["side"]) == ("draining", "proxy")
    assert line["status"] == (200 if begun else 503)
    if protocol == "HTTP/2":
        message = client.message(stream)
        client.wait(lambda: message.reset is not None, "the reset")
        client.close()
    proxy.wait_for_exit()
    proxy.expect_exit = proxy.exit_code if proxy.exit_code in (0, 1) else 0
