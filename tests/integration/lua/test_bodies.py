# SPDX-License-Identifier: Apache-2.0
"""request:body() and request:set_body()."""
import pytest

from support import http1
from support.clock import eventually
from support.h2 import H2Client

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


READS_IN_LOG = """
local function look(when, r)
  local body, why = r:body()
  proxy.log.info("saw", { when = when, body = tostring(body), why = why, method = r.method })
end
function on_request(r)
  if r.path == "/reply" then return r:reply(401, "no") end
  proxy.log.info("began", { path = r.path })
end
function on_log(r)
  look("log", r)
  proxy.sleep(0.001)
  look("after a wait", r)
end
"""


ONLY_IN_LOG = READS_IN_LOG[:READS_IN_LOG.index("function on_request")] + READS_IN_LOG[READS_IN_LOG.index("function on_log"):]


def leave(client, stream, connection=True):
    """A client that leaves: its connection, or over HTTP/2 only the stream, ends with a reset."""
    client.reset() if connection or not isinstance(client, H2Client) else client.cancel(stream)


@pytest.mark.parametrize("script", [READS_IN_LOG, ONLY_IN_LOG], ids=["two hooks", "on_log only"])
@pytest.mark.parametrize("path", ["/reply", "/limited", "/gone", "/stream-gone"])
def test_l1_a_body_that_never_arrived_is_nil_in_on_log(scripted, connect, path, script):
    """The client's side has been released by then: by a reply, by a limit that refuses before any hook, by a client
    that leaves."""
    reply = {"respond": {"status": 401, "body": "no"}} if script == ONLY_IN_LOG else {"echo": True}
    client = connect(proxy := scripted(script, config={
        "limits": {"few": {"rate": "1/h", "key": "global"}},
        "routes": [
            {"name": "limited", "match": {"path": "/limited"}, "limits": ["few"], "echo": True, "policies": ["policy"]},
            {"name": "reply", "match": {"path": "/reply"}, "policies": ["policy"], **reply}],
        "route": {"echo": True}}))
    if path == "/limited":
        assert connect(proxy).get("/limited").status == 200
    stream = client.post_partly(path, b"part", length=100)
    if "gone" in path:
        eventually(lambda: proxy.metrics()("proxy_requests_active") == 1)  # a reset overtakes what has not been read
        leave(client, stream, connection=path == "/gone")
        proxy.wait_for_access(path=path)
    else:
        assert client.response().status == {"/reply": 401, "/limited": 429}[path]
    for when in ("log", "after a wait"):
        line = proxy.wait_for_log(message="saw", when=when, method="POST")
        assert (line["body"], line["why"]) == ("nil", "client_closed" if "gone" in path else "exchange_ended")
    if path == "/limited":
        began = [line["path"] for line in proxy.log_lines if line["message"] == "began"]
        assert began == ["/limited"] * (script == READS_IN_LOG), "no hook but on_log ran for the second"
    assert connect(proxy).get("/").status == 200


@pytest.mark.parametrize("hook", ["on_response", "on_error", "on_log"])
def test_l1_a_part_of_a_body_is_no_body(scripted, connect, hook):
    """The client is refused half-way."""
    proxy = scripted("""
        function %s(%s)
          local body, why = request:body()
          proxy.sleep(0.001)
          local again, still = request:body()
          proxy.log.info("saw", { body = tostring(body), why = why, again = tostring(again), still = still })
        end""" % (hook, "_, request" if hook == "on_response" else "request"),
        config={"route": {"echo": True, "max_body": "8"}})
    client = connect(proxy)
    client.post_partly("/", b"123456789", length=None)
    assert client.response().status == 413
    line = proxy.wait_for_log(message="saw")
    assert (line["body"], line["why"]) == (line["again"], line["still"]) == ("nil", "body_too_large")


def test_l1_both_bodies_in_on_log_of_a_client_that_left_the_response(origin, scripted, connect):
    """The origin's head has come, a hook waits, the client leaves: nothing more of the body will be read."""
    def half(exchange):
        exchange.start_chunked()
        exchange.chunk(b"half")
        exchange.expect_gone()
    origin.on("/x", half, may_break=True)
    proxy = scripted("""
        function on_response() proxy.log.info("head") proxy.sleep(10) end
        function on_log(request, response)
          local body, why = response:body()
          proxy.log.info("saw", { body = tostring(body), why = why, request = tostring((request:body())) })
        end""", origin)
    client = connect(proxy)
    client.send_request("GET", "/x")
    proxy.wait_for_log(message="head")
    client.reset()
    line = proxy.wait_for_log(message="saw")
    assert (line["body"], line["why"]) == ("nil", "client_closed")


@pytest.mark.parametrize("retry", [None, {"max_retries": 2}], ids=["once", "retries"])
@pytest.mark.parametrize("edit", ["r:set_body('x')", "r:set_body('')", "r:body()"])
def test_l20_a_body_that_was_sent_is_nil(origin, scripted, connect, retry, edit):
    proxy = scripted("""
        local function look(request, hook)
          local body, why = request:body()
          proxy.log.info("saw", { body = tostring(body), why = why, hook = hook })
        end
        function on_request(r) %s end
        function on_response(response, request) look(request, "on_response") end
        function on_log(request) look(request, "on_log") end""" % edit, origin, config={"cluster": {"retry": retry} if retry else {}})
    assert connect(proxy).post("/", b"client's own").status == 200
    for hook in ("on_response", "on_log"):
        line = proxy.wait_for_log(message="saw", hook=hook)
        assert (line["body"], line.get("why")) == ("nil", "the body has been sent")


