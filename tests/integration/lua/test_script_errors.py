# SPDX-License-Identifier: Apache-2.0
"""What the client gets when a script fails, and what a script can make of a failure."""
import pytest

FAILS = "function on_request(request) error('broken on purpose') end"
LOCAL = {"route": {"respond": {"status": 200, "body": "went on"}}}


def test_a_failing_hook_is_500_by_default(scripted, connect):
    proxy = scripted(FAILS, config=LOCAL)
    client = connect(proxy)
    response = client.get("/")
    assert (response.status, response.json()["error"]) == (500, "script_error")
    assert "purpose" not in response.text and "lua" not in response.text
    line = proxy.wait_for_log(lambda l: "broken on purpose" in str(l))
    assert "policy.lua:1" in str(line) and "policy" in str(line)
    assert proxy.wait_for_access(count=1)[0]["error"] == "script_error"
    assert client.get("/").status == 500, "the connection stays"


def test_on_error_open_goes_on_without_the_hook(scripted, connect):
    proxy = scripted(FAILS, config=LOCAL, on_error="open")
    response = connect(proxy).get("/")
    assert (response.status, response.text) == (200, "went on")
    proxy.wait_for_log(lambda l: "broken on purpose" in str(l))
    assert proxy.metrics()("proxy_script_errors_total", policy="policy", hook="on_request") == 1


@pytest.mark.parametrize("hook", ["on_request", "select_backend", "on_response"])
@pytest.mark.parametrize("mode,status", [("closed", 500), ("open", 200)])
def test_on_error_decides_in_every_hook(origin, scripted, connect, hook, mode, status):
    proxy = scripted(f"function {hook}() local nothing = nil; return nothing.field end", origin, on_error=mode)
    client = connect(proxy)
    assert client.get("/").status == status
    assert client.get("/").status == status
    assert proxy.metrics()("proxy_script_errors_total", policy="policy", hook=hook) == 2


def test_edits_made_before_the_failure_stay_when_open(origin, scripted, connect):
    proxy = scripted("""function on_request(request)
        request.headers["x-before"] = "yes"
        error("stop")
      end""", origin, on_error="open")
    assert connect(proxy).get("/").status == 200
    assert origin.last.headers.get("x-before") == "yes"


def test_a_failing_policy_does_not_spoil_the_others(origin, proxy_to, connect):
    proxy = proxy_to(origin, scripts={
        "fails.lua": FAILS, "marks.lua": "function on_request(r) r.headers['x-mark'] = 'yes' end"},
        policies={"fails": {"script": "fails.lua", "on_error": "open"}, "marks": "marks.lua"})
    assert connect(proxy).get("/").status == 200
    assert origin.last.headers.get("x-mark") == "yes"


def test_on_log_failures_hurt_nobody(origin, scripted, connect):
    proxy = scripted("function on_log() error('in log') end", origin)
    client = connect(proxy)
    for _ in range(3):
        assert client.get("/").status == 200
    proxy.wait_for_log(lambda l: "in log" in str(l))
    assert len(proxy.wait_for_access(count=3)) == 3


def test_on_error_makes_another_reply(make_origin, scripted, connect):
    origin = make_origin()
    origin.stop_listening()
    proxy = scripted("""function on_error(request, failure)
        return request:reply(503, "sorry: " .. failure.error, { ["retry-after"] = "5" })
      end""", origin)
    response = connect(proxy).get("/")
    assert (response.status, response.text) == (503, "sorry: connect_failed")
    assert response.headers.get("retry-after") == "5"
    line = proxy.wait_for_access(count=1)[0]
    assert (line["status"], line["error"]) == (503, "connect_failed")


def test_on_error_that_says_nothing_keeps_the_local_reply(make_origin, scripted, connect):
    origin = make_origin()
    origin.stop_listening()
    proxy = scripted("function on_error(request, failure) end", origin)
    assert connect(proxy).get("/").json()["error"] == "connect_failed"


def test_on_error_sees_what_went_wrong(make_origin, scripted, connect):
    origin = make_origin()
    origin.stop_listening()
    proxy = scripted("""function on_error(request, failure)
        request:reply(599, failure.error .. " " .. failure.side .. " " .. failure.status)
      end""", origin)
    assert connect(proxy).get("/").text == "connect_failed origin 502"


def test_on_error_may_answer_for_a_failing_script(proxy_to, connect):
    proxy = proxy_to(scripts={"fails.lua": FAILS, "sorry.lua": """
        function on_error(request, failure) request:reply(503, "sorry: " .. failure.error) end"""},
        policies={"sorry": "sorry.lua", "fails": "fails.lua"}, **LOCAL)
    response = connect(proxy).get("/")
    assert (response.status, response.text) == (503, "sorry: script_error")


def test_a_failing_on_error_ends_in_the_local_reply(make_origin, scripted, connect):
    origin = make_origin()
    origin.stop_listening()
    proxy = scripted("function on_error() error('and again') end", origin)
    client = connect(proxy)
    for _ in range(3):
        assert client.get("/").status in (500, 502)


def test_an_error_value_need_not_be_a_text(scripted, connect):
    for value in ("nil", "{}", "42", "true", "setmetatable({}, {__tostring = function() error('x') end})"):
        proxy = scripted(f"function on_request() error({value}) end", config=LOCAL)
        assert connect(proxy).get("/").status == 500


