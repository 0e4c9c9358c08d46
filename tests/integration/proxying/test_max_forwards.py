# SPDX-License-Identifier: Apache-2.0
"""Max-Forwards of TRACE and OPTIONS: who answers (RFC 9110 7.6.2)."""
import pytest

from support.h2 import H2Client


@pytest.mark.parametrize("method", ["TRACE", "OPTIONS"])
def test_h12_zero_is_answered_here(origin, proxy_to, connect, method):
    client = connect(proxy_to(origin))
    response = client.request(method, "/a?b=1", {
        "Max-Forwards": "0", "X-Mine": "1", "Authorization": "Bearer secret", "Cookie": "a=secret"})
    assert response.status == 200
    assert origin.requests == []
    assert client.get("/").status == 200, "the connection goes on"
    assert b"secret" not in response.body
    if method == "TRACE":
        assert response.headers.get("content-type") == "message/http"
        assert response.body.startswith(b"TRACE /a?b=1 HTTP/1.1\r\n")
        assert b"\r\nx-mine: 1\r\n" in response.body and response.body.endswith(b"\r\n\r\n")
    else:
        assert response.body == b""


@pytest.mark.parametrize("method", ["TRACE", "OPTIONS"])
@pytest.mark.parametrize("sent,forwarded", [("3", "2"), ("1", "0"), ("010", "9"),
                                            ("99999999999999999999999", "999999999")])
def test_h12_more_is_counted_down(origin, proxy_to, connect, method, sent, forwarded):
    assert connect(proxy_to(origin)).request(method, "/", {"Max-Forwards": sent}).status == 200
    assert origin.last.headers.get("max-forwards") == forwarded


@pytest.mark.parametrize("method,value", [("GET", "0"), ("POST", "0"), ("OPTIONS", "x"), ("OPTIONS", "-1"),
                                          ("TRACE", "")])
def test_h12_where_it_means_nothing_it_passes(origin, proxy_to, connect, method, value):
    assert connect(proxy_to(origin)).request(method, "/", {"Max-Forwards": value}).status == 200
    assert origin.last.headers.get("max-forwards") == value


def test_h12_options_for_the_whole_server(origin, proxy_to, connect):
    assert connect(proxy_to(origin)).request("OPTIONS", "*", {"Max-Forwards": "0"}).status == 200
    assert origin.requests == []


def test_h12_policies_come_first(origin, scripted, connect):
    proxy = scripted("function on_request(r) r:reply(401, 'who?') end", origin)
    assert connect(proxy).request("TRACE", "/", {"Max-Forwards": "0"}).status == 401


@pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/2"])
@pytest.mark.parametrize("forwards", ["0", "1"])
def test_h12_trace_gives_back_what_the_client_sent(origin, scripted, connect, forwards, protocol):
    """Not what policies and the proxy have added, nor what tells the way so far."""
    proxy = scripted("""
        function on_request(r)
          r.headers["x-api-key"] = "secret"
          r.headers["x-mine"] = "secret"
          r.headers["max-forwards"] = "0"
          r.path = "/secret"
        end""", origin, config={"listener": {"via": "add", "trusted_proxies": ["127.0.0.1"]}})
    client = H2Client(proxy.port()) if protocol == "HTTP/2" else connect(proxy)
    response = client.request("TRACE", "/a/../b?c=1", {
        "Host": "a.example", "Max-Forwards": forwards, "X-Mine": "1", "X-Forwarded-For": "10.6.6.6",
        "Proxy-Authorization": "Basic secret", "Forwarded": "for=10.6.6.6"})
    assert (response.status, origin.requests) == (200, [])
    first, *fields = bytes(response.body).decode().rstrip("\r\n").split("\r\n")
    assert first == "TRACE /a/../b?c=1 HTTP/1.1"
    assert sorted(fields) == ["host: a.example", f"max-forwards: {forwards}", "x-mine: 1"]
    client.close()


def test_h12_a_request_that_a_policy_makes_a_trace_gives_nothing_back(origin, scripted, connect):
    proxy = scripted("function on_request(r) r.method = 'TRACE' r.headers['max-forwards'] = '0' end", origin)
    response = connect(proxy).get("/", {"Authorization": "secret"})
    assert (response.status, response.body, origin.requests) == (200, b"", [])
