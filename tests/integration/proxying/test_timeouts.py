# SPDX-License-Identifier: Apache-2.0
"""Who stands still for too long is not waited for."""
import socket
import threading
import time

import pytest

from support import scaled


def took(action):
    begin = time.monotonic()
    value = action()
    return value, time.monotonic() - begin


def test_a_head_that_does_not_arrive_in_time_is_given_up(origin, proxy_to, connect):
    proxy = proxy_to(origin, listener={"head_timeout": "300ms"})
    client = connect(proxy)
    client.send("GET / HTTP/1.1\r\nHost: a")
    answer, seconds = took(client.read_to_close)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 408 "), answer
    assert 0.25 < seconds < scaled(3)
    assert origin.requests == []


def test_a_head_that_drips_is_given_up_all_the_same(origin, proxy_to, connect):
    """Slowloris: each byte comes in time, the whole never does."""
    client = connect(proxy_to(origin, listener={"head_timeout": "400ms"}))
    client.send("GET / HTTP/1.1\r\n")
    client.sock.settimeout(0.05)
    begin = time.monotonic()
    closed = False
    while not closed and time.monotonic() - begin < scaled(5):
        try:
            client.sock.sendall(b"X-A: b\r\n")
            closed = client.sock.recv(65536) is not None
        except socket.timeout:
            pass
        except OSError:
            closed = True
    assert closed
    assert time.monotonic() - begin < scaled(3)


def test_a_slow_pipelined_head_is_given_up_too(origin, proxy_to, connect):
    client = connect(proxy_to(origin, listener={"head_timeout": "300ms", "idle_timeout": "20s"}))
    assert client.get("/").status == 200
    client.send("GET / HT")
    answer = client.read_to_close()
    assert answer == b"" or answer.startswith(b"HTTP/1.1 408 "), answer


def test_a_request_body_that_stands_still_is_given_up(origin, proxy_to, connect):
    origin.on("/", lambda exchange: exchange.reply(), may_break=True)
    proxy = proxy_to(origin, listener={"body_timeout": "300ms"})
    client = connect(proxy)
    client.send_head("POST", "/", {"Content-Length": "10"})
    client.send("12345")
    assert client.response().status == 408
    client.read_to_close()
    assert proxy.wait_for_access(status=408)["error"] == "request_timeout"
    origin.wait_until_open(0)


def test_a_slow_but_steady_body_is_waited_for(origin, proxy_to, connect):
    client = connect(proxy_to(origin, listener={"body_timeout": "400ms", "body_min_rate": 0}))
    client.send_head("POST", "/", {"Content-Length": "10"})
    for byte in b"0123456789":
        client.expect_silence(0.1)
        client.send(bytes([byte]))
    assert client.response().status == 200
    assert origin.last.body == b"0123456789"


def test_a_body_below_the_minimum_rate_is_given_up(origin, proxy_to, connect):
    origin.on("/", lambda exchange: exchange.reply(), may_break=True)
    client = connect(proxy_to(origin, listener={"body_timeout": "500ms", "body_min_rate": 1000}))
    client.send_head("POST", "/", {"Content-Length": "100000"})
    begin = time.monotonic()
    client.sock.settimeout(0.1)
    answer = b""
    while not answer and time.monotonic() - begin < scaled(8):
        try:
            client.sock.sendall(b"drip")
            answer = client.sock.recv(65536) or b"closed"
        except socket.timeout:
            pass
        except OSError:
            answer = b"closed"
    assert answer == b"closed" or answer.startswith(b"HTTP/1.1 408 "), answer


def test_an_origin_that_does_not_answer_becomes_504(origin, proxy_to, connect):
    origin.on("/", lambda exchange: exchange.expect_gone())
    proxy = proxy_to(origin, route={"timeout": "300ms"})
    client = connect(proxy)
    response, seconds = took(lambda: client.get("/"))
    assert response.status == 504
    assert 0.25 < seconds < scaled(3)
    assert proxy.wait_for_access(status=504)["error"] == "response_timeout"
    assert client.get("/other").status == 200