@pytest.mark.parametrize("what", [
    "io", "debug", "ffi", "package", "jit", "newproxy", "loadfile", "dofile", "os.execute",
    "os.exit", "os.remove", "os.getenv", "os.rename", "os.tmpname", "os.setlocale", "string.dump",
    "package and package.loadlib"])
def test_the_sandbox_holds_nothing_dangerous(scripted, connect, what):
    proxy = scripted(f"function on_request(r) r:reply(200, tostring({what})) end",
                     config={"route": {"echo": True}})
    assert connect(proxy).get("/").text == "nil"


@pytest.mark.parametrize("code", [
    'string.rep = nil', 'string.evil = 1', 'table.insert = nil', 'math.pi = 3', 'proxy.log = nil',
    'getmetatable("").__index = {}', 'rawset(string, "evil", 1)', 'os.time = nil',
    'setmetatable(string, {})', 'coroutine.wrap = nil', 'proxy.sleep = nil'])
def test_shared_tables_are_read_only(scripted, connect, code):
    proxy = scripted(f"""function on_request(r)
        local fine = pcall(function() {code} end)
        local works = ("x"):rep(3) == "xxx" and math.pi > 3.1 and type(proxy.log) ~= "nil"
          and type(os.time()) == "number" and string.evil == nil and type(table.insert) == "function"
          and type(proxy.sleep) == "function" and type(coroutine.wrap) == "function"
        r:reply(200, tostring(fine) .. " " .. tostring(works))
      end""", config={"route": {"echo": True}})
    assert connect(proxy).get("/").text == "false true"


@pytest.mark.parametrize("code", [
    'load("\\27LJ")', 'loadstring("\\27LJ")', 'load(function() return "\\27LJ" end)'])
def test_bytecode_is_not_loaded(scripted, connect, code):
    proxy = scripted(f"""function on_request(r)
        local fine, chunk = pcall(function() return (assert({code})) end)
        r:reply(200, tostring(fine)) end""", config={"route": {"echo": True}})
    assert connect(proxy).get("/").text == "false"


def test_a_trusted_policy_gets_the_whole_library(scripted, connect):
    proxy = scripted("function on_request(r) r:reply(200, type(io) .. type(os.getenv)) end", trusted=True,
                     config={"route": {"echo": True}})
    assert connect(proxy).get("/").text == "tablefunction"


def test_require_sees_the_scripts_own_folder(proxy_to, connect):
    proxy = proxy_to(scripts={"policy.lua": """
            local greet = require("greet")
            function on_request(r) r:reply(200, greet.hello(r.path)) end""",
                              "greet.lua": "return { hello = function(name) return 'hello ' .. name end }"},
                     policies={"policy": "policy.lua"}, route={"echo": True})
    assert connect(proxy).get("/you").text == "hello /you"


@pytest.mark.parametrize("module", ["../outside", "/etc/passwd", "a.b.../x", "ffi", "io", "..outside"])
def test_require_sees_nothing_else(proxy_to, connect, module):
    proxy = proxy_to(scripts={"inner/policy.lua": f"""
            function on_request(r) r:reply(200, tostring((pcall(require, "{module}")))) end""",
                              "outside.lua": "return {}"},
                     policies={"policy": "inner/policy.lua"}, route={"echo": True})
    assert connect(proxy).get("/").text == "false"


def test_log_lines_of_scripts_carry_level_and_fields(scripted, connect):
    proxy = scripted("""function on_request(r)
        proxy.log.info("from info", { number = 7, text = "t" })
        proxy.log.warn("from warn")
        proxy.log.error("from error")
        proxy.log.debug("from debug")
      end""", config=LOCAL)
    connect(proxy).get("/")
    info = proxy.wait_for_log(message="from info")
    assert (info["level"], info["number"], info["text"]) == ("info", 7, "t")
    assert proxy.wait_for_log(message="from warn")["level"] == "warn"
    assert proxy.wait_for_log(message="from error")["level"] == "error"
    assert not [line for line in proxy.log_lines if line["message"] == "from debug"]


@pytest.mark.parametrize("key", ["timestamp", "level", "message", "policy", "request_id"])
def test_the_keys_of_a_log_line_are_not_the_scripts_to_set(scripted, connect, key):
    proxy = scripted(f"""function on_request(r)
        proxy.log.warn("from a user", {{ {key} = "forged", other = 1 }}) end""", config=LOCAL)
    connect(proxy).get("/")
    line = proxy.wait_for_log(message="from a user")
    assert line.pop(f"field_{key}") == "forged" and "forged" not in line.values()
    assert (line["level"], line["policy"], line["other"]) == ("warn", "policy", 1)


def test_a_log_line_can_not_be_forged(scripted, connect):
    proxy = scripted("""function on_request(r)
        proxy.log.info('a"} \\n{"message":"forged"', { ['k"ey\\n'] = 'v"\\n' }) end""", config=LOCAL)
    connect(proxy).get("/")
    proxy.wait_for_log(lambda l: 'forged"' in l["message"])
    assert not [line for line in proxy.log_lines if line["message"] == "forged"]


def test_a_script_knows_version_and_worker(scripted, connect):
    proxy = scripted("""function on_request(r)
        r:reply(200, type(proxy.version) .. " " .. tostring(proxy.worker) .. " " .. type(proxy.now())) end""",
                     config={"route": {"echo": True}})
    assert connect(proxy).get("/").text.startswith("string ")
