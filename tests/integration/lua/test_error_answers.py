# SPDX-License-Identifier: Apache-2.0
"""Answers that are errors: what stands when a hook fails after it has decided, and which hooks run for what the
proxy refuses itself."""
import signal

import pytest

from support.h2 import H2Client

LOCAL = {"route": {"respond": {"status": 200, "body": "went on"}}}
FAILS = {
    "raises": "error('after it')",
    "cpu": "while true do end",
    "memory": "local t = {} while true do t[#t + 1] = ('x'):rep(1e5) .. #t end",
    "time": "proxy.sleep(9)",
}
BUDGET = {"cpu": "20ms", "memory": "2MiB", "time": "200ms"}


@pytest.mark.parametrize("mode", ["open", "closed"])
@pytest.mark.parametrize("failure", FAILS)
def test_l7_a_reply_stands_when_the_hook_fails_after_it(origin, scripted, connect, mode, failure):
    proxy = scripted(f"function on_request(r) r:reply(403, 'no') {FAILS[failure]} end", origin, on_error=mode,
                     budget=BUDGET)
    response = connect(proxy).get("/")
    assert (response.status, response.text) == (403, "no")
    assert origin.requests == []
    proxy.wait_for_log(message="a hook failed")


@pytest.mark.parametrize("mode", ["open", "closed"])
@pytest.mark.parametrize("hook", ["on_request(r)", "select_backend(r)", "on_response(s, r)"])
def test_l7_a_reply_stands_in_every_hook(origin, scripted, connect, hook, mode):
    proxy = scripted("function %s proxy.sleep(0.001) r:redirect('/x') local n; n.x = 1 end" % hook, origin,
                     on_error=mode)
    response = connect(proxy).get("/")
    assert (response.status, response.headers.get("location")) == (302, "/x")


def test_l7_a_reply_of_on_error_stands(scripted, connect):
    proxy = scripted("function on_error(r, f) r:reply(418, f.error) error('x') end", config={"routes": [
        {"name": "never", "match": {"path": "/never"}, "respond": {"status": 200}}], "default_policies": ["policy"]})
    response = connect(proxy).get("/")
    assert (response.status, response.text) == (418, "no_route")


@pytest.mark.parametrize("mode,status", [("open", 200), ("closed", 500)])
def test_l7_bodies_and_edits_stand(origin, scripted, connect, mode, status):
    """Without a reply `closed` is 500 all the same."""
    origin.on("/", body=b"origin's")
    proxy = scripted("""
        function on_request(r)
          if r.headers["x-whole"] then r:set_body("mine") r.headers["x-edit"] = "1" error("x") end
        end
        function on_response(s)
          if s.headers["content-type"] ~= "application/problem+json" then s:set_body("new") s.headers.edit = "2" error("x") end
        end""", origin, on_error=mode)
    response = connect(proxy).post("/", b"client's", {"x-whole": "1"})
    assert response.status == status
    if mode == "open":
        assert (origin.last.body, origin.last.headers.get("x-edit")) == (b"mine", "1")
        assert (response.text, response.headers.get("edit")) == ("new", "2")


@pytest.mark.parametrize("mode", ["open", "closed"])
def test_l7_a_retry_stands(origin, scripted, connect, mode):
    answers = iter([b"first", b"second"])
    origin.otherwise(lambda exchange: exchange.reply(body=next(answers)))
    proxy = scripted("function on_response(s) if s.attempts == 1 then s:retry() error('x') end end", origin,
                     on_error=mode, config={"cluster": {"retry": {"max_retries": 1}}})
    assert connect(proxy).get("/").text == "second"


SEES = """
function on_request(r) r.vars.request = true end
function on_response(s, r)
  s.headers["access-control-allow-origin"] = "*"
  s.headers["x-request-ran"] = tostring(r.vars.request)
end
function on_error(r, failure)
  r:reply(failure.status, failure.error .. " " .. tostring(r.route), { ["x-error"] = failure.error })
end
function on_log(r, s) proxy.log.info("done", { status = s and s.status or 0, path = r.path }) end
"""
REFUSED = {
    "rate_limited": ("GET", "/limited", {}, 429, "limited"),
    "no_route": ("GET", "/nowhere", {}, 404, "nil"),
    "body_too_large": ("POST", "/small", {"content-length": "100"}, 413, "small"),
    "bad_request": ("GET", "/small/%zz", {}, 400, "small"),
    "bad_request of an encoded slash": ("GET", "/small/a%2Fb", {}, 400, "small"),
    "route_busy": ("GET", "/busy", {}, 503, "busy"),
    "client_busy": ("GET", "/yours", {}, 429, "yours"),
}


