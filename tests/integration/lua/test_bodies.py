# SPDX-License-Identifier: Apache-2.0
"""request:body() and request:set_body()."""
import pytest

from support import http1

LENGTH = """function on_request(request)
  request.headers["x-length"] = #request:body()
end"""


def test_a_script_reads_the_whole_body_and_the_origin_gets_it(origin, scripted, connect):
    client = connect(scripted(LENGTH, origin))
    assert client.post("/", b"twelve bytes").status == 200
    assert (origin.last.headers.get("x-length"), origin.last.body) == ("12", b"twelve bytes")


def test_a_chunked_body_in_pieces_is_read_whole(origin, scripted, connect):
    client = connect(scripted(LENGTH, origin))
    client.send_head("POST", "/", {"Transfer-Encoding": "chunked"})
    client.send("3\r\nabc\r\n")
    client.expect_silence(0.05)
    assert origin.requests == [], "the hook waits for the end"
    client.send("3\r\ndef\r\n0\r\n\r\n")
    assert client.response().status == 200
    assert (origin.last.headers.get("x-length"), origin.last.body) == ("6", b"abcdef")


def test_a_request_without_body_has_an_empty_one(origin, scripted, connect):
    connect(scripted(LENGTH, origin)).get("/")
    assert origin.last.headers.get("x-length") == "0"


def test_a_body_may_be_read_twice_and_by_several_policies(origin, proxy_to, connect):
    script = """function on_request(request)
      local first, second = request:body(), request:body()
      request.headers["x-" .. options.name] = tostring(first == second) .. #first
    end"""
    proxy = proxy_to(origin, scripts={"s.lua": script},
                     policies={n: {"script": "s.lua", "options": {"name": n}} for n in ("a", "b")})
    connect(proxy).post("/", b"body")
    assert (origin.last.headers.get("x-a"), origin.last.headers.get("x-b")) == ("true4", "true4")
    assert origin.last.body == b"body"


def test_waiting_for_a_body_blocks_nobody_else(origin, scripted, connect):
    proxy = scripted(LENGTH, origin)
    slow, other = connect(proxy), connect(proxy)
    slow.send_head("POST", "/slow", {"Content-Length": "4"}).send("bo")
    for _ in range(20):
        assert other.get("/fast").status == 200
    slow.send("dy")
    assert slow.response().status == 200


@pytest.mark.parametrize("new", ["", "new", "x" * 200_000], ids=len)
def test_a_script_replaces_the_body(origin, scripted, connect, new):
    proxy = scripted("function on_request(request) request:set_body(options.new) end", origin,
                     options={"new": new})
    client = connect(proxy)
    for _ in range(2):
        assert client.post("/", b"the client's own").status == 200
        assert origin.last.body == new.encode()
        assert origin.last.length == len(new)


def test_a_script_gives_a_body_to_a_request_that_had_none(origin, scripted, connect):
    client = connect(scripted("function on_request(r) r.method = 'POST'; r:set_body('made up') end", origin))
    assert client.get("/").status == 200
    assert (origin.last.method, origin.last.body) == ("POST", b"made up")


def test_a_chunked_body_is_replaced(origin, scripted, connect):
    client = connect(scripted("function on_request(r) r:set_body(r:body():upper()) end", origin))
    client.send_head("POST", "/", {"Transfer-Encoding": "chunked"})
    client.send(http1.chunked(b"abc", b"def"))
    assert client.response().status == 200
    assert origin.last.body == b"ABCDEF"


def test_a_body_over_max_body_is_413_even_if_a_script_waits_for_it(origin, scripted, connect):
    proxy = scripted(LENGTH, origin, config={"route": {"max_body": "1KiB"}})
    client = connect(proxy)
    client.send_head("POST", "/", {"Transfer-Encoding": "chunked"})
    client.send_quietly(http1.chunked(b"x" * 1000, b"x" * 1000))
    assert client.response().status == 413
    assert origin.requests == []


def test_a_client_that_leaves_while_a_script_waits_for_its_body(origin, scripted, connect):
    proxy = scripted(LENGTH, origin)
    client = connect(proxy)
    client.send_head("POST", "/", {"Content-Length": "10"}).send("half")
    client.reset()
    proxy.wait_for_access(error="client_closed")
    assert connect(proxy).get("/").status == 200
    assert origin.paths() == ["/"]


def test_a_script_asks_for_the_body_of_an_expectation(origin, scripted, connect):
    """Nobody else will send the 100: the origin knows nothing of the request yet."""
    client = connect(scripted(LENGTH, origin))
    client.send_head("POST", "/", {"Expect": "100-continue", "Content-Length": "4"})
    assert client.read_head().status == 100
    client.send("body")
    assert client.response().status == 200
    assert origin.last.body == b"body"


def test_a_body_can_be_the_answer(scripted, connect):
    proxy = scripted("function on_request(r) r:reply(200, r:body()) end", config={"route": {"echo": True}})
    body = bytes(range(256)) * 100
    assert connect(proxy).post("/", body).body == body
