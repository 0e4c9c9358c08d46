# SPDX-License-Identifier: Apache-2.0
"""Who closes a connection, and what still gets through."""
import threading
import time

import pytest

from support import Client


def test_connection_close_from_the_client_is_honoured(origin, proxy_to, connect):
    client = connect(proxy_to(origin))
    response = client.get("/", {"Connection": "close"})
    assert (response.body, response.headers.get("connection")) == (b"ok", "close")
    client.expect_end()
    assert "connection" not in origin.last.headers, "the client's wish is not the origin's"


def test_connection_close_is_found_in_a_list(origin, proxy_to, connect):
    client = connect(proxy_to(origin))
    assert client.get("/", {"Connection": "x-own , Close"}).headers.get("connection") == "close"
    client.expect_end()


def test_connection_close_from_the_origin_does_not_reach_the_client(origin, proxy_to, connect):
    def last(exchange):
        exchange.reply(body=b"bye", headers={"Connection": "close"})
        exchange.close()
    origin.on("/", last)
    client = connect(proxy_to(origin))
    for number in range(3):
        response = client.get("/")
        assert response.body == b"bye"
        assert "connection" not in response.headers
        assert origin.connections == number + 1


def test_an_origin_connection_is_not_reused_once_close_was_said(origin, proxy_to, connect):
    """Even if the origin forgets to close it."""
    origin.on("/", body=b"bye", headers={"Connection": "close"})
    client = connect(proxy_to(origin))
    assert client.get("/").body == b"bye"
    assert client.get("/").body == b"bye"
    assert origin.connections == 2


def test_a_half_closed_client_still_gets_its_answer(origin, proxy_to, connect):
    release = threading.Event()

    def slow(exchange):
        exchange.wait(release)
        exchange.reply(body=b"for you")
    origin.on("/", slow)
    client = connect(proxy_to(origin))
    client.send_request("GET", "/")
    client.half_close()
    origin.wait_for_requests(1)
    client.expect_silence(0.1)
    release.set()
    assert client.response().body == b"for you"
    client.expect_end()


def test_a_half_closed_client_gets_all_pipelined_answers(origin, proxy_to, connect):
    origin.otherwise(lambda exchange: exchange.reply(body=exchange.request.path))
    client = connect(proxy_to(origin))
    client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in range(5)))
    client.half_close()
    assert [client.response().text for _ in range(5)] == [f"/{n}" for n in range(5)]
    client.expect_end()


def test_a_client_that_half_closes_in_a_body_is_not_believed(origin, proxy_to, connect):
    """The origin must not take a truncated request for a whole one."""
    seen = []

    def reads(exchange):
        try:
            exchange.read_body()
            seen.append("whole")
        finally:
            seen.append("end")
    origin.on("/", reads, may_break=True)
    client = connect(proxy_to(origin))
    client.send_head("POST", "/", {"Content-Length": "100"})
    client.send("only this")
    origin.wait_for_requests(1)
    client.half_close()
    assert b"HTTP/1.1 2" not in client.read_to_close()
    origin.wait_until_open(0)
    assert "whole" not in seen


def test_a_client_that_half_closes_in_a_head_gets_no_request_through(origin, proxy_to, connect):
    client = connect(proxy_to(origin))
    client.send("GET / HTTP/1.1\r\nHost: a\r\n")
    client.half_close()
    answer = client.read_to_close()
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
    assert origin.requests == []


def test_a_client_that_goes_away_ends_the_origins_work(origin, proxy_to, connect):
    gone = threading.Event()

    def waits(exchange):
        try:
            exchange.expect_gone()
        finally:
            gone.set()
    origin.on("/", waits)
    proxy = proxy_to(origin)
    client = connect(proxy)
    client.send_request("GET", "/")
    origin.wait_for_requests(1)
    client.reset()
    assert gone.wait(5)
    line = proxy.wait_for_access(error="client_closed")
    assert line["path"] == "/"


def test_a_client_that_goes_away_in_a_body_ends_the_origins_work(origin, proxy_to, connect):
    gone = threading.Event()

    def endless(exchange):
        exchange.start_chunked()
        try:
            while True:
                exchange.chunk("x" * 10000)
        finally:
            gone.set()
    origin.on("/", endless, may_break=True)
    proxy = proxy_to(origin)
    client = connect(proxy)
    client.send_request("GET", "/")
    assert client.read_head().status == 200
    client.reset()
    assert gone.wait(5)
    proxy.wait_for_access(error="client_closed")


def test_a_refusal_is_read_before_the_reset_can_destroy_it(origin, proxy_to, connect):
    """Closing with unread input makes the kernel send RST, which may overtake the answer."""
    client = connect(proxy_to(origin))
    client.send("GET / HTTP/1.1\r\nHost : a\r\n\r\n", "x" * 100_000)
    assert client.response().status == 400
    client.read_to_close()


def test_h22_a_client_that_half_closes_still_gets_its_answer(origin, proxy_to, connect):
    client = connect(proxy_to(origin))
    client.send_request("GET", "/")
    client.half_close()
    assert client.response().status == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_h22_or_counts_as_gone_where_the_listener_says_so(origin, proxy_to, connect, method):
    origin.on("/", lambda exchange: exchange.read_body() is None or exchange.expect_gone())
    proxy = proxy_to(origin, listener={"client_half_close": "abort"})
    client = connect(proxy)
    client.send_request(method, "/", body=b"x" if method == "POST" else None)
    origin.wait_for_requests(1)
    client.half_close()
    client.expect_closed()
    assert proxy.wait_for_access(count=1)[0]["error"] == "client_closed"
    origin.wait_until_open(0)


def test_h22_a_half_close_of_a_tunnel_is_the_tunnels(origin, proxy_to, connect):
    def handler(exchange):
        wire = exchange.take_over()
        exchange.send("HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        wire.expect("last words").expect_end().send("heard")
        exchange.close()
    origin.on("/", handler)
    client = connect(proxy_to(origin, listener={"client_half_close": "abort"}))
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
    assert client.read_head().status == 101
    client.send("last words").half_close()
    client.expect("heard").expect_end()


def test_h22_an_idle_client_may_go_either_way(origin, proxy_to, connect):
    client = connect(proxy_to(origin, listener={"client_half_close": "abort"}))
    assert client.get("/").status == 200
    client.half_close()
    client.expect_end()


def test_the_last_response_is_not_lost_to_what_a_slow_client_sends(origin, proxy_to):
    """The kernel holds it all by now. A socket that closed would answer the client's bytes by a reset, which
    drops what the client has not got yet."""
    body = b"x" * 1_000_000
    origin.on("/", body=body)
    with Client(proxy_to(origin).port(), receive_buffer=16 * 1024) as client:
        client.send_request("GET", "/", {"Connection": "close"})
        assert client.read_head().status == 200
        for _ in range(20):  # longer than the proxy lingers for a client that has got all
            client.read_exactly(16 * 1024)
            client.send("x")
            time.sleep(0.15)
        assert len(client.read_exactly(len(body) - 20 * 16 * 1024)) > 0
        client.expect_end()
