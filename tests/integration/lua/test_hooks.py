# SPDX-License-Identifier: Apache-2.0
"""The hooks: when each runs, in which order, and on which exchanges."""
import threading

import pytest

NOTES = """
local function note(request, text)
  request.vars.notes = (request.vars.notes or "") .. options.name .. ":" .. text .. " "
end
function on_request(request) note(request, "request") end
function select_backend(request, cluster) note(request, "select") end
function on_response(response, request)
  note(request, "response")
  response.headers["x-notes"] = request.vars.notes
end
function on_error(request, failure) note(request, "error") end
function on_log(request, response)
  note(request, "log")
  proxy.log.info("notes", { notes = request.vars.notes, path = request.path })
end
"""


def chain(*names, **more):
    return {"scripts": {"notes.lua": NOTES},
            "policies": {n: {"script": "notes.lua", "options": {"name": n}} for n in names}, **more}


def notes_of(proxy, path):
    return proxy.wait_for_log(message="notes", path=path)["notes"].split()


def last_notes_of(proxy, path, policy):
    line = proxy.wait_for_log(lambda l: l["notes"].endswith(f"{policy}:log "), message="notes", path=path)
    return line["notes"].split()


def test_policies_run_in_order_and_in_reverse_for_the_response(origin, proxy_to, connect):
    proxy = proxy_to(origin, **chain("a", "b", "c"))
    response = connect(proxy).get("/x")
    assert response.headers.get("x-notes").split() == [
        "a:request", "b:request", "c:request", "a:select", "b:select", "c:select",
        "c:response", "b:response", "a:response"]


def test_default_policies_go_before_a_routes_own(origin, proxy_to, connect):
    proxy = proxy_to(origin, **chain("a", "b"), route={"policies": ["b"]}, default_policies=["a"])
    assert connect(proxy).get("/").headers.get("x-notes").split()[:2] == ["a:request", "b:request"]


def test_on_log_runs_last_and_once_per_policy(origin, proxy_to, connect):
    proxy = proxy_to(origin, **chain("a", "b"))
    connect(proxy).get("/x")
    lines = [proxy.wait_for_log(lambda l, n=n: f"{n}:log" in l["notes"], message="notes") for n in "ab"]
    longest = max((line["notes"] for line in lines), key=len).split()
    assert sorted(longest[-2:]) == ["a:log", "b:log"]
    assert longest[-3].endswith(":response")


def test_a_reply_ends_the_requests_way_but_not_the_responses(origin, proxy_to, connect):
    """Policies behind the one that replies see nothing; those before it see the response."""
    scripts = {"notes.lua": NOTES, "gate.lua": "function on_request(r) r:reply(403, 'no') end"}
    proxy = proxy_to(origin, scripts=scripts, policies={
        "before": {"script": "notes.lua", "options": {"name": "before"}},
        "gate": "gate.lua",
        "behind": {"script": "notes.lua", "options": {"name": "behind"}}})
    response = connect(proxy).get("/x")
    assert (response.status, response.text) == (403, "no")
    assert response.headers.get("x-notes").split() == ["before:request", "before:response"]
    assert origin.requests == []


def test_on_response_sees_local_answers_too(proxy_to, connect):
    proxy = proxy_to(**chain("a"), route={"respond": {"status": 200, "body": "local"}})
    assert connect(proxy).get("/").headers.get("x-notes").split() == ["a:request", "a:response"]


def test_on_error_runs_before_a_local_error_reply(make_origin, proxy_to, connect):
    origin = make_origin()
    origin.stop_listening()
    proxy = proxy_to(origin, **chain("a", "b"))
    response = connect(proxy).get("/x")
    assert response.status == 502
    seen = last_notes_of(proxy, "/x", "a")
    assert seen.count("a:error") == 1 and seen.count("b:error") == 1
    assert seen.index("b:select") < seen.index("a:error")


def test_on_error_does_not_run_for_an_origins_own_500(origin, proxy_to, connect):
    origin.on("/x", status=500, body=b"origin's")
    proxy = proxy_to(origin, **chain("a"))
    assert connect(proxy).get("/x").status == 500
    assert "a:error" not in last_notes_of(proxy, "/x", "a")


def test_on_log_runs_when_the_client_has_gone(origin, proxy_to, connect):
    def waits(exchange):
        exchange.expect_gone()
    origin.on("/x", waits)
    proxy = proxy_to(origin, **chain("a"))
    client = connect(proxy)
    client.send_request("GET", "/x")
    origin.wait_for_requests(1)
    client.reset()
    assert "a:log" in notes_of(proxy, "/x")


def test_on_log_sees_the_outcome(origin, scripted, connect):
    origin.on("/x", status=201, body=b"made")
    proxy = scripted("""
        function on_log(request, response)
          proxy.log.info("outcome", { status = response.status, method = request.method,
                                      from_origin = response.from_origin })
        end""", origin)
    connect(proxy).get("/x")
    line = proxy.wait_for_log(message="outcome")
    assert (line["status"], line["method"], line["from_origin"]) == (201, "GET", True)


@pytest.mark.parametrize("text, why", [
    ("", "defines no hook"),
    ("local unused = 1", "defines no hook"),
    ("function on_reqest() end", "did you mean 'on_request'?"),
    ("function on_log() end function on_reqest() end", "did you mean 'on_request'?"),
])
def test_a_script_that_misses_its_hooks_is_refused(scripted, connect, text, why):
    """It may be half of a file, or a slip in a hook's name; as a policy it would let all pass."""
    proxy = scripted("function on_request(r) r:reply(403) end", config={"route": {"echo": True}})
    assert why in proxy.edit_to_broken("policy.lua", text)["error"]
    assert connect(proxy).get("/").status == 403


def test_hooks_keep_state_between_requests_of_one_worker(scripted, connect):
    proxy = scripted("""
        local count = 0
        function on_request(request) count = count + 1; request:reply(200, tostring(count)) end
        """, config={"route": {"echo": True}})
    client = connect(proxy)
    assert [client.get("/").text for _ in range(5)] == ["1", "2", "3", "4", "5"]


def test_policies_of_one_script_keep_their_globals_apart(origin, proxy_to, connect):
    script = """
        count = 0
        function on_request(request)
          count = count + 1
          request.headers["x-" .. options.name] = tostring(count)
        end"""
    proxy = proxy_to(origin, scripts={"s.lua": script},
                     policies={n: {"script": "s.lua", "options": {"name": n}} for n in ("one", "two")})
    connect(proxy).get("/")
    assert (origin.last.headers.get("x-one"), origin.last.headers.get("x-two")) == ("1", "1")


def test_concurrent_exchanges_do_not_mix(origin, scripted, connect):
    """Hooks of many exchanges wait at once; each goes on with its own request."""
    proxy = scripted("""
        function on_request(request)
          local mine = request.headers["x-mine"]
          proxy.sleep(0.05)
          request.vars.mine = mine
          proxy.sleep(0.01)
        end
        function on_response(response, request)
          proxy.sleep(0.01)
          response.headers["x-vars"] = request.vars.mine
          response.headers["x-own"] = request.headers["x-mine"]
        end""", origin)
    results = {}

    def one(number):
        client = connect(proxy)
        response = client.get("/", {"X-Mine": str(number)})
        results[number] = (response.headers.get("x-vars"), response.headers.get("x-own"))
    threads = [threading.Thread(target=one, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: (str(n), str(n)) for n in range(20)}
