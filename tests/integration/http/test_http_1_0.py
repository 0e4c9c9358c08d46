# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.0 clients and origins."""
import ssl

import pytest


def test_an_http_1_0_client_is_answered_and_closed(origin, proxy_to, connect):
    client = connect(proxy_to(origin))
    response = client.get("/old", version="HTTP/1.0")
    assert (response.status, response.body) == (200, b"ok")
    client.expect_end()
    assert origin.last.version == "HTTP/1.1"


def test_an_http_1_0_client_may_ask_for_keep_alive(origin, proxy_to, connect):
    client = connect(proxy_to(origin))
    for _ in range(3):
        response = client.get("/old", {"Connection": "keep-alive"}, version="HTTP/1.0")
        assert response.status == 200
        assert response.headers.get("connection").lower() == "keep-alive"
    client.half_close()
    client.expect_closed()


def test_a_request_without_host_is_legal_in_http_1_0(origin, proxy_to, connect):
    response = connect(proxy_to(origin)).get("/no-host", version="HTTP/1.0")
    assert response.status == 200
    assert len(origin.last.headers.all("host")) == 1, "an HTTP/1.1 request must have a Host"


def test_an_http_1_0_client_gets_no_chunks_but_the_end_of_the_connection(origin, proxy_to, connect):
    def streamed(exchange):
        exchange.start_chunked()
        exchange.chunk("one ")
        exchange.chunk("two")
        exchange.end_chunks({"X-Trailer": "dropped"})
    origin.on("/", streamed)
    client = connect(proxy_to(origin))
    response = client.get("/", {"Connection": "keep-alive"}, version="HTTP/1.0")
    assert response.body == b"one two"
    assert "transfer-encoding" not in response.headers
    assert response.headers.get("connection") == "close"


def test_an_http_1_0_client_gets_no_interim_response(origin, proxy_to, connect):
    def hints(exchange):
        exchange.interim(103, {"Link": "</a.css>; rel=preload"})
        exchange.reply(body=b"final")
    origin.on("/", hints)
    response = connect(proxy_to(origin)).get("/", version="HTTP/1.0")
    assert (response.status, response.interim) == (200, [])


def test_an_http_1_0_request_with_transfer_encoding_is_refused(origin, proxy_to, connect):
    """RFC 9112 6.1: framing that an HTTP/1.0 recipient may have read otherwise."""
    client = connect(proxy_to(origin))
    client.send("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    assert client.response().status == 400
    client.expect_closed()
    assert origin.requests == []


def test_an_http_1_0_origin_is_understood(origin, proxy_to, connect):
    def old(exchange):
        exchange.send("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold body")
        exchange.close()
    origin.on("/", old)
    client = connect(proxy_to(origin))
    for _ in range(2):
        response = client.get("/")
        assert (response.version, response.body) == ("HTTP/1.1", b"old body")
    assert origin.connections == 2


def test_a_keep_alive_http_1_0_origin_is_reused(origin, proxy_to, connect):
    def old(exchange):
        exchange.send("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok")
    origin.on("/", old)
    client = connect(proxy_to(origin))
    for _ in range(3):
        assert client.get("/").body == b"ok"
    assert origin.connections == 1


def test_a_later_version_is_refused(origin, proxy_to, connect):
    client = connect(proxy_to(origin))
    client.send("GET / HTTP/2.0\r\nHost: a\r\n\r\n")
    assert client.response().status == 505
    client.expect_closed()
    assert origin.requests == []


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_a_body_that_breaks_off_does_not_look_whole_to_an_http_1_0_client(
        origin, proxy_to, connect, authority, secure):
    """Its end is the connection's end, so that one must not be in order."""
    def broken(exchange):
        exchange.start_chunked()
        exchange.chunk("half of ")
        exchange.reset()
    origin.on("/", broken)
    tls = {"tls": {"certificates": [authority.local.entry]}} if secure else {}
    client = connect(proxy_to(origin, listener=tls), tls=authority.trust() if secure else None)
    client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
    with pytest.raises((ConnectionResetError, ssl.SSLError)):
        while client.sock.recv(1000):
            pass
