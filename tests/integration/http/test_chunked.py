# SPDX-License-Identifier: Apache-2.0
"""Chunked bodies and trailers, in both directions."""
import pytest

from support import http1


def echo(exchange):
    exchange.read_body()
    exchange.start_chunked()
    if exchange.request.body:
        exchange.chunk(exchange.request.body)
    exchange.end_chunks()


def test_a_chunked_request_reaches_the_origin_whole(origin, proxy_to, connect):
    client = connect(proxy_to(origin))
    client.send_head("POST", "/", {"Transfer-Encoding": "chunked"})
    client.send(http1.chunked(b"one ", b"two ", b"three"))
    assert client.response().status == 200
    assert (origin.last.body, origin.last.chunked) == (b"one two three", True)


def test_a_sized_request_stays_sized(origin, proxy_to, connect):
    assert connect(proxy_to(origin)).post("/", b"twelve bytes").status == 200
    assert (origin.last.body, origin.last.length) == (b"twelve bytes", 12)


def test_a_post_of_no_bytes_says_so(origin, proxy_to, connect):
    """RFC 9110 8.6: a method that anticipates content gets Content-Length: 0."""
    assert connect(proxy_to(origin)).post("/", b"").status == 200
    assert origin.last.length == 0


def test_a_chunked_response_reaches_the_client_whole(origin, proxy_to, connect):
    def many(exchange):
        exchange.start_chunked()
        for number in range(100):
            exchange.chunk(f"{number},")
        exchange.end_chunks()
    origin.on("/", many)
    response = connect(proxy_to(origin)).get("/")
    assert response.chunked
    assert response.text == "".join(f"{number}," for number in range(100))


def test_an_empty_chunked_body_stays_a_body(origin, proxy_to, connect):
    origin.otherwise(echo)
    client = connect(proxy_to(origin))
    client.send_head("POST", "/", {"Transfer-Encoding": "chunked"})
    client.send("0\r\n\r\n")
    assert client.response().body == b""
    assert client.get("/after").status == 200


@pytest.mark.parametrize("body", [
    b"A\r\n0123456789\r\n0\r\n\r\n",
    b"a\r\n0123456789\r\n0\r\n\r\n",
    b"000a\r\n0123456789\r\n000\r\n\r\n",
    b"a;name=value\r\n0123456789\r\n0;last\r\n\r\n",
    b'a;name="quoted; \\" text"\r\n0123456789\r\n0\r\n\r\n',
])
def test_legal_spellings_of_chunks_are_understood(origin, proxy_to, connect, body):
    client = connect(proxy_to(origin))
    client.send_head("POST", "/", {"Transfer-Encoding": "chunked"})
    client.send(body)
    assert client.response().status == 200
    assert origin.last.body == b"0123456789"


def test_chunks_may_be_cut_anywhere(origin, proxy_to, connect):
    client = connect(proxy_to(origin))
    client.send_head("POST", "/", {"Transfer-Encoding": "chunked"})
    for byte in http1.chunked(b"abc", b"0123456789abcdef0", trailers=[("X-End", "1")]):
        client.send(bytes([byte]))
    assert client.response().status == 200
    assert origin.last.body == b"abc0123456789abcdef0"


def test_request_trailers_pass(origin, proxy_to, connect):
    client = connect(proxy_to(origin))
    client.send_head("POST", "/", {"Transfer-Encoding": "chunked", "Trailer": "X-Sum", "TE": "trailers"})
    client.send(http1.chunked(b"data", trailers=[("X-Sum", "42"), ("X-More", "yes")]))
    assert client.response().status == 200
    assert origin.last.trailers.lowered() == [("x-sum", "42"), ("x-more", "yes")]
    assert origin.last.headers.get("trailer") == "X-Sum"


def test_response_trailers_pass(origin, proxy_to, connect):
    def with_trailers(exchange):
        exchange.start_chunked(headers={"Trailer": "X-Sum"})
        exchange.chunk("data")
        exchange.end_chunks({"X-Sum": "42"})
    origin.on("/", with_trailers)
    response = connect(proxy_to(origin)).get("/", {"TE": "trailers"})
    assert (response.body, response.trailers.lowered()) == (b"data", [("x-sum", "42")])
    assert response.headers.get("trailer") == "X-Sum"


