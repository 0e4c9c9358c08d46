# SPDX-License-Identifier: Apache-2.0
"""Requests whose framing is ambiguous or malformed are refused with 400 and the connection closed;
nothing of them reaches an origin."""
import contextlib

import pytest

from support import Client, Origin, Proxy, config_for


@pytest.fixture(scope="module")
def served():
    """One proxy and origin for all refusals: it must outlive every one of them."""
    with contextlib.ExitStack() as stack:
        origin = stack.enter_context(Origin())
        origin.otherwise(lambda exchange: exchange.reply(body=exchange.read_body()))
        yield origin, stack.enter_context(Proxy(config_for(origin)))


def head(*lines):
    return "\r\n".join(lines) + "\r\n\r\n"


POST, HOST = "POST /victim HTTP/1.1", "Host: a.example"
SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n"

REFUSED = {
    # two framings
    "content-length with transfer-encoding": head(POST, HOST, "Content-Length: 4", "Transfer-Encoding: chunked") + "0\r\n\r\n",
    "transfer-encoding with content-length": head(POST, HOST, "Transfer-Encoding: chunked", "Content-Length: 4") + "0\r\n\r\n",
    "two content-lengths that differ": head(POST, HOST, "Content-Length: 4", "Content-Length: 5") + "abcde",
    "two content-lengths that agree": head(POST, HOST, "Content-Length: 4", "Content-Length: 4") + "abcd",
    "a list of content-lengths": head(POST, HOST, "Content-Length: 4, 4") + "abcd",
    "two transfer-encodings": head(POST, HOST, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + "0\r\n\r\n",
    "chunked twice": head(POST, HOST, "Transfer-Encoding: chunked, chunked") + "0\r\n\r\n",
    # odd lengths
    "a signed content-length": head(POST, HOST, "Content-Length: +4") + "abcd",
    "a negative content-length": head(POST, HOST, "Content-Length: -4") + "abcd",
    "a hexadecimal content-length": head(POST, HOST, "Content-Length: 0x4") + "abcd",
    "an empty content-length": head(POST, HOST, "Content-Length:"),
    "a content-length with a space": head(POST, HOST, "Content-Length: 4 4") + "abcd",
    "a content-length with a fraction": head(POST, HOST, "Content-Length: 4.0") + "abcd",
    "a content-length over 64 bits": head(POST, HOST, "Content-Length: 18446744073709551620") + "abcd",
    "a content-length with an underscore": head(POST, HOST, "Content-Length: 1_0") + "0123456789",
    # transfer codings
    "chunked not last": head(POST, HOST, "Transfer-Encoding: chunked, gzip") + "0\r\n\r\n",
    "an unknown coding": head(POST, HOST, "Transfer-Encoding: identity") + "0\r\n\r\n",
    "a coding that only looks like chunked": head(POST, HOST, "Transfer-Encoding: xchunked") + "0\r\n\r\n",
    "chunked with a vertical tab": head(POST, HOST, "Transfer-Encoding: \x0bchunked") + "0\r\n\r\n",
    "chunked in quotes": head(POST, HOST, 'Transfer-Encoding: "chunked"') + "0\r\n\r\n",
    "chunked with a parameter": head(POST, HOST, "Transfer-Encoding: chunked;a=b") + "0\r\n\r\n",
    "an empty transfer-encoding": head(POST, HOST, "Transfer-Encoding:") + "0\r\n\r\n",
    # line ends
    "bare line feeds": "POST /victim HTTP/1.1\nHost: a.example\nContent-Length: 0\n\n",
    "one bare line feed in the head": "POST /victim HTTP/1.1\r\nHost: a.example\nContent-Length: 0\r\n\r\n",
    "a bare carriage return in a value": head(POST, HOST, "X-A: a\rb", "Content-Length: 0"),
    "a head that ends in a bare line feed": "GET /victim HTTP/1.1\r\nHost: a.example\r\n\n",
    "a carriage return before the line end": "GET /victim HTTP/1.1\r\nHost: a.example\r\r\n\r\n",
    # fields
    "a space before the colon": head(POST, "Host : a.example", "Content-Length: 0"),
    "a space before the colon of a length": head(POST, HOST, "Content-Length : 0"),
    "a tab before the colon": head(POST, HOST, "X-A\t: b"),
    "a folded field": head(POST, HOST, "X-A: a", " b"),
    "a folded first field": head(POST, " " + HOST),
    "a field without colon": head(POST, HOST, "NoColon"),
    "a field without name": head(POST, HOST, ": empty"),
    "a name outside token": head(POST, HOST, "X(A): b"),
    "a name with a high byte": head(POST, HOST, "X-\xe9: b"),
    "a NUL in a name": head(POST, HOST, "X-\0A: b"),
    "a NUL in a value": head(POST, HOST, "X-A: a\0b"),
    "a control byte in a value": head(POST, HOST, "X-A: a\x01b"),
    "a DEL in a value": head(POST, HOST, "X-A: a\x7fb"),
    # request line
    "no target": head("GET  HTTP/1.1", HOST),
    "two spaces in the request line": head("GET  /victim HTTP/1.1", HOST),
    "a space in the target": head("GET /vic tim HTTP/1.1", HOST),
    "a space after the version": head("GET /victim HTTP/1.1 ", HOST),
    "a tab in the request line": head("GET\t/victim\tHTTP/1.1", HOST),
    "no version": head("GET /victim", HOST),
    "a lower-case version": head("GET /victim http/1.1", HOST),
    "a version with a sign": head("GET /victim HTTP/+1.1", HOST),
    "a method outside token": head("GE(T /victim HTTP/1.1", HOST),
    "a control byte in the target": head("GET /vic\x01tim HTTP/1.1", HOST),
    "a fragment in the target": head("GET /victim#part HTTP/1.1", HOST),
    "a target that is no path": head("GET victim HTTP/1.1", HOST),
    "a leading space": " " + head("GET /victim HTTP/1.1", HOST),
    # host
    "no host": head("GET /victim HTTP/1.1", "X-A: b"),
    "two hosts": head("GET /victim HTTP/1.1", HOST, "Host: b.example"),
    "two equal hosts": head("GET /victim HTTP/1.1", HOST, HOST),
    "a host list": head("GET /victim HTTP/1.1", "Host: a.example, b.example"),
    "a host with a path": head("GET /victim HTTP/1.1", "Host: a.example/b"),
    "a host with user information": head("GET /victim HTTP/1.1", "Host: user@a.example"),
    "a host with a space": head("GET /victim HTTP/1.1", "Host: a example"),
    "a host with an odd port": head("GET /victim HTTP/1.1", "Host: a.example:80x"),
    "a host with too high a port": head("GET /victim HTTP/1.1", "Host: a.example:65536"),
}

REFUSED_BODIES = {
    "a chunk size that is no number": "xyz\r\nabc\r\n0\r\n\r\n",
    "an empty chunk size": "\r\nabc\r\n0\r\n\r\n",
    "a negative chunk size": "-1\r\nabc\r\n0\r\n\r\n",
    "a signed chunk size": "+3\r\nabc\r\n0\r\n\r\n",
    "a chunk size with 0x": "0x3\r\nabc\r\n0\r\n\r\n",
    "a chunk size over 64 bits": "10000000000000003\r\nabc\r\n0\r\n\r\n",
    "a chunk size of 64 bits that wraps with what follows": "fffffffffffffffe\r\nabc\r\n0\r\n\r\n",
    "a space before a chunk size": " 3\r\nabc\r\n0\r\n\r\n",
    "a chunk size ended by a bare line feed": "3\nabc\r\n0\r\n\r\n",
    "chunk data longer than said": "3\r\nabcd\r\n0\r\n\r\n",
    "chunk data ended by a bare line feed": "3\r\nabc\n0\r\n\r\n",
    "chunk data ended by a bare carriage return": "3\r\nabc\r0\r\n\r\n",
    "a bare line feed in a chunk extension": "3;a\nb\r\nabc\r\n0\r\n\r\n",
    "a bare carriage return in a chunk extension": "3;a\rb\r\nabc\r\n0\r\n\r\n",
    "a control byte in a chunk extension": "3;a\x01\r\nabc\r\n0\r\n\r\n",
    "a trailer with a space before the colon": "0\r\nX-A : b\r\n\r\n",
    "a folded trailer": "0\r\nX-A: b\r\n c\r\n\r\n",
    "trailers ended by bare line feeds": "0\r\n\n",
}


def refuse(served, data):
    origin, proxy = served
    seen = len(origin.requests)
    with Client(proxy.port()) as client:
        client.send(data, SMUGGLED)
        response = client.response()
        assert response.status == 400, response
        assert response.headers.get("connection") == "close"
        assert response.headers.get("content-type") == "application/problem+json"
        client.expect_closed()
    with Client(proxy.port()) as client:
        assert client.get("/witness").status == 200
    return origin.paths()[seen:]


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
def test_a_malformed_head_is_refused(served, data):
    assert refuse(served, data) == ["/witness"]


@pytest.mark.parametrize("body", REFUSED_BODIES.values(), ids=REFUSED_BODIES.keys())
def test_a_malformed_chunked_body_is_refused(make_origin, proxy_to, connect, body):
    """The head may have gone to the origin already; the request never completes there."""
    ended = []

    def reads(exchange):
        try:
            exchange.read_body()
            ended.append("whole")
        except Exception:
            ended.append("broken")
            raise
    origin = make_origin()
    origin.on("/victim", reads, may_break=True)
    client = connect(proxy_to(origin))
    client.send(head(POST, HOST, "Transfer-Encoding: chunked"), body, SMUGGLED)
    response = client.response()
    assert (response.status, response.headers.get("connection")) == (400, "close")
    client.expect_closed()
    if origin.requests:
        origin.wait_until_open(0)
    assert "whole" not in ended
    assert set(origin.paths()) <= {"/victim"}


ACCEPTED = {
    "optional space around a value": head("GET / HTTP/1.1", HOST, "X-A: \t b \t "),
    "no space after the colon": head("GET / HTTP/1.1", "Host:a.example", "X-A:b"),
    "an empty value": head("GET / HTTP/1.1", HOST, "X-A:"),
    "high bytes in a value": head("GET / HTTP/1.1", HOST, "X-A: \xe9\xff"),
    "every token character in a name": head("GET / HTTP/1.1", HOST, "!#$%&'*+-.^`|~09azAZ: b"),
    "chunked in capitals": head("POST / HTTP/1.1", HOST, "Transfer-Encoding: Chunked") + "0\r\n\r\n",
    "an absolute target": head("GET http://a.example/ HTTP/1.1", HOST),
    "an empty query": head("GET /? HTTP/1.1", HOST),
    "an unknown method": head("BREW / HTTP/1.1", HOST),
    "options for the server": head("OPTIONS * HTTP/1.1", HOST),
    "an IPv6 host": head("GET / HTTP/1.1", "Host: [::1]:80"),
    "leading zeros in a length": head("POST / HTTP/1.1", HOST, "Content-Length: 004") + "abcd",
}


@pytest.mark.parametrize("data", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_is_legal_is_taken(served, data):
    _, proxy = served
    with Client(proxy.port()) as client:
        client.send(data)
        assert client.response().status == 200
        assert client.get("/next").status == 200


def test_a_request_is_framed_anew(origin, proxy_to, connect):
    """What the origin gets is written by the proxy, not copied: spelling and order of framing are its own."""
    client = connect(proxy_to(origin))
    client.send(head("POST / HTTP/1.1", "host:a.example", "tRANSFER-eNCODING:cHUNKED"), "3;x=y\r\nabc\r\n0\r\n\r\n")
    assert client.response().status == 200
    assert origin.last.headers.get("transfer-encoding") == "chunked"
    assert origin.last.body == b"abc"


def test_an_absolute_target_overrules_host(origin, proxy_to, connect):
    """RFC 9112 3.2.2: the target's authority counts, and the origin is told that one."""
    client = connect(proxy_to(origin, route={"host": "preserve"}))
    client.send(head("GET http://right.example/x?y HTTP/1.1", "Host: wrong.example"))
    assert client.response().status == 200
    assert (origin.last.target, origin.last.headers.get("host")) == ("/x?y", "right.example")


def test_a_get_may_have_a_body(origin, proxy_to, connect):
    client = connect(proxy_to(origin))
    client.send(head("GET / HTTP/1.1", HOST, "Content-Length: 4"), "body", SMUGGLED)
    assert client.response().status == 200
    assert client.response().status == 200
    assert (origin.requests[0].body, origin.requests[1].target) == (b"body", "/smuggled")


def test_connect_is_not_supported(origin, proxy_to, connect):
    client = connect(proxy_to(origin))
    client.send(head("CONNECT a.example:443 HTTP/1.1", "Host: a.example:443"))
    assert client.response(to="GET").status in (400, 405, 501)
    assert origin.requests == []


@pytest.mark.parametrize("value", ["deflate, chunked", "gzip, chunked", "x-new;q=1, chunked",
                                   "gzip\r\nTransfer-Encoding: chunked"])
def test_h14_a_transfer_coding_before_chunked_is_not_implemented(origin, proxy_to, connect, value):
    client = connect(proxy_to(origin))
    client.send(f"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {value}\r\n\r\n0\r\n\r\n")
    response = client.response()
    assert (response.status, response.json()["error"]) == (501, "transfer_coding_unsupported")
    client.expect_closed()
    assert origin.requests == []


@pytest.mark.parametrize("version", ["HTTP/1.2", "HTTP/1.5", "HTTP/1.9"])
def test_h23_a_higher_minor_version_is_http_1_1(origin, proxy_to, connect, version):
    client = connect(proxy_to(origin))
    for _ in range(2):
        client.send(f"POST /a {version}\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
        assert client.response().status == 200
        assert (origin.last.version, origin.last.body) == ("HTTP/1.1", b"ok")
