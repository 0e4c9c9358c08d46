# SPDX-License-Identifier: Apache-2.0
"""What a client may send at most, and what it is told when it sends more."""
import signal

import pytest

from support import Closed, eventually


def test_a_long_request_line_is_refused(origin, proxy_to, connect):
    client = connect(proxy_to(origin))
    assert client.get("/" + "a" * 9000).status == 414
    client.expect_closed()
    assert origin.requests == []


def test_a_request_line_just_within_the_limit_passes(origin, proxy_to, connect):
    client = connect(proxy_to(origin))
    path = "/" + "a" * (8192 - len("GET / HTTP/1.1") - 8)
    assert client.get(path).status == 200
    assert origin.last.target == path


def test_a_request_line_that_never_ends_is_refused_early(proxy_to, connect):
    client = connect(proxy_to(route={"echo": True}))
    client.send("GET /", "a" * 20000)
    assert client.response().status == 414
    client.read_to_close()


def test_too_large_a_head_is_refused(origin, proxy_to, connect):
    client = connect(proxy_to(origin))
    client.send_request("GET", "/", [(f"X-{n}", "v" * 7000) for n in range(10)])
    assert client.response().status == 431
    client.read_to_close()
    assert origin.requests == []


def test_a_large_head_within_the_limit_passes(origin, proxy_to, connect):
    client = connect(proxy_to(origin))
    assert client.get("/", [(f"X-{n}", "v" * 6900) for n in range(9)]).status == 200
    assert len(origin.last.headers.get("x-8")) == 6900


def test_one_field_over_the_limit_is_refused(origin, proxy_to, connect):
    client = connect(proxy_to(origin))
    client.send_request("GET", "/", {"X-Big": "v" * 70000})
    assert client.response().status == 431
    client.read_to_close()


@pytest.mark.parametrize("count,status", [(99, 200), (100, 431), (1000, 431)])
def test_the_number_of_fields_is_limited(origin, proxy_to, connect, count, status):
    """Host counts too: 99 more make the hundred."""
    client = connect(proxy_to(origin))
    client.send_request("GET", "/", [(f"X-{n}", "v") for n in range(count)])
    assert client.response().status == status


def test_a_listener_may_set_its_own_limits(origin, proxy_to, connect):
    proxy = proxy_to(origin, listener={"max_request_line": 100, "max_header_bytes": 1000, "max_header_count": 5})
    assert connect(proxy).get("/" + "a" * 200).status == 414
    assert connect(proxy).get("/", {"X-A": "v" * 1200}).status == 431
    assert connect(proxy).get("/", [(f"X-{n}", "v") for n in range(6)]).status == 431
    assert connect(proxy).get("/", {"X-A": "v"}).status == 200


def test_a_sized_body_over_max_body_is_refused_before_it_is_sent(origin, proxy_to, connect):
    client = connect(proxy_to(origin, route={"max_body": "1KiB"}))
    client.send_head("POST", "/", {"Content-Length": "1025", "Expect": "100-continue"})
    response = client.response()
    assert (response.status, response.interim) == (413, [])
    client.read_to_close()
    assert origin.requests == []


def test_a_body_of_exactly_max_body_passes(origin, proxy_to, connect):
    client = connect(proxy_to(origin, route={"max_body": "1KiB"}))
    assert client.post("/", b"x" * 1024).status == 200
    client.send_head("POST", "/", {"Transfer-Encoding": "chunked"})
    client.send(b"400\r\n" + b"x" * 1024 + b"\r\n0\r\n\r\n")
    assert client.response().status == 200


def test_a_chunked_body_over_max_body_is_refused_on_the_way(origin, proxy_to, connect):
    origin.on("/", lambda exchange: exchange.reply(), may_break=True)
    proxy = proxy_to(origin, route={"max_body": "1KiB"})
    client = connect(proxy)
    client.send_head("POST", "/", {"Transfer-Encoding": "chunked"})
    client.send(b"400\r\n" + b"x" * 1024 + b"\r\n")
    client.send(b"1\r\nx\r\n0\r\n\r\n")
    assert client.response().status == 413
    client.read_to_close()
    assert proxy.wait_for_access(error="body_too_large")["status"] == 413


def test_a_refused_body_does_not_poison_the_connection(origin, proxy_to, connect):
    """Whatever the proxy does with the rest of the body, it does not take it for a request."""
    client = connect(proxy_to(origin, route={"max_body": "10"}))
    client.send_head("POST", "/", {"Content-Length": "45"})
    client.send_quietly("GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n")
    assert client.response().status == 413
    client.half_close_quietly()
    assert client.read_to_close() == b""
    assert origin.requests == []


def test_an_origins_head_may_be_too_large(origin, proxy_to, connect):
    origin.on("/", lambda e: e.reply(body=b"ok", headers=[(f"X-{n}", "v" * 7000) for n in range(20)]),
              may_break=True)
    proxy = proxy_to(origin)
    assert connect(proxy).get("/").status == 502
    assert proxy.wait_for_access(status=502)["error"] == "response_headers_too_large"


def test_a_listener_takes_no_more_than_max_connections(origin, proxy_to, connect):
    proxy = proxy_to(origin, listener={"max_connections": 3})
    clients = [connect(proxy) for _ in range(3)]
    assert [client.get("/").status for client in clients] == [200] * 3
    extra = connect(proxy)
    extra.send_quietly("GET /extra HTTP/1.1\r\nHost: a\r\n\r\n")
    assert [client.get("/").status for client in clients] == [200] * 3
    assert "/extra" not in origin.paths(), "a fourth connection was served beside the three"
    clients[0].close()
    assert eventually(lambda: _served(proxy)), "there is room again"


def _served(proxy):
    try:
        return proxy.get("/again").status == 200
    except Closed:
        return False


def test_h24_a_clusters_limits_on_response_heads(origin, proxy_to, connect):
    origin.on("/big", headers={"X-Big": "x" * 80_000})
    origin.on("/many", headers=[(f"X-{i}", "1") for i in range(150)])
    client = connect(proxy_to(origin))
    assert [client.get("/big").status, client.get("/many").status] == [502, 502]
    limits = {"max_response_header_bytes": "128KiB", "max_response_header_count": 200}
    client = connect(proxy_to(origin, cluster=limits))
    assert [client.get("/big").status, client.get("/many").status] == [200, 200]


@pytest.mark.parametrize("protocol", ["h1", "h2"])
@pytest.mark.parametrize("limits,headers", [
    ({"max_response_header_bytes": 512}, [("X-Big", "x" * 600)]),
    ({"max_response_header_count": 5}, [(f"X-{i}", "1") for i in range(8)])])
def test_h24_smaller_limits_hold_too(make_any_origin, proxy_to, connect, protocol, limits, headers):
    origin = make_any_origin(protocol)
    origin.on("/", headers=headers, may_break=True)
    proxy = proxy_to(origin, cluster={"protocol": protocol, **limits})
    response = connect(proxy).get("/")
    assert (response.status, response.json()["error"]) == (502, "response_headers_too_large")


def test_h24_limits_change_with_a_reload(origin, tidegate, connect):
    from support import config_for
    origin.on("/", headers={"X-Big": "x" * 1000})
    config = config_for(origin, cluster={"max_response_header_bytes": 512})
    proxy = tidegate(config)
    assert connect(proxy).get("/").status == 502
    config["clusters"]["origin"]["max_response_header_bytes"] = "4KiB"
    since = len(proxy.log_lines)
    proxy.write_config(config)
    proxy.signal(signal.SIGHUP)
    proxy.wait_for_log(message="configuration loaded", since=since)
    assert connect(proxy).get("/").status == 200
