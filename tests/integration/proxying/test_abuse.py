# SPDX-License-Identifier: Apache-2.0
"""Clients and origins that mean ill: what they can make the proxy hold or do is bounded."""
import socket
import threading

import pytest

from support import Client, eventually, scaled
from support.proxy import MEASURES_MEMORY

MIB = 1 << 20


def push_until_blocked(sock, block, most):
    """Sends until the peer takes no more for a while; gives the number of bytes taken."""
    sock.settimeout(scaled(0.5))
    sent = 0
    try:
        while sent < most:
            sent += sock.send(block)
    except (socket.timeout, OSError):
        pass
    return sent


def test_a_client_that_pipelines_and_never_reads_is_held_back(proxy_to, connect):
    """Answers that wait for it stop the proxy from taking more requests in."""
    proxy = proxy_to(route={"respond": {"status": 200, "body": "x" * 10_000}}, log={"access": "off"})
    client = connect(proxy, receive_buffer=16384)
    before = proxy.memory_kib()
    taken = push_until_blocked(client.sock, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 500, 64 * MIB)
    assert taken < 32 * MIB
    if MEASURES_MEMORY:
        assert proxy.memory_kib() - before < 8 * 1024
    assert connect(proxy).get("/").status == 200


def test_a_pipeline_behind_a_slow_request_is_held_back(origin, proxy_to, connect):
    origin.on("/slow", lambda exchange: exchange.expect_gone())
    proxy = proxy_to(origin, route={"timeout": "3s"})
    client = connect(proxy)
    before = proxy.memory_kib()
    client.send_request("GET", "/slow")
    origin.wait_for_requests(1)
    taken = push_until_blocked(client.sock, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 500, 64 * MIB)
    assert taken < 32 * MIB
    if MEASURES_MEMORY:
        assert proxy.memory_kib() - before < 4 * 1024
    client.reset()


class Pusher(threading.Thread):
    """Sends the same block until the connection ends or it is told to stop."""

    def __init__(self, client, block):
        super().__init__(daemon=True)
        self.client, self.block, self.sent, self.ended = client, block, 0, False
        self.stop = threading.Event()

    def run(self):
        self.client.sock.settimeout(scaled(10))
        try:
            while not self.stop.is_set():
                self.client.sock.sendall(self.block)
                self.sent += len(self.block)
        except OSError:
            self.ended = True

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.join()


@pytest.mark.parametrize("framing", ["Content-Length: 1000000000000", "Transfer-Encoding: chunked"])
def test_a_refused_body_is_not_read_for_ever(proxy_to, connect, framing):
    """The answer is 404; what the client still sends is dropped for a while, then the connection."""
    proxy = proxy_to(routes=[{"match": {"path": "/x"}, "echo": True}], log={"access": "off"})
    client = connect(proxy)
    client.send(f"POST /nowhere HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n")
    block = b"10000\r\n" + b"x" * 65536 + b"\r\n" if "chunked" in framing else b"x" * 65536
    with Pusher(client, block) as pusher:
        assert client.response().status == 404
        eventually(lambda: pusher.ended, 6, "the proxy ends the connection")
    assert connect(proxy).get("/x").status == 200


def test_a_thousand_connections_that_say_half_a_head_cost_little(proxy_to):
    proxy = proxy_to(route={"echo": True}, listener={"max_connections": 2000})
    warm = [proxy.client() for _ in range(20)]
    for client in warm:
        assert client.get("/").status == 200
    before = proxy.memory_kib()
    clients = [proxy.client() for _ in range(500)]
    for client in clients:
        client.send("GET / HTTP/1.1\r\nHost: half-a-head.example\r\n")
    eventually(lambda: proxy.metrics()("proxy_client_connections_active") >= 520)
    if MEASURES_MEMORY:
        assert proxy.memory_kib() - before < 8 * 1024
    assert proxy.get("/").status == 200
    for client in clients + warm:
        client.close()
    eventually(lambda: proxy.metrics()("proxy_client_connections_active") == 0)


def test_a_tiny_chunks_flood_passes_whole(origin, proxy_to, connect):
    client = connect(proxy_to(origin))
    client.send_head("POST", "/", {"Transfer-Encoding": "chunked"})
    client.send(b"1\r\nx\r\n" * 50_000, b"0\r\n\r\n")
    assert client.response().status == 200
    assert len(origin.last.body) == 50_000


@pytest.mark.parametrize("start,block", [
    ("1;", b"a" * 65536), ("0\r\n", b"x-a: b\r\n" * 1000), ("0\r\nx-a: ", b"a" * 65536),
    ("", b"0" * 65536)], ids=["extension", "trailers", "trailer", "size"])