def test_l20_a_body_that_was_replaced_is_read_until_it_is_sent(origin, scripted, connect):
    proxy = scripted("""
        function on_request(r) r:set_body("x") r.headers["x-seen"] = r:body() end
        function select_backend(r) r.headers["x-select"] = r:body() end""", origin)
    assert connect(proxy).post("/", b"client's own").status == 200
    assert [origin.last.headers.get(n) for n in ("x-seen", "x-select")] == ["x", "x"]


def test_l20_a_request_without_body_still_has_an_empty_one_later(origin, scripted, connect):
    proxy = scripted("function on_response(s, r) s.headers['x-body'] = '<' .. r:body() .. '>' end", origin)
    assert connect(proxy).get("/").headers.get("x-body") == "<>"


@pytest.mark.parametrize("set_own", [False, True], ids=["theirs", "its own"])
@pytest.mark.parametrize("field", ["etag", "content-digest", "repr-digest", "digest", "content-md5"])
def test_a_new_response_body_takes_checksums_of_the_old_one_off(origin, scripted, connect, field, set_own):
    origin.on("/", body=b"old", headers={field: '"of the old"', "x-other": "stays"})
    proxy = scripted("""function on_response(response)
        response:set_body("new")
        if options.own then response.headers[options.field] = '"of the new"' end
      end""", origin, options={"own": set_own, "field": field})
    response = connect(proxy).get("/")
    assert (response.body, response.headers.get("x-other")) == (b"new", "stays")
    assert response.headers.get(field) == ('"of the new"' if set_own else None)


def test_a_new_request_body_takes_checksums_of_the_old_one_off(origin, scripted, connect):
    proxy = scripted("function on_request(r) r:set_body('new') end", origin)
    connect(proxy).post("/", b"old", {"content-digest": "sha-256=:AAAA:", "if-match": '"tag"'})
    assert origin.last.headers.get("content-digest") is None
    assert origin.last.headers.get("if-match") == '"tag"'


@pytest.mark.parametrize("hook", ["on_request", "on_response"])
@pytest.mark.parametrize("length", ["known", "unknown"])
def test_a_body_over_the_memory_budget_is_logged(origin, scripted, connect, hook, length):
    """A policy that does not test for nil lets it pass; somebody must be able to see that."""
    large = b"x" * 2_000_000
    if length == "known":
        origin.on("/", body=large)
    else:
        origin.on("/", lambda exchange: (exchange.start_chunked(), exchange.chunk(large), exchange.end_chunks()))
    proxy = scripted(f"function {hook}(message) message:body() end", origin, budget={"memory": "1MiB", "cpu": "1s"})
    client = connect(proxy)
    if hook == "on_response":
        response = client.get("/")
    else:
        client.send_head("POST", "/", {"Transfer-Encoding": "chunked"} if length == "unknown" else
                         {"Content-Length": str(len(large))})
        client.send(http1.chunked(large) if length == "unknown" else large)
        response = client.response()
    assert response.status == 200
    line = proxy.wait_for_log(message="a hook got no body: it is larger than the memory budget has room for")
    assert (line["level"], line["policy"], line["hook"], line["error"], line["budget"]) == (
        "warn", "policy", hook, "body_too_large", 1 << 20)
    assert line["request_id"]


def test_a_body_over_the_routes_limit_is_no_matter_of_the_budget(scripted, connect):
    proxy = scripted("function on_request(r) r:body() end", config={"route": {"echo": True, "max_body": "8"}})
    client = connect(proxy)
    client.post_partly("/", b"123456789", length=None)
    assert client.response().status == 413
    assert not [line for line in proxy.log_lines if line["message"].startswith("a hook got no body")]


SIZE = ("function on_request(request) local body = assert(request:body()) "
        "return request:reply(200, tostring(#body)) end")
LOCAL = {"route": {"respond": {"status": 204}}}


@pytest.mark.parametrize("size, count", [(3_000_000, 12), (1_000_000, 20), (7_000_000, 4)])
def test_l5_equal_bodies_one_after_another_all_fit(scripted, connect, size, count):
    """A few of them fill the VM's budget with garbage; none may be refused for it."""
    client = connect(scripted(SIZE, config=LOCAL, budget={"cpu": "1s"}))
    for _ in range(count):
        answer = client.post("/", b"b" * size)
        assert (answer.status, answer.body) == (200, str(size).encode())


def test_l5_equal_chunked_bodies_all_fit(scripted, connect):
    client = connect(scripted(SIZE, config=LOCAL, budget={"cpu": "1s"}))
    for _ in range(6):
        client.send_head("POST", "/", {"Transfer-Encoding": "chunked"})
        client.send(http1.chunked(b"b" * 6_500_000))
        answer = client.response()
        assert (answer.status, answer.body) == (200, b"6500000")


def test_l5_equal_response_bodies_all_fit(origin, scripted, connect):
    origin.otherwise(status=200, body=b"b" * 3_000_000)
    client = connect(scripted("""function on_response(response)
      local body = assert(response:body())
      response:set_body(tostring(#body))
    end""", origin, budget={"cpu": "1s"}))
    for _ in range(12):
        answer = client.get("/")
        assert (answer.status, answer.body) == (200, b"3000000")
