# SPDX-License-Identifier: Apache-2.0
"""Pipelined requests are answered in order (RFC 9112 9.3.2)."""
import threading


def pipeline(*targets):
    return b"".join(f"GET {t} HTTP/1.1\r\nHost: a.example\r\n\r\n".encode() for t in targets)


def test_pipelined_requests_are_answered_in_order(origin, proxy_to, connect):
    origin.otherwise(lambda exchange: exchange.reply(body=exchange.request.path))
    client = connect(proxy_to(origin))
    targets = [f"/{number}" for number in range(50)]
    client.send(pipeline(*targets))
    assert [client.response().text for _ in targets] == targets
    assert origin.paths() == targets


def test_a_fast_answer_waits_for_the_slow_one_before_it(origin, proxy_to, connect):
    release = threading.Event()

    def slow(exchange):
        exchange.wait(release)
        exchange.reply(body=b"slow")
    origin.on("/slow", slow).on("/fast", body=b"fast")
    proxy = proxy_to(origin, routes=[{"match": {"path": "/local"}, "respond": {"status": 200, "body": "local"}}])
    client = connect(proxy)
    client.send(pipeline("/slow", "/local", "/fast"))
    origin.wait_for_requests(1)
    client.expect_silence(0.1)
    release.set()
    assert [client.response().body for _ in range(3)] == [b"slow", b"local", b"fast"]


def test_a_pipelined_request_may_follow_a_body(origin, proxy_to, connect):
    origin.otherwise(lambda exchange: exchange.reply(body=exchange.read_body()))
    client = connect(proxy_to(origin))
    client.send("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nfirst"
                "POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nsecond\r\n0\r\n\r\n",
                pipeline("/3"))
    assert [client.response().body for _ in range(3)] == [b"first", b"second", b""]


def test_pipelined_local_replies_need_no_further_bytes(proxy_to, connect):
    client = connect(proxy_to(route={"respond": {"status": 200, "body": "here"}}))
    client.send(pipeline(*["/"] * 200))
    assert [client.response().body for _ in range(200)] == [b"here"] * 200


def test_a_refused_pipelined_request_does_not_spoil_those_before_it(origin, proxy_to, connect):
    client = connect(proxy_to(origin))
    client.send(pipeline("/1"), "GET /2 HTTP/1.1\r\nHost : a\r\n\r\n", pipeline("/3"))
    assert client.response().status == 200
    refused = client.response()
    assert (refused.status, refused.headers.get("connection")) == (400, "close")
    client.expect_closed()
    assert origin.paths() == ["/1"]


def test_close_in_a_pipeline_ends_it_there(origin, proxy_to, connect):
    client = connect(proxy_to(origin))
    client.send(pipeline("/1"), "GET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", pipeline("/3"))
    assert client.response().status == 200
    assert client.response().headers.get("connection") == "close"
    client.expect_closed()
    assert origin.paths() == ["/1", "/2"]