def test_endless_chunk_framing_is_refused(origin, proxy_to, connect, start, block):
    origin.on("/", lambda exchange: exchange.reply(), may_break=True)
    proxy = proxy_to(origin)
    client = connect(proxy)
    before = proxy.memory_kib()
    client.send_head("POST", "/", {"Transfer-Encoding": "chunked"})
    client.send(start)
    with Pusher(client, block) as pusher:
        assert client.response().status in (400, 431)
        eventually(lambda: pusher.ended, 6, "the proxy ends the connection")
    if MEASURES_MEMORY:
        assert proxy.memory_kib() - before < 4 * 1024


def test_endless_interim_responses_are_stopped(origin, proxy_to, connect):
    def endless(wire, _):
        wire.read_until(b"\r\n\r\n")
        block = b"HTTP/1.1 102 Processing\r\n\r\n" * 1000
        while True:
            wire.send(block)
    gone = threading.Event()

    def script(wire, number):
        try:
            endless(wire, number)
        except Exception:  # noqa: BLE001, the end it is meant to meet
            gone.set()
    origin.raw(script)
    proxy = proxy_to(origin, route={"timeout": "2s"})
    before = proxy.memory_kib()
    client = connect(proxy, receive_buffer=16384)
    client.send_request("GET", "/")
    assert gone.wait(scaled(10)), "an origin can talk for ever without answering"
    if MEASURES_MEMORY:
        assert proxy.memory_kib() - before < 16 * 1024
    assert proxy.process.poll() is None


def test_an_endless_response_head_is_stopped(origin, proxy_to, connect):
    def script(wire, _):
        wire.read_until(b"\r\n\r\n")
        wire.send("HTTP/1.1 200 OK\r\n")
        try:
            while True:
                wire.send(b"x-a: b\r\n" * 1000)
        except Exception:  # noqa: BLE001, the end it is meant to meet
            pass
    origin.raw(script)
    assert connect(proxy_to(origin)).get("/").status == 502


def test_connections_that_come_and_go_leave_nothing(origin, proxy_to):
    proxy = proxy_to(origin, log={"access": "off"})

    def visit(times):
        for number in range(times):
            client = Client(proxy.port())
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n" if number % 2 else "GET / HTTP")
            client.reset() if number % 3 else client.close()
    visit(300)
    grown = []
    for _ in range(4):  # more of them may be open at once than ever before, but not each time
        eventually(lambda: proxy.metrics()("proxy_client_connections_active") == 0)
        before = proxy.memory_kib()
        visit(1000)
        eventually(lambda: proxy.metrics()("proxy_client_connections_active") == 0)
        grown.append(proxy.memory_kib() - before)
        if grown[-1] < 256:
            break
    if MEASURES_MEMORY:
        assert min(grown) < 256, grown
    eventually(lambda: proxy.metrics()("proxy_requests_active") == 0)


REFUSED = {
    "bad chunk": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "bad head": b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "too long": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000\r\n\r\n",
}


def dropped_after(client, request, most=256 * MIB):
    """How much the proxy takes of a client that sends on at full speed, with its answer unread."""
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
    client.send(request)
    block, sent = b"x" * 65536, 0
    client.sock.settimeout(scaled(0.7))
    try:
        while sent < most:
            sent += client.sock.send(block)
    except (socket.timeout, OSError):
        pass
    return sent


@pytest.mark.parametrize("request_bytes", REFUSED.values(), ids=REFUSED)
def test_h20_after_a_refusal_little_is_read(origin, proxy_to, connect, request_bytes):
    """What fits into the kernel's buffers, and not what two seconds at full speed can bring."""
    origin.otherwise(lambda exchange: exchange.reply(), may_break=True)
    proxy = proxy_to(origin, route={"max_body": "1KiB"})
    client = connect(proxy)
    assert dropped_after(client, request_bytes) < 32 * MIB
    client.sock.settimeout(scaled(5))
    assert client.read_head().status in (400, 413), "and the answer is there"


def test_h20_while_a_filter_takes_its_time_over_the_answer_little_is_read(origin, scripted, connect):
    origin.otherwise(lambda exchange: exchange.reply(), may_break=True)
    proxy = scripted("function on_request(r) end function on_error(r) proxy.sleep(1.5) end", origin,
                     config={"route": {"max_body": "1KiB"}})
    client = connect(proxy)
    request = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n"
    assert dropped_after(client, request) < 32 * MIB
    client.sock.settimeout(scaled(5))
    assert client.read_head().status == 413


def test_h20_http_2_that_is_refused_as_a_whole(proxy_to, connect):
    client = connect(proxy_to(route={"respond": {"status": 200}}))
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"
    data_on_stream_0 = b"\0\0\x01\0\0\0\0\0\0x"  # PROTOCOL_ERROR
    assert dropped_after(client, preface + data_on_stream_0) < 32 * MIB


def test_h20_plain_http_on_a_tls_port(proxy_to, connect, authority):
    tls = {"tls": {"certificates": [authority.local.entry]}}
    client = connect(proxy_to(route={"respond": {"status": 200}}, listener=tls))
    assert dropped_after(client, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") < 32 * MIB
    client.sock.settimeout(scaled(5))
    assert client.read_head().status == 400
