# SPDX-License-Identifier: Apache-2.0
"""Bodies stream both ways; who reads slowly holds back who sends fast."""
import threading
import time

import pytest

from support import eventually, scaled
from support.proxy import MEASURES_MEMORY

MIB = 1 << 20


def test_a_response_streams_before_it_is_complete(origin, proxy_to, connect):
    step = [threading.Event() for _ in range(3)]

    def stepwise(exchange):
        exchange.start_chunked()
        for number, event in enumerate(step):
            exchange.chunk(f"part {number}")
            exchange.wait(event)
        exchange.end_chunks()
    origin.on("/", stepwise)
    client = connect(proxy_to(origin))
    client.send_request("GET", "/")
    assert client.read_head().status == 200
    for number, event in enumerate(step):
        assert client.read_chunk() == b"part %d" % number
        event.set()
    assert client.read_chunk() == b""


def test_a_request_streams_before_it_is_complete(origin, proxy_to, connect):
    parts = []
    arrived = threading.Semaphore(0)

    def stepwise(exchange):
        while part := exchange.read_chunk():
            parts.append(part)
            arrived.release()
        exchange.reply()
    origin.on("/", stepwise)
    client = connect(proxy_to(origin))
    client.send_head("POST", "/", {"Transfer-Encoding": "chunked"})
    for part in (b"one", b"two", b"three"):
        client.send(b"%x\r\n%s\r\n" % (len(part), part))
        assert arrived.acquire(timeout=scaled(5)), f"{part!r} was held back"
    client.send("0\r\n\r\n")
    assert client.response().status == 200
    assert parts == [b"one", b"two", b"three"]


def test_an_answer_may_come_before_the_request_is_complete(origin, proxy_to, connect):
    """The client gets it at once. What it then still sends goes on to the origin or is dropped, and is
    never taken for another request, nor is the origin's connection used again half way."""
    origin.on("/", lambda exchange: exchange.reply_early(body=b"early"), may_break=True)
    proxy = proxy_to(origin)
    client = connect(proxy)
    rest = "GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n"
    client.send_head("POST", "/", {"Content-Length": str(len(rest) + 4)})
    client.send("half")
    assert client.response().body == b"early"
    client.send_quietly(rest, "GET /next HTTP/1.1\r\nHost: a.example\r\n\r\n")
    client.half_close_quietly()
    assert client.read_to_close().count(b"HTTP/1.1 ") <= 1, "at most the answer to /next"
    assert connect(proxy).get("/after").body == b"ok"
    assert "/smuggled" not in origin.paths()


def test_both_directions_stream_at_once(origin, proxy_to, connect):
    def echoes(exchange):
        exchange.start_chunked()
        while part := exchange.read_chunk():
            exchange.chunk(part.upper())
        exchange.end_chunks()
    origin.on("/", echoes)
    client = connect(proxy_to(origin))
    client.send_head("POST", "/", {"Transfer-Encoding": "chunked"})
    for number in range(20):
        part = b"ping %d" % number
        client.send(b"%x\r\n%s\r\n" % (len(part), part))
        if number == 0:
            assert client.read_head().status == 200
        assert client.read_chunk() == part.upper()
    client.send("0\r\n\r\n")
    assert client.read_chunk() == b""


def test_an_early_refusal_by_the_origin_reaches_a_client_that_still_sends(origin, proxy_to, connect):
    def refuses(exchange):
        exchange.reply_early(413, b"too much", {"Connection": "close"})
        exchange.close()
    origin.on("/", refuses)
    client = connect(proxy_to(origin))
    client.send_head("POST", "/", {"Content-Length": str(10 * MIB)})
    client.send_quietly(b"x" * 1000)
    response = client.response()
    assert (response.status, response.body) == (413, b"too much")


def test_a_slow_client_holds_back_the_origin(origin, proxy_to, connect):
    """The origin can push no more than buffers hold while the client reads nothing."""
    pushed = [0]
    done = threading.Event()
    total = 64 * MIB

    def pushes(exchange):
        exchange.send(f"HTTP/1.1 200 OK\r\nContent-Length: {total}\r\n\r\n")
        block = b"x" * 65536
        while pushed[0] < total:
            exchange.send(block)
            pushed[0] += len(block)
        done.set()
    origin.on("/", pushes)
    proxy = proxy_to(origin)
    client = connect(proxy, receive_buffer=16384)
    before = proxy.memory_kib()
    client.send_request("GET", "/")
    assert client.read_head().length == total
    _wait_until_still(lambda: pushed[0])
    assert pushed[0] < total / 2, f"{pushed[0]} bytes went into buffers"
    if MEASURES_MEMORY:
        assert proxy.memory_kib() - before < 4096
    assert client.discard(total) == total
    assert done.wait(scaled(5))


def test_a_slow_origin_holds_back_the_client(origin, proxy_to, connect):
    resume = threading.Event()
    total = 64 * MIB

    def reads_late(exchange):
        exchange.wait(resume, timeout=20)
        assert exchange.take_over().discard(total) == total
        exchange.reply()
    origin.on("/", reads_late)
    proxy = proxy_to(origin)
    client = connect(proxy)
    before = proxy.memory_kib()
    client.send_head("POST", "/", {"Content-Length": str(total)})
    pushed = [0]

    def push():
        block = b"x" * 65536
        while pushed[0] < total:
            client.send(block)
            pushed[0] += len(block)
    client.set_timeout(20)
    sender = threading.Thread(target=push)
    sender.start()
    _wait_until_still(lambda: pushed[0])
    assert pushed[0] < total / 2, f"{pushed[0]} bytes went into buffers"
    if MEASURES_MEMORY:
        assert proxy.memory_kib() - before < 4096
    resume.set()
    sender.join(scaled(20))
    assert client.response().status == 200


def test_a_slow_client_does_not_hold_back_others(origin, proxy_to, connect):
    total = 32 * MIB
    origin.on("/big", lambda exchange: exchange.reply(body=b"x" * total), may_break=True)
    proxy = proxy_to(origin)
    slow = connect(proxy, receive_buffer=16384)
    slow.send_request("GET", "/big")
    assert slow.read_head().status == 200
    other = connect(proxy)
    for _ in range(50):
        assert other.get("/small").body == b"ok"
    slow.reset()


@pytest.mark.parametrize("size", [1, 1000, 16384, 65536, 65537, 1_000_003])
def test_bodies_of_all_sizes_come_back_as_they_were(origin, proxy_to, connect, size):
    origin.otherwise(lambda exchange: exchange.reply(body=exchange.read_body()))
    client = connect(proxy_to(origin))
    body = bytes(range(256)) * (size // 256 + 1)
    assert client.post("/", body[:size]).body == body[:size]


def _wait_until_still(value):
    """Until a figure has grown and then stood still for a while."""
    last = [0, time.monotonic()]

    def still():
        now = value()
        if now != last[0]:
            last[:] = [now, time.monotonic()]
        return now and time.monotonic() - last[1] > scaled(0.3)
    eventually(still, 20)
