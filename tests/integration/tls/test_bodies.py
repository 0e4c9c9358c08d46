# SPDX-License-Identifier: Apache-2.0
"""What streams through TLS arrives byte for byte, whoever is slow and whoever ends first."""
import contextlib
import hashlib
import socket
import ssl
import threading

import pytest

from support import scaled

SIZE = 24 << 20
BLOCK = bytes(hashlib.sha256(b"%d" % i).digest()[0] for i in range(1 << 16))


def digest_of(blocks):
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()


EXPECTED = digest_of(BLOCK for _ in range(SIZE // len(BLOCK)))


@pytest.fixture(params=["client", "origin", "both"])
def sides(request, proxy_to, make_origin, authority):
    """An origin and a proxy with TLS on these sides, and what a client connects with."""
    tls = {"tls": {"certificates": [authority.local.entry]}}
    origin = make_origin(tls=authority.local.for_origin() if request.param != "client" else None)
    proxy = proxy_to(origin, cluster={"tls": {"ca": str(authority.cert)}},
                     listener=tls if request.param != "origin" else None)
    return origin, proxy, {} if request.param == "origin" else {"tls": authority.trust()}


def read_digest(wire, size):
    digest = hashlib.sha256()
    while size:
        block = wire.read_some()
        assert block, f"{size} bytes are missing"
        digest.update(block)
        size -= len(block)
    return digest.hexdigest()


def test_a_large_request_and_a_large_response_pass_unchanged(sides, connect):
    origin, proxy, how = sides
    seen = []

    def swallow_and_send(exchange):
        seen.append(read_digest(exchange.take_over(), SIZE))
        exchange.send(f"HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n")
        for _ in range(SIZE // len(BLOCK)):
            exchange.wire.send(BLOCK)
    origin.on("/", swallow_and_send)
    client = connect(proxy, timeout=20, **how)
    client.send_head("POST", "/", {"Content-Length": str(SIZE)})
    for _ in range(SIZE // len(BLOCK)):
        client.send(BLOCK)
    assert client.read_head().status == 200
    assert read_digest(client, SIZE) == EXPECTED
    assert seen == [EXPECTED]


def test_a_slow_reader_holds_the_origin_back_and_memory_stays_bounded(sides, connect):
    origin, proxy, how = sides
    sent = []
    stuck = threading.Event()

    def flood(exchange):
        exchange.send(f"HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n")
        exchange.wire.set_timeout(0.5)
        total = 0
        try:
            while total < SIZE:
                exchange.wire.sock.sendall(BLOCK)
                total += len(BLOCK)
                sent.append(total)
        except OSError:
            stuck.set()
        exchange.close()
    origin.on("/", flood, may_break=True)
    client = connect(proxy, receive_buffer=4096, **how)
    client.send_request("GET", "/")
    assert stuck.wait(scaled(10)), "the origin could send all of it although nobody read"
    assert sent[-1] < SIZE


def test_small_and_chunked_bodies_in_both_directions(sides, connect):
    origin, proxy, how = sides

    def echo(exchange):
        body = exchange.read_body()
        exchange.start_chunked()
        for at in range(0, len(body), 100):
            exchange.chunk(body[at:at + 100])
        exchange.end_chunks({"X-Trailer": "yes"})
    origin.otherwise(echo)
    client = connect(proxy, **how)
    for size in (1, 99, 100, 101, 1500, 16384, 16385, 70000):
        body = (BLOCK * 2)[:size]
        response = client.post("/", body)
        assert response.body == body
        assert response.trailers.get("x-trailer") == "yes"


def test_an_upgrade_is_a_tunnel_both_ways(sides, connect):
    origin, proxy, how = sides

    def upgrade(exchange):
        wire = exchange.take_over()
        exchange.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
        for _ in range(3):
            wire.send(wire.read_exactly(5)[::-1])
        wire.send(wire.read_exactly(200_000))
        wire.close()
        exchange.close()
    origin.on("/", upgrade)
    client = connect(proxy, **how)
    client.send_head("GET", "/", {"Connection": "upgrade", "Upgrade": "echo"})
    assert client.response().status == 101
    for word in (b"hello", b"world", b"again"):
        client.send(word).expect(word[::-1])
    bulk = BLOCK * 4
    client.send(bulk[:200_000])
    assert client.read_exactly(200_000) == bulk[:200_000]


class HalfClosing:
    """A TLS client over MemoryBIO, since ssl's sockets can not be read after they said close_notify."""

    def __init__(self, port, context):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=scaled(5))
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.until_done(self.tls.do_handshake)

    def until_done(self, step):
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self.flush()
                self.receive()
            finally:
                self.flush()

    def flush(self):
        if self.outgoing.pending:
            self.sock.sendall(self.outgoing.read())

    def receive(self):
        data = self.sock.recv(65536)
        self.incoming.write(data) if data else self.incoming.write_eof()

    def say_close_notify(self):
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.unwrap()
        self.flush()


def test_a_client_that_has_said_close_notify_still_gets_its_answer(proxy_to, origin, authority):
    release = threading.Event()

    def late(exchange):
        exchange.wait(release)
        exchange.reply(body=b"late answer")
    origin.on("/late", late)
    proxy = proxy_to(origin, listener={"tls": {"certificates": [authority.local.entry]}})
    client = HalfClosing(proxy.port(), authority.trust())
    client.tls.write(b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n")
    client.say_close_notify()
    origin.wait_for_requests(1)
    release.set()
    answer = b""
    while b"late answer" not in answer:
        answer += client.until_done(lambda: client.tls.read(65536))
    client.sock.close()


class TlsByHand:
    """A TLS client that can say close_notify and go on reading, which Python's sockets cannot."""

    def __init__(self, port, context):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=scaled(5))
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.until_done(self.tls.do_handshake)

    def flush(self):
        self.sock.sendall(self.outgoing.read())

    def until_done(self, step):
        while True:
            try:
                done = step()
                self.flush()
                return done
            except ssl.SSLWantReadError:
                self.flush()
                got = self.sock.recv(65536)
                self.incoming.write(got) if got else self.incoming.write_eof()

    def send(self, text):
        self.tls.write(text)
        self.flush()

    def say_close_notify(self):
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        self.flush()

    def read_to_end(self):
        text = b""
        with contextlib.suppress(ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionResetError):
            while got := self.until_done(lambda: self.tls.read(65536)):
                text += got
        return text


@pytest.mark.parametrize("how", [None, "wait", "abort"])
def test_h22_close_notify_is_a_half_close(origin, proxy_to, authority, how):
    heard, release = threading.Event(), threading.Event()

    def slow(exchange):
        heard.set()
        if how == "abort":
            exchange.expect_gone()
        exchange.wait(release)
        exchange.reply(body=b"all of it", headers={"Connection": "close"})
    origin.on("/", slow)
    proxy = proxy_to(origin, listener={"tls": {"certificates": [authority.local.entry]},
                                       **({"client_half_close": how} if how else {})})
    client = TlsByHand(proxy.port(), authority.trust())
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert heard.wait(scaled(5))
    client.say_close_notify()
    if how == "abort":
        assert client.read_to_end() == b""
        assert proxy.wait_for_access(count=1)[0]["error"] == "client_closed"
        origin.wait_until_open(0)
    else:
        release.set()
        answer = client.read_to_end()
        assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"\r\n\r\nall of it")
    client.sock.close()
