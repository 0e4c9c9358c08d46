# SPDX-License-Identifier: Apache-2.0
"""Any client meets any origin: what an exchange promises holds in all four pairings."""
import os
import threading

import pytest

from support.clock import SANITIZER
from support.h2 import StreamReset

BIG = os.urandom(1 << 20)


def test_a_get_passes_with_its_headers(front, client_to, origin):
    origin.on("/path", body=b"answer", headers={"X-From": "origin"})
    response = client_to(front()).get("/path?a=1", {"X-Mine": "yes", "Host": "a.example"})
    assert (response.status, response.body) == (200, b"answer")
    assert response.headers.get("x-from") == "origin"
    request = origin.last
    assert (request.method, request.target) == ("GET", "/path?a=1")
    assert request.headers.get("host") == "a.example"
    assert request.headers.get("x-mine") == "yes"
    assert request.headers.get("x-forwarded-proto") == "http"
    assert "connection" not in [n for n in request.headers.names() if n == "connection"]


def test_a_head_gets_no_body(front, client_to, origin):
    origin.on("/", body=b"12345")
    client = client_to(front())
    response = client.request("HEAD", "/")
    assert (response.status, response.body, response.headers.get("content-length")) == (200, b"", "5")
    assert client.get("/").body == b"12345"


@pytest.mark.parametrize("status", [204, 304])
def test_a_response_without_body_passes(front, client_to, origin, status):
    origin.on("/", status=status)
    client = client_to(front())
    for _ in range(2):
        response = client.get("/")
        assert (response.status, response.body) == (status, b"")


def test_bodies_pass_both_ways(front, client_to, origin):
    origin.otherwise(lambda exchange: exchange.reply(201, exchange.read_body()[::-1]))
    client = client_to(front())
    for body in (b"", b"x", b"small", BIG):
        response = client.post("/echo", body)
        assert (response.status, response.body) == (201, body[::-1])
        assert origin.last.headers.get("content-length") == str(len(body))


def test_a_body_of_unknown_length_streams_back(front, client_to, origin):
    def handler(exchange):
        exchange.start_chunked(200)
        for _ in range(100):
            exchange.chunk(b"0123456789" * 100)
        exchange.end_chunks()
    origin.on("/", handler)
    assert client_to(front()).get("/").body == b"0123456789" * 10000


def test_response_trailers_pass(front, client_to, origin):
    def handler(exchange):
        exchange.start_chunked(200, {"Trailer": "x-sum"})
        exchange.chunk(b"data")
        exchange.end_chunks([("X-Sum", "42")])
    origin.on("/", handler)
    response = client_to(front()).get("/", {"TE": "trailers"})
    assert response.body == b"data"
    assert response.trailers.lowered() == [("x-sum", "42")]
    assert origin.last.headers.get("te") == "trailers"


def test_request_trailers_pass(front, client_to, client_protocol, origin):
    client = client_to(front())
    if client_protocol == "h2":
        client.request("POST", "/", body=b"data", trailers={"x-sum": "42"})
    else:
        client.send_head("POST", "/", {"Transfer-Encoding": "chunked"})
        client.send("4\r\ndata\r\n0\r\nX-Sum: 42\r\n\r\n")
        client.response()
    assert origin.last.body == b"data"
    assert origin.last.trailers.lowered() == [("x-sum", "42")]


def test_interim_responses_pass(front, client_to, origin):
    def handler(exchange):
        exchange.interim(103, {"Link": "</a.css>; rel=preload"})
        exchange.reply(200, b"done")
    origin.on("/", handler)
    response = client_to(front()).get("/")
    assert response.body == b"done"
    assert [i.status for i in response.interim] == [103]
    assert response.interim[0].headers.get("link") == "</a.css>; rel=preload"


def test_the_origin_is_asked_whether_to_continue(front, client_to, client_protocol, origin):
    def handler(exchange):
        assert exchange.request.headers.get("expect") == "100-continue"
        exchange.interim(100)
        exchange.reply(200, exchange.read_body())
    origin.on("/", handler)
    client = client_to(front())
    headers = {"Expect": "100-continue", "Content-Length": "4"}
    if client_protocol == "h2":
        stream = client.start("POST", "/", headers)
        message = client.message(stream)
        client.wait(lambda: message.interim, "100")
        client.send_data(stream, b"body", end=True)
        response = client.response(stream=stream)
    else:
        client.send_head("POST", "/", headers)
        assert client.read_head().status == 100
        client.send("body")
        response = client.response()
    assert response.body == b"body"


def test_an_early_response_does_not_wait_for_the_request(front, client_to, client_protocol, origin):
    origin.on("/", lambda exchange: exchange.reply_early(413, b"too much"), may_break=True)
    client = client_to(front())
    headers = {"Content-Length": "1000000"}
    if client_protocol == "h2":
        stream = client.start("POST", "/", headers)
        client.send_data(stream, b"x" * 1000)
        response = client.wait_body(stream, 8)
    else:
        client.send_head("POST", "/", headers)
        client.send("x" * 1000)
        response = client.response()
    assert (response.status, response.body) == (413, b"too much")