def refusing(scripted, origin):
    return scripted(SEES, origin, config={
        "route": {"match": {"path": "/never"}}, "default_policies": ["policy"],
        "limits": {"few": {"rate": "1/h", "key": "global"}},
        "routes": [
            {"name": "limited", "match": {"path": "/limited"}, "limits": ["few"], "respond": {"status": 200}},
            {"name": "small", "match": {"path_prefix": "/small"}, "max_body": "10", "respond": {"status": 200}},
            {"name": "busy", "match": {"path": "/busy"}, "max_requests": 1, "cluster": "origin"},
            {"name": "yours", "match": {"path": "/yours"}, "max_requests_per_client": 1, "cluster": "origin"}]})


@pytest.mark.parametrize("client_kind", ["h1", "h2"])
@pytest.mark.parametrize("case", REFUSED)
def test_l16_on_error_runs_for_what_was_refused_before_on_request(origin, scripted, connect, case, client_kind):
    method, path, headers, status, route = REFUSED[case]
    proxy = refusing(scripted, origin)
    if case == "rate_limited":
        connect(proxy).get(path)
    if case.endswith("busy"):
        origin.on(path, lambda exchange: exchange.expect_gone(), may_break=True)
        first = connect(proxy)
        first.send_request("GET", path)
        origin.wait_for_requests(1)
    with connect(proxy) if client_kind == "h1" else H2Client(proxy.port()) as client:
        if method == "POST":
            client.post_partly(path, b"1", length=100)
            response = client.response()
        else:
            response = client.request(method, path, headers)
    error = case.split()[0]
    assert (response.status, response.text) == (status, f"{error} {route}")
    assert response.headers.get("x-error") == error
    # on_response too, in every policy; no on_request has run.
    assert response.headers.get("access-control-allow-origin") == "*"
    assert response.headers.get("x-request-ran") == "nil"
    proxy.wait_for_log(message="done", status=status)
    assert proxy.wait_for_access(status=status)["error"] == error
    if case.endswith("busy"):
        first.reset()


def test_l16_a_connect_that_is_not_allowed_is_refused_with_on_error(scripted, connect):
    client = connect(scripted(SEES, config=LOCAL))
    client.send("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n")
    response = client.response()
    assert (response.status, response.headers.get("x-error")) == (501, "method_unsupported")


def test_l16_on_error_may_wait_and_the_body_of_what_is_refused_is_read(scripted, connect):
    proxy = scripted("""function on_error(r, f)
        proxy.sleep(0.01)
        r:reply(f.status, f.error .. " of " .. tostring((r:body())))
      end""", config={"limits": {"none": {"rate": "1/h", "key": "global"}},
                      "route": {"echo": True, "limits": ["none"]}})
    client = connect(proxy)
    assert client.post("/", b"first").status == 200
    response = client.post("/", b"second")
    assert (response.status, response.text) == (429, "rate_limited of second")
    assert client.post("/", b"third").text == "rate_limited of third", "the connection stays"


@pytest.mark.parametrize("request_text,status", [
    ("GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n", 400),
    ("GET /" + "a" * 9000 + " HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    ("GET / HTTP/1.1\r\nHost: a\r\n" + "x: y\r\n" * 200 + "\r\n", 431),
], ids=["400", "414", "431"])
def test_l16_heads_that_cannot_be_parsed_meet_on_log_only(scripted, connect, request_text, status):
    proxy = scripted(SEES, config=LOCAL)
    client = connect(proxy)
    client.send(request_text)
    response = client.response()
    assert (response.status, response.headers.get("x-error")) == (status, None)
    assert response.headers.get("access-control-allow-origin") is None
    proxy.wait_for_log(message="done", status=status)


def test_l16_an_overloaded_proxy_runs_on_log_only(scripted, connect):
    proxy = scripted(SEES, config={**LOCAL, "max_memory": "4GiB"})
    client = connect(proxy)
    assert client.get("/").headers.get("access-control-allow-origin") == "*"
    proxy.write_config(proxy.config_file.read_text(encoding="utf-8").replace("4GiB", "4MiB"))
    proxy.signal(signal.SIGHUP)
    proxy.wait_for_log(message="configuration loaded")
    response = client.get("/")
    assert (response.status, response.json()["error"]) == (503, "overloaded")
    assert response.headers.get("access-control-allow-origin") is None
    proxy.wait_for_log(message="done", status=503)


def test_l16_a_failing_hook_of_what_was_refused_leaves_the_answer(scripted, connect):
    proxy = scripted("function on_error() error('x') end", config={"routes": [
        {"name": "never", "match": {"path": "/never"}, "respond": {"status": 200}}], "default_policies": ["policy"]})
    assert connect(proxy).get("/").json()["error"] == "no_route"
