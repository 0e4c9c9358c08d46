# SPDX-License-Identifier: Apache-2.0
"""What a script reads of a response and can change in it."""
import pytest


def test_a_script_edits_the_response(origin, scripted, connect):
    origin.on("/", status=200, body=b"body", headers=[("Server", "secret/1.0"), ("X-A", "1"), ("X-A", "2")])
    proxy = scripted("""function on_response(response, request)
        response.status = 203
        response.headers["server"] = nil
        response.headers["x-a"] = "one"
        response.headers:add("set-cookie", "a=1")
        response.headers:add("set-cookie", "b=2")
        response.headers["x-path"] = request.path
      end""", origin)
    response = connect(proxy).get("/")
    assert (response.status, response.body) == (203, b"body")
    assert "server" not in response.headers
    assert response.headers.all("x-a") == ["one"]
    assert response.headers.all("set-cookie") == ["a=1", "b=2"]
    assert response.headers.get("x-path") == "/"


def test_a_script_reads_the_response(origin, scripted, connect):
    origin.on("/", status=201, headers={"X-From": "origin"})
    proxy = scripted("""function on_response(response, request)
        response.headers["x-read"] = table.concat({ response.status, response.headers["x-from"],
          tostring(response.from_origin), response.attempts, response.endpoint and response.endpoint.address
          or "none", type(response.duration) }, " ")
      end""", origin)
    assert connect(proxy).get("/").headers.get("x-read") == f"201 origin true 1 {origin.address} number"


def test_a_local_answer_is_not_from_an_origin(scripted, connect):
    proxy = scripted("""function on_response(response)
        response.headers["x-read"] = tostring(response.from_origin) .. tostring(response.endpoint)
      end""", config={"route": {"respond": {"status": 200, "body": "x"}}})
    assert connect(proxy).get("/").headers.get("x-read") == "falsenil"


def test_a_script_reads_the_response_body(origin, scripted, connect):
    def streamed(exchange):
        exchange.start_chunked()
        exchange.chunk("one ")
        exchange.chunk("two")
        exchange.end_chunks()
    origin.on("/", streamed)
    proxy = scripted("""function on_response(response)
        response.headers["x-length"] = #response:body()
        response.headers["x-body"] = response:body()
      end""", origin)
    response = connect(proxy).get("/")
    assert response.headers.get("x-length") == "7"
    assert response.headers.get("x-body") == "one two"
    assert response.body == b"one two"


@pytest.mark.parametrize("new", ["", "short", "x" * 100_000], ids=len)
def test_a_script_replaces_the_response_body(origin, scripted, connect, new):
    origin.on("/", body=b"the origin's own body")
    proxy = scripted("function on_response(response) response:set_body(options.new) end", origin,
                     options={"new": new})
    client = connect(proxy)
    for _ in range(2):
        assert client.get("/").text == new
    assert origin.connections == 1, "what the origin sent was read to its end"


def test_a_script_rewrites_the_body_it_read(origin, scripted, connect):
    origin.on("/", body=b"hello world")
    proxy = scripted("""function on_response(response)
        response:set_body((response:body():gsub("world", "moon")))
      end""", origin)
    assert connect(proxy).get("/").text == "hello moon"


def test_bodies_pass_from_policy_to_policy(origin, proxy_to, connect):
    origin.on("/", body=b"body")
    script = "function on_response(response) response:set_body(response:body() .. options.mark) end"
    proxy = proxy_to(origin, scripts={"s.lua": script}, policies={
        n: {"script": "s.lua", "options": {"mark": n}} for n in "abc"})
    assert connect(proxy).get("/").text == "bodycba"


def test_a_body_set_on_a_head_is_not_sent(origin, scripted, connect):
    proxy = scripted("function on_response(response) response:set_body('unseen') end", origin)
    client = connect(proxy)
    assert client.request("HEAD", "/").status == 200
    assert client.get("/").text == "unseen"


def test_a_response_body_over_the_memory_budget_is_not_read(origin, scripted, connect):
    """The script gets nil and a message or fails; the proxy does not hold what it may not."""
    origin.on("/", lambda exchange: exchange.reply(body=b"x" * (8 << 20)), may_break=True)
    proxy = scripted("""function on_response(response)
        local body, message = response:body()
        response.headers["x-read"] = tostring(body == nil) .. " " .. tostring(message ~= nil)
      end""", origin, budget={"memory": "1MiB"})
    client = connect(proxy)
    client.send_request("GET", "/")
    head = client.read_head()
    assert head.status >= 500 or head.headers.get("x-read") == "true true"
    client.reset()
    assert connect(proxy).get("/small").status == 200


def test_on_response_may_wait(origin, scripted, connect):
    proxy = scripted("""function on_response(response)
        local before = proxy.now()
        proxy.sleep(0.05)
        response.headers["x-waited"] = tostring(proxy.now() - before >= 0.045)
      end""", origin)
    response = connect(proxy).get("/")
    assert (response.headers.get("x-waited"), response.body) == ("true", b"ok")


def test_trailers_are_seen_and_kept(origin, scripted, connect):
    def streamed(exchange):
        exchange.start_chunked()
        exchange.chunk("data")
        exchange.end_chunks({"X-Sum": "42"})
    origin.on("/", streamed)
    proxy = scripted("""function on_response(response)
        local body = response:body()
        response.headers["x-sum-seen"] = response.trailers["x-sum"]
      end""", origin)
    response = connect(proxy).get("/", {"TE": "trailers"})
    assert response.headers.get("x-sum-seen") == "42"
    assert response.body == b"data"