def test_the_response_timeout_covers_the_head_only(origin, proxy_to, connect):
    release = threading.Event()

    def slow_body(exchange):
        exchange.start_chunked()
        exchange.chunk("begin")
        exchange.wait(release)
        exchange.chunk("end")
        exchange.end_chunks()
    origin.on("/", slow_body)
    client = connect(proxy_to(origin, route={"timeout": "200ms"}))
    client.send_request("GET", "/")
    assert client.read_head().status == 200
    assert client.read_chunk() == b"begin"
    client.expect_silence(0.5)
    release.set()
    assert client.read_chunk() == b"end"


def test_a_response_body_that_stands_still_is_cut(origin, proxy_to, connect):
    def stalls(exchange):
        exchange.start_chunked()
        exchange.chunk("begin")
        exchange.expect_gone()
    origin.on("/", stalls)
    proxy = proxy_to(origin, route={"idle_timeout": "300ms"})
    client = connect(proxy)
    client.send_request("GET", "/")
    assert client.read_head().status == 200
    assert client.read_chunk() == b"begin"
    client.expect_closed()
    proxy.wait_for_access(error="idle_timeout")


def test_an_idle_tunnel_is_closed(origin, proxy_to, connect):
    def tunnel(exchange):
        wire = exchange.take_over()
        exchange.send("HTTP/1.1 101 OK\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        wire.expect_closed()
        exchange.close()
    origin.on("/", tunnel)
    client = connect(proxy_to(origin, route={"idle_timeout": "300ms"}))
    client.send_head("GET", "/", {"Connection": "upgrade", "Upgrade": "x"})
    assert client.read_head().status == 101
    client.expect_closed()


def test_an_exchange_has_an_end_however_lively(origin, proxy_to, connect):
    def drips(exchange):
        exchange.start_chunked()
        while True:
            exchange.chunk("drip")
            tick.wait(0.05)
    tick = threading.Event()  # never set: a clock for the drips
    origin.on("/", drips, may_break=True)
    proxy = proxy_to(origin, route={"exchange_timeout": "500ms"})
    client = connect(proxy)
    client.send_request("GET", "/")
    assert client.read_head().status == 200
    assert b"\r\n0\r\n\r\n" not in client.read_to_close()
    proxy.wait_for_access(error="exchange_timeout")


def test_an_exchange_timeout_before_the_head_is_504(origin, proxy_to, connect):
    origin.on("/", lambda exchange: exchange.expect_gone())
    proxy = proxy_to(origin, route={"exchange_timeout": "300ms"})
    assert connect(proxy).get("/").status == 504
    assert proxy.wait_for_access(status=504)["error"] == "exchange_timeout"


def test_an_origin_that_refuses_becomes_502(make_origin, proxy_to, connect):
    origin = make_origin()
    origin.stop_listening()
    proxy = proxy_to(origin)
    assert connect(proxy).get("/").status == 502
    assert proxy.wait_for_access(status=502)["error"] == "connect_failed"


def test_an_origin_that_does_not_accept_becomes_504(proxy_to, connect):
    """A listener whose queue is full drops SYNs: the connect hangs."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    address = listener.getsockname()
    fillers = []
    for _ in range(8):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(address)
        fillers.append(filler)
    try:
        proxy = proxy_to(f"http://127.0.0.1:{address[1]}", cluster={"connect_timeout": "300ms"})
        response, seconds = took(lambda: connect(proxy).get("/"))
        assert response.status == 504
        assert seconds < scaled(3)
        assert proxy.wait_for_access(status=504)["error"] == "connect_timeout"
    finally:
        for filler in [*fillers, listener]:
            filler.close()


def test_a_client_that_reads_slowly_is_not_idle(origin, proxy_to, connect):
    """Its connection stands full all the time, for several times as long as nothing may move."""
    body = b"x" * 6_000_000
    origin.otherwise(lambda e: e.reply(200, body))
    proxy = proxy_to(origin, route={"idle_timeout": "300ms", "timeout": "0s"})
    client = connect(proxy, receive_buffer=16384)
    client.send_request("GET", "/")
    client.read_head()
    read, begun = 0, time.monotonic()
    while time.monotonic() - begun < scaled(1.5):
        read += len(client.read_exactly(8192))
        time.sleep(0.02)  # the pace is what is tested
    while read < len(body):
        read += len(client.read_exactly(min(65536, len(body) - read)))


def test_an_origin_that_reads_slowly_is_not_idle(origin, proxy_to, connect):
    def read_slowly(exchange):
        wire = exchange.take_over()
        begun = time.monotonic()
        left = 6_000_000
        while left:
            slow = time.monotonic() - begun < scaled(1.5)
            left -= len(wire.read_exactly(min(8192 if slow else 65536, left)))
            if slow:
                time.sleep(0.02)  # the pace is what is tested
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    origin.otherwise(read_slowly)
    proxy = proxy_to(origin, route={"idle_timeout": "300ms", "timeout": "0s"})
    client = connect(proxy, timeout=30)
    sender = threading.Thread(target=client.send_request, args=("PUT", "/"), kwargs={"body": b"x" * 6_000_000})
    sender.start()
    assert client.response().status == 200
    sender.join()


def drip(client, head, drop=b"1\r\nx\r\n", seconds=2.5):
    """Sends a body drop by drop; gives what came back by then, and how long it took."""
    client.send(head)
    begin = time.monotonic()
    client.sock.settimeout(0.1)
    answer = b""
    while b"\r\n\r\n" not in answer and time.monotonic() - begin < scaled(seconds):
        try:
            client.sock.sendall(drop)
            answer += client.sock.recv(65536) or b"\r\n\r\n"
        except socket.timeout:
            pass
        except OSError:
            break
    return answer, time.monotonic() - begin


CHUNKED = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"


def test_h25_a_slow_body_is_given_up_by_default(origin, proxy_to, connect):
    origin.on("/", lambda exchange: exchange.reply(), may_break=True)
    proxy = proxy_to(origin, listener={"body_timeout": "500ms"})
    answer, _ = drip(connect(proxy), CHUNKED + "\r\n")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert proxy.wait_for_access(status=408)["error"] == "request_timeout"


def test_h25_one_that_keeps_the_rate_is_not(origin, proxy_to, connect):
    origin.on("/", lambda exchange: exchange.reply(), may_break=True)
    client = connect(proxy_to(origin, listener={"body_timeout": "300ms"}))
    answer, _ = drip(client, CHUNKED + "\r\n", b"100\r\n" + b"x" * 256 + b"\r\n", seconds=1.2)
    assert answer == b""
    client.sock.settimeout(scaled(5))
    client.send("0\r\n\r\n")
    assert client.response().status == 200


@pytest.mark.parametrize("why", ["grpc", "off", "response begun"])
def test_h25_some_bodies_may_be_slow(origin, proxy_to, connect, why):
    """With a pause here and there, but not for body_timeout without a byte."""
    def early(exchange):
        exchange.start_chunked()
        exchange.read_body()
        exchange.end_chunks()
    origin.on("/", early if why == "response begun" else lambda exchange: exchange.reply())
    listener = {"body_timeout": "700ms", **({"body_min_rate": 0} if why == "off" else {})}
    client = connect(proxy_to(origin, listener=listener))
    kind = "Content-Type: application/grpc\r\n" if why == "grpc" else ""
    client.send(CHUNKED, kind, "\r\n")
    if why == "response begun":
        assert client.read_head().status == 200
    answer, _ = drip(client, "", seconds=1.7)
    assert answer == b""
    client.sock.settimeout(scaled(5))
    client.send("0\r\n\r\n")
    if why == "response begun":
        assert client.read_chunk() == b""
    else:
        assert client.response().status == 200


def test_h25_nor_does_a_tunnel_have_a_rate(origin, proxy_to, connect):
    def handler(exchange):
        wire = exchange.take_over()
        exchange.send("HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        wire.expect("x" * 12)
        exchange.close()
    origin.on("/", handler)
    client = connect(proxy_to(origin, listener={"body_timeout": "200ms"}))
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
    assert client.read_head().status == 101
    for _ in range(12):
        time.sleep(0.08)
        client.send("x")
    client.expect_end()
