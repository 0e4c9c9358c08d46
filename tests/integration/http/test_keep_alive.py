# SPDX-License-Identifier: Apache-2.0
"""A client connection carries one request after another."""
import pytest


def test_a_client_connection_carries_many_requests(origin, proxy_to, connect):
    client = connect(proxy_to(origin))
    for number in range(20):
        response = client.get(f"/{number}")
        assert (response.status, response.body) == (200, b"ok")
        assert "close" not in response.headers.all("connection")
    assert origin.paths() == [f"/{number}" for number in range(20)]


def test_a_request_may_follow_a_response_without_body(origin, proxy_to, connect):
    origin.on("/nothing", status=204).on("/not-modified", status=304, headers={"ETag": '"1"'})
    client = connect(proxy_to(origin))
    assert client.get("/nothing").status == 204
    assert client.get("/not-modified").headers.get("etag") == '"1"'
    assert client.get("/after").body == b"ok"


def test_a_204_goes_out_without_framing_fields(origin, proxy_to, connect):
    origin.on("/nothing", status=204)
    response = connect(proxy_to(origin)).get("/nothing")
    assert "content-length" not in response.headers
    assert "transfer-encoding" not in response.headers


def test_an_empty_line_before_a_request_is_skipped(origin, proxy_to, connect):
    """RFC 9112 2.2: at least one empty line received prior to the request line."""
    client = connect(proxy_to(origin))
    client.send("\r\n")
    assert client.get("/").status == 200


def test_an_idle_connection_is_closed_after_the_listeners_idle_timeout(origin, proxy_to, connect):
    client = connect(proxy_to(origin, listener={"idle_timeout": "300ms"}))
    assert client.get("/").status == 200
    client.expect_end()


def test_a_connection_that_never_sends_is_closed_after_the_idle_timeout(origin, proxy_to, connect):
    client = connect(proxy_to(origin, listener={"idle_timeout": "300ms", "head_timeout": "300ms"}))
    client.expect_end()


def test_a_connection_closes_after_max_requests(origin, proxy_to, connect):
    client = connect(proxy_to(origin, listener={"max_requests": 2}))
    assert "connection" not in client.get("/1").headers
    assert client.get("/2").headers.get("connection") == "close"
    client.expect_end()


@pytest.mark.parametrize("split", range(1, 37, 5))
def test_a_head_may_arrive_in_pieces(origin, proxy_to, connect, split):
    client = connect(proxy_to(origin))
    request = b"GET /split HTTP/1.1\r\nHost: a.example\r\n\r\n"
    client.send(request[:split])
    client.send(request[split:])
    assert client.response().status == 200


def test_a_head_may_arrive_byte_by_byte(origin, proxy_to, connect):
    client = connect(proxy_to(origin))
    for byte in b"POST /bytes HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\nabc":
        client.send(bytes([byte]))
    assert client.response().status == 200
    assert origin.last.body == b"abc"
