# SPDX-License-Identifier: Apache-2.0
"""Hot reload: on file change, on SIGHUP and over the admin address; a broken script is refused, and a
request finishes on the generation it began with."""
import signal

import pytest

from support import config_for

REPLY = "function on_request(request) request:reply(200, '{}') end"
LOCAL = {"route": {"echo": True}}


def test_a_changed_file_goes_live(scripted, connect):
    proxy = scripted(REPLY.format("one"), config=LOCAL)
    client = connect(proxy)
    assert client.get("/").text == "one"
    first = proxy.generation("policy")
    assert proxy.edit("policy.lua", REPLY.format("two")) > first
    assert client.get("/").text == "two"
    proxy.edit("policy.lua", REPLY.format("three"))
    assert client.get("/").text == "three"


def test_a_file_written_in_place_goes_live(scripted, connect):
    """An editor that does not rename."""
    proxy = scripted(REPLY.format("one"), config=LOCAL)
    before = proxy.generation("policy")
    (proxy.folder / "policy.lua").write_text(REPLY.format("two"), encoding="utf-8")
    proxy.wait_for_generation("policy", before)
    assert connect(proxy).get("/").text == "two"


def test_a_file_that_is_removed_and_written_again_goes_live(scripted, connect):
    proxy = scripted(REPLY.format("one"), config=LOCAL)
    before = proxy.generation("policy")
    (proxy.folder / "policy.lua").unlink()
    assert connect(proxy).get("/").text == "one"
    (proxy.folder / "policy.lua").write_text(REPLY.format("two"), encoding="utf-8")
    proxy.wait_for_generation("policy", before)
    assert connect(proxy).get("/").text == "two"


def test_a_required_module_that_changes_goes_live(proxy_to, connect):
    proxy = proxy_to(scripts={"policy.lua": "local m = require('m') function on_request(r) r:reply(200, m) end",
                              "m.lua": "return 'one'"}, policies={"policy": "policy.lua"}, **LOCAL)
    client = connect(proxy)
    assert client.get("/").text == "one"
    proxy.edit("m.lua", "return 'two'", policy="policy")
    assert client.get("/").text == "two"


def test_sighup_reloads(scripted, connect):
    proxy = scripted(REPLY.format("one"), config=LOCAL)
    before = proxy.generation("policy")
    proxy.write_script("policy.lua", REPLY.format("two"))
    proxy.signal(signal.SIGHUP)
    proxy.wait_for_generation("policy", before)
    assert connect(proxy).get("/").text == "two"


def test_the_admin_address_reloads_one_policy(scripted, connect):
    proxy = scripted(REPLY.format("one"), config=LOCAL)
    before = proxy.generation("policy")
    reply = proxy.admin("/policies/policy/reload", "POST")
    assert reply.status == 200, reply
    assert proxy.wait_for_generation("policy", before) > before
    assert connect(proxy).get("/").text == "one"


def test_reloading_an_unknown_policy_is_404(scripted):
    assert scripted(REPLY.format("one"), config=LOCAL).admin("/policies/nobody/reload", "POST").status == 404


def test_a_reload_needs_post(scripted):
    proxy = scripted(REPLY.format("one"), config=LOCAL)
    assert proxy.admin("/policies/policy/reload").status == 405
    assert proxy.admin("/reload").status == 405


def test_the_admin_address_reloads_everything(proxy_to, connect):
    proxy = proxy_to(scripts={"a.lua": REPLY.format("a"), "b.lua": REPLY.format("b")},
                     policies={"a": "a.lua", "b": "b.lua"}, route={"echo": True, "policies": ["a"]},
                     routes=[{"match": {"path": "/b"}, "echo": True, "policies": ["b"]}])
    before = {name: proxy.generation(name) for name in "ab"}
    for name in "ab":
        proxy.write_script(f"{name}.lua", REPLY.format(f"new {name}"))
    assert proxy.admin("/reload", "POST").status == 200
    for name in "ab":
        proxy.wait_for_generation(name, before[name])
    assert connect(proxy).get("/").text == "new a"
    assert connect(proxy).get("/b").text == "new b"


@pytest.mark.parametrize("broken,line", [
    ("function on_request(\n  this is no lua", 2),
    ("\n\nerror('refused by itself')", 3),
    ("local x = nil\nreturn x.y", 2),
    ("while true do end", 1),
    ("\nlocal s = 'x' while true do s = s .. s end", 1),  # the function's first line
    ("local function f() return 1 + f() end\nf()", None),
])
def test_a_broken_script_is_refused_while_the_old_one_serves(scripted, connect, broken, line):
    proxy = scripted(REPLY.format("good"), config=LOCAL)
    client = connect(proxy)
    generation = proxy.generation("policy")
    refused = proxy.edit_to_broken("policy.lua", broken)
    assert f"policy.lua:{line or ''}" in refused["error"], refused
    assert client.get("/").text == "good"
    assert proxy.generation("policy") == generation
    assert proxy.metrics()("proxy_script_generation", policy="policy") == generation
    proxy.edit("policy.lua", REPLY.format("mended"))
    assert client.get("/").text == "mended"