def test_a_response_cut_short_is_not_taken_for_whole(front, client_to, client_protocol, origin):
    def handler(exchange):
        exchange.start_chunked(200)
        exchange.chunk(b"some")
        exchange.close()
    origin.on("/", handler, may_break=True)
    proxy = front()
    client = client_to(proxy)
    if client_protocol == "h2":
        with pytest.raises(StreamReset):
            client.get("/")
        origin.on("/next", body=b"fine")
        assert client.get("/next").body == b"fine"
    else:
        client.send_request("GET", "/")
        assert client.read_head().status == 200
        assert client.read_chunk() == b"some"
        client.expect_closed()
    assert proxy.wait_for_access()["error"] in ("origin_closed", "origin_reset")


def test_a_client_that_leaves_is_told_to_the_origin(front, client_to, client_protocol, origin):
    gone = threading.Event()

    def handler(exchange):
        try:
            exchange.start_chunked(200)
            exchange.chunk(b"some")
            exchange.expect_gone()
        finally:
            gone.set()
    origin.on("/", handler, may_break=True)
    proxy = front()
    client = client_to(proxy)
    if client_protocol == "h2":
        stream = client.start("GET", "/", end=True)
        client.wait_body(stream, 4)
        client.cancel(stream)
    else:
        client.send_request("GET", "/")
        assert client.read_head().status == 200
        client.reset()
    assert gone.wait(5)
    assert proxy.wait_for_access()["error"] == "client_closed"


def test_an_origin_that_says_nothing_is_a_gateway_timeout(front, client_to, origin):
    origin.on("/", lambda exchange: exchange.expect_gone(), may_break=True)
    response = client_to(front(route={"timeout": "200ms"})).get("/")
    assert response.status == 504
    assert response.json()["error"] == "response_timeout"


def test_the_access_log_names_the_clients_protocol(front, client_to, client_protocol):
    proxy = front()
    client_to(proxy).get("/")
    expected = "HTTP/2" if client_protocol == "h2" else "HTTP/1.1"
    assert proxy.wait_for_access()["protocol"] == expected


def test_a_reset_before_the_head_is_a_bad_gateway(front, client_to, origin, origin_protocol):
    origin.on("/", lambda exchange: exchange.reset(), may_break=True)
    response = client_to(front()).post("/", b"body")
    assert (response.status, response.json()["error"]) == (502, "origin_reset")


def test_a_slow_reader_holds_the_origin_back(front, client_to, client_protocol, origin):
    """Far more than the proxy may hold waits at the origin until the client reads."""
    size, sent = 16 << 20, []

    def handler(exchange):
        exchange.start_chunked(200)
        for _ in range(size >> 16):
            exchange.chunk(b"x" * 65536)
            sent.append(65536)
        exchange.end_chunks()
    origin.on("/", handler)
    proxy = front()
    client = client_to(proxy, receive_buffer=65536)
    before = proxy.memory_kib()
    if client_protocol == "h2":
        client.hold_windows = True
        stream = client.start("GET", "/", end=True)
        client.wait_body(stream, 60000)
    else:
        client.send_request("GET", "/")
        client.read_head()
    threading.Event().wait(0.3)
    assert sum(sent) < size * 3 / 4
    if SANITIZER is None:
        assert proxy.memory_kib() - before < 4 * 1024
    if client_protocol == "h2":
        client.release_windows()
        assert len(client.response(stream=stream).body) == size
    else:
        total = 0
        while chunk := client.read_chunk():
            total += len(chunk)
        assert total == size


def test_a_slow_origin_holds_the_client_back(make_any_origin, proxy_to, h2_client, origin_protocol):
    go = threading.Event()

    def handler(exchange):
        exchange.wait(go)
        exchange.reply(200, str(len(exchange.read_body())))
    if origin_protocol == "h2":
        origin = make_any_origin("h2", hold_windows=True)
    else:
        origin = make_any_origin("h1")
    origin.on("/", handler)
    client = h2_client(proxy_to(origin, cluster={"protocol": origin_protocol}))
    size = 16 << 20  # far above what the kernel buffers
    stream = client.start("POST", "/", {"content-length": str(size)})
    left = client.send_now(stream, b"x" * size, end=True)
    client.sock.settimeout(0.3)
    try:
        while True:
            client.read_once()
            left = client.send_now(stream, left, end=True)
    except AssertionError:
        pass  # nothing opens any more
    client.sock.settimeout(10)
    assert len(left) > size / 2
    for side in getattr(origin, "sides", []):
        side.release_windows()
    go.set()
    client.send_data(stream, left, end=True)
    assert client.response(stream=stream).body == str(size).encode()


