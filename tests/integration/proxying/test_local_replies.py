# SPDX-License-Identifier: Apache-2.0
"""Errors that the proxy answers itself: RFC 9457 problem details with token and request id."""


def test_an_error_is_a_problem_detail(proxy_to, connect):
    proxy = proxy_to(routes=[{"match": {"path": "/x"}, "echo": True}])
    client = connect(proxy)
    response = client.get("/nowhere")
    assert response.headers.get("content-type") == "application/problem+json"
    body = response.json()
    assert body["status"] == response.status == 404
    assert body["title"]
    assert body["error"] == "no_route"
    assert body["request_id"] == proxy.wait_for_access(status=404)["request_id"]
    assert client.get("/x").status == 200, "the connection stays"


def test_an_error_tells_an_attacker_nothing(make_origin, proxy_to, connect):
    origin = make_origin()
    origin.stop_listening()
    response = connect(proxy_to(origin)).get("/secret-path?secret=1", {"X-Secret": "secret-value"})
    assert response.status == 502
    text = response.head.decode() + response.text
    for hint in (str(origin.port), "127.0.0.1", "secret", "idegate/", "errno", "refused", "lua"):
        assert hint not in text, f"{hint!r} in {text}"


def test_token_is_the_same_in_reply_log_and_metric(make_origin, proxy_to, connect):
    origin = make_origin()
    origin.stop_listening()
    proxy = proxy_to(origin)
    assert connect(proxy).get("/").json()["error"] == "connect_failed"
    assert proxy.wait_for_access(count=1)[0]["error"] == "connect_failed"
    assert proxy.metrics()("proxy_errors_total", error="connect_failed") == 1


def test_an_error_in_the_middle_of_a_body_read_closes_cleanly(origin, proxy_to, connect):
    """The rest of a body that nobody wants is not taken for a request."""
    client = connect(proxy_to(routes=[{"match": {"path": "/x"}, "echo": True}]))
    client.send_head("POST", "/nowhere", {"Content-Length": "40"})
    client.send("GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n12345")
    assert client.response().status == 404
    rest = client.half_close().read_to_close()
    assert b"GET /x" not in rest and b" 200 " not in rest