@pytest.mark.parametrize("name", ["Transfer-Encoding", "Content-Length", "Host", "Connection"])
def test_a_trailer_can_not_smuggle_framing_or_routing(origin, proxy_to, connect, name):
    """RFC 9110 6.5.1: such fields are refused or ignored, never passed on."""
    origin.on("/", lambda exchange: exchange.reply(), may_break=True)
    client = connect(proxy_to(origin))
    client.send_head("POST", "/", {"Transfer-Encoding": "chunked"})
    client.send(f"1\r\na\r\n0\r\n{name}: x\r\n\r\n")
    assert client.response().status in (200, 400)
    assert all(name not in request.trailers for request in origin.requests)


def test_the_origin_may_end_a_body_by_closing(origin, proxy_to, connect):
    def until_close(exchange):
        exchange.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nthe whole body")
        exchange.close()
    origin.on("/", until_close)
    client = connect(proxy_to(origin))
    response = client.get("/")
    assert (response.body, response.chunked) == (b"the whole body", True)
    assert client.get("/after").status == 200, "the client's connection outlives the origin's"


def test_a_chunked_body_that_breaks_off_is_not_ended_properly(origin, proxy_to, connect):
    """The client must be able to tell a truncated body from a whole one (RFC 9112 8)."""
    def breaks_off(exchange):
        exchange.start_chunked()
        exchange.chunk("some")
        exchange.close()
    origin.on("/", breaks_off)
    client = connect(proxy_to(origin))
    client.send_request("GET", "/")
    assert client.read_head().status == 200
    assert client.read_chunk() == b"some"
    client.expect_closed()


def test_a_sized_body_that_breaks_off_is_cut_short(origin, proxy_to, connect):
    def breaks_off(exchange):
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
        exchange.close()
    origin.on("/", breaks_off)
    client = connect(proxy_to(origin))
    client.send_request("GET", "/")
    assert client.read_head().length == 100
    assert client.read_exactly(4) == b"some"
    client.expect_closed()


@pytest.mark.parametrize("field", ["Content-Length: 5", "Transfer-Encoding: chunked", "Host: b",
                                   "Authorization: x", "Connection: close"])
def test_h16_a_forbidden_field_in_an_origins_trailers_is_dropped(origin, proxy_to, connect, field):
    def handler(exchange):
        exchange.start_chunked()
        exchange.chunk("data")
        exchange.send(f"0\r\n{field}\r\nX-Sum: 1\r\n\r\n")
    origin.on("/", handler)
    client = connect(proxy_to(origin))
    for _ in range(2):
        response = client.get("/", {"TE": "trailers"})
        assert (response.body, response.trailers.lowered()) == (b"data", [("x-sum", "1")])
    assert origin.connections == 1


@pytest.mark.parametrize("trusted", [[], ["127.0.0.1"]], ids=["untrusted", "trusted"])
@pytest.mark.parametrize("field", ["X-Request-Id: forged", "X-Forwarded-User: admin", "X_Real_IP: 6.6.6.6",
                                   "X-Forwarded-For: 6.6.6.6", "Authorization: Bearer forged"])
def test_h8_trailers_bring_no_claim_to_the_origin(origin, proxy_to, connect, field, trusted):
    client = connect(proxy_to(origin, listener={"underscores_in_headers": True, "trusted_proxies": trusted}))
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                f"4\r\ndata\r\n0\r\n{field}\r\nX-Sum: 1\r\n\r\n")
    assert client.response().status == 200
    assert origin.last.trailers.lowered() == [("x-sum", "1")]


def test_h8_what_connection_names_and_what_the_route_writes_is_no_trailer_either(origin, proxy_to, connect):
    client = connect(proxy_to(origin, route={"deadline_header": "x-deadline-ms"}))
    client.send("POST / HTTP/1.1\r\nHost: a\r\nConnection: X-Mine\r\nTransfer-Encoding: chunked\r\n\r\n",
                "4\r\ndata\r\n0\r\nX-Mine: 1\r\nX-Deadline-Ms: 999999\r\nX-Sum: 1\r\n\r\n")
    assert client.response().status == 200
    assert origin.last.trailers.lowered() == [("x-sum", "1")]


def test_h8_what_an_origins_connection_names_is_no_trailer_either(origin, proxy_to, connect):
    def handler(exchange):
        exchange.start_chunked(200, {"Connection": "X-Mine"})
        exchange.chunk("data")
        exchange.end_chunks([("X-Mine", "1"), ("X-Sum", "1")])
    origin.on("/", handler)
    response = connect(proxy_to(origin)).get("/", {"TE": "trailers"})
    assert response.trailers.lowered() == [("x-sum", "1")]