def test_a_reload_of_a_broken_script_says_so_to_the_asker(scripted, connect):
    proxy = scripted(REPLY.format("good"), config=LOCAL)
    proxy.edit_to_broken("policy.lua", "this is no lua")
    reply = proxy.admin("/policies/policy/reload", "POST")
    assert 400 <= reply.status < 600 and "policy.lua:1" in reply.text, reply
    listed = next(p for p in proxy.admin("/policies").json()["policies"] if p["name"] == "policy")
    assert "policy.lua:1" in str(listed), "the admin address shows what was refused"
    assert connect(proxy).get("/").text == "good"


def test_a_request_finishes_on_the_generation_it_began_with(scripted, connect):
    version = """
        local version = '{}'
        function on_request(request) request.vars.request = version; proxy.sleep({}) end
        function on_response(response, request)
          response.headers["x-versions"] = request.vars.request .. " " .. version
        end
        function on_log(request)
          proxy.log.info("logged", {{ version = version, path = request.path }})
        end"""
    proxy = scripted(version.format("one", "request.path == '/slow' and 1 or 0"), config=LOCAL)
    sleeper, other = connect(proxy), connect(proxy)
    sleeper.send_request("GET", "/slow")
    assert other.get("/fast").headers.get("x-versions") == "one one"
    proxy.edit("policy.lua", version.format("two", "0"))
    assert other.get("/fast").headers.get("x-versions") == "two two"
    assert not sleeper.buffer
    assert sleeper.response().headers.get("x-versions") == "one one"
    assert proxy.wait_for_log(message="logged", path="/slow")["version"] == "one"
    line = proxy.wait_for_access(path="/slow")
    newer = proxy.wait_for_access(path="/fast")
    assert "policy" in str(line["policies"]) and "policy" in str(newer["policies"])


def test_the_access_log_names_the_generation(scripted, connect):
    proxy = scripted(REPLY.format("one"), config=LOCAL)
    client = connect(proxy)
    client.get("/first")
    proxy.edit("policy.lua", REPLY.format("two"))
    client.get("/second")
    first, second = (proxy.wait_for_access(path=path)["policies"] for path in ("/first", "/second"))
    assert first != second, (first, second)


def test_all_policies_of_a_script_go_live(proxy_to, connect):
    script = "function on_request(r) r.headers['x-' .. options.name] = '{}' end"
    proxy = proxy_to(scripts={"s.lua": script.format("one")},
                     policies={n: {"script": "s.lua", "options": {"name": n}} for n in ("a", "b")}, **LOCAL)
    client = connect(proxy)
    before = {name: proxy.generation(name) for name in "ab"}
    proxy.write_script("s.lua", script.format("two"))
    for name in "ab":
        proxy.wait_for_generation(name, before[name])
    headers = {k.lower(): v for k, v in client.get("/").json()["headers"].items()}
    assert (headers["x-a"], headers["x-b"]) == ("two", "two")


@pytest.mark.workers
def test_all_workers_go_live(tidegate, connect):
    proxy = tidegate(config_for(policies={"policy": "policy.lua"}, workers=4, **LOCAL),
                     {"policy.lua": REPLY.format("one")})
    assert {connect(proxy).get("/").text for _ in range(40)} == {"one"}
    proxy.edit("policy.lua", REPLY.format("two"))
    assert {connect(proxy).get("/").text for _ in range(40)} == {"two"}


def test_an_old_generation_is_freed(scripted, connect):
    """Memory of generations that nothing uses does not add up."""
    script = REPLY.format("{}") + "\nlocal ballast = ('x'):rep(1024 * 1024)\nfunction on_log() return #ballast end"
    proxy = scripted(script.format(0), config=LOCAL, budget={"memory": "32MiB"})
    client = connect(proxy)
    for number in range(1, 6):
        proxy.edit("policy.lua", script.format(number))
        assert client.get("/").text == str(number)
    before = proxy.memory_kib()
    for number in range(6, 26):
        proxy.edit("policy.lua", script.format(number))
        assert client.get("/").text == str(number)
    assert proxy.memory_kib() - before < 6 * 1024 * 2


def test_a_new_generation_begins_with_new_state(scripted, connect):
    proxy = scripted("local n = 0 function on_request(r) n = n + 1 r:reply(200, tostring(n)) end", config=LOCAL)
    client = connect(proxy)
    assert [client.get("/").text for _ in range(3)] == ["1", "2", "3"]
    proxy.edit("policy.lua", "local n = 0 function on_request(r) n = n + 1 r:reply(200, 'new ' .. n) end")
    assert client.get("/").text == "new 1", "a new generation begins with new state"
