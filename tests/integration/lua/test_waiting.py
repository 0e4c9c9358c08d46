# SPDX-License-Identifier: Apache-2.0
"""Hooks that wait hold up their own request and nobody else's."""
import time

import pytest

from support import scaled

SLEEPS = "function on_request(request) proxy.sleep(tonumber(request.headers['x-sleep'] or 0)) end"


def test_sleep_sleeps(scripted, connect):
    client = connect(scripted(SLEEPS, config={"route": {"respond": {"status": 200, "body": "done"}}}))
    begin = time.monotonic()
    assert client.get("/", {"X-Sleep": "0.2"}).text == "done"
    assert 0.19 < time.monotonic() - begin < scaled(1.5)


def test_a_sleeping_hook_does_not_hold_up_others(scripted, connect):
    proxy = scripted(SLEEPS, config={"route": {"respond": {"status": 200, "body": "done"}}})
    sleeper, other = connect(proxy), connect(proxy)
    sleeper.send_request("GET", "/", {"X-Sleep": "0.5"})
    begin = time.monotonic()
    for _ in range(20):
        assert other.get("/").status == 200
    assert time.monotonic() - begin < scaled(0.45)
    assert sleeper.response().status == 200


def test_sleeps_run_side_by_side(scripted, connect):
    proxy = scripted(SLEEPS, config={"route": {"respond": {"status": 200, "body": "done"}}})
    clients = [connect(proxy) for _ in range(30)]
    begin = time.monotonic()
    for client in clients:
        client.send_request("GET", "/", {"X-Sleep": "0.2"})
    assert [client.response().status for client in clients] == [200] * 30
    assert time.monotonic() - begin < scaled(2), "thirty sleeps of 0.2 s one after another are six"


def test_a_hook_that_waits_too_long_is_ended(scripted, connect):
    proxy = scripted(SLEEPS, config={"route": {"respond": {"status": 200, "body": "done"}}},
                     budget={"time": "200ms"})
    client = connect(proxy)
    begin = time.monotonic()
    response = client.get("/", {"X-Sleep": "30"})
    assert (response.status, response.json()["error"]) == (500, "script_time")
    assert time.monotonic() - begin < scaled(3)
    assert client.get("/").text == "done"


def test_waiting_is_not_counted_as_cpu(scripted, connect):
    proxy = scripted("function on_request() for _ = 1, 20 do proxy.sleep(0.01) end end",
                     budget={"cpu": "10ms"},
                     config={"route": {"respond": {"status": 200, "body": "done"}}})
    assert connect(proxy).get("/").text == "done"


def test_a_client_that_leaves_ends_the_wait(scripted, connect):
    proxy = scripted(SLEEPS, config={"route": {"respond": {"status": 200, "body": "done"}}})
    client = connect(proxy)
    client.send_request("GET", "/left", {"X-Sleep": "20"})
    client.reset()
    assert proxy.wait_for_access(path="/left")["error"] == "client_closed"


def test_a_coroutine_of_the_scripts_own_may_wait(scripted, connect):
    proxy = scripted("""function on_request(request)
        local steps = {}
        local co = coroutine.wrap(function()
          for n = 1, 3 do
            proxy.sleep(0.01)
            coroutine.yield(n)
          end
        end)
        for _ = 1, 3 do steps[#steps + 1] = tostring(co()) end
        request:reply(200, table.concat(steps, ","))
      end""", config={"route": {"echo": True}})
    assert connect(proxy).get("/").text == "1,2,3"


def test_a_protected_call_may_wait(scripted, connect):
    proxy = scripted("""function on_request(request)
        local fine, value = pcall(function() proxy.sleep(0.02); return "slept" end)
        local failed, message = pcall(function() proxy.sleep(0.02); error("after sleep", 0) end)
        request:reply(200, tostring(fine) .. value .. tostring(failed) .. message)
      end""", config={"route": {"echo": True}})
    assert connect(proxy).get("/").text == "truesleptfalseafter sleep"


@pytest.mark.parametrize("argument", ["'x'", "-1", "nil", "0/0", "math.huge", "{}"])
def test_a_wrong_sleep_raises(scripted, connect, argument):
    proxy = scripted(f"""function on_request(request)
        request:reply(200, tostring((pcall(proxy.sleep, {argument}))))
      end""", config={"route": {"echo": True}}, budget={"time": "2s"})
    assert connect(proxy).get("/").text == "false"


def test_pipelined_requests_behind_a_sleeping_one_wait_for_their_turn(scripted, connect):
    proxy = scripted("""function on_request(request)
        if request.path == "/slow" then proxy.sleep(0.15) end
        request:reply(200, request.path)
      end""", config={"route": {"echo": True}})
    client = connect(proxy)
    client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET /fast HTTP/1.1\r\nHost: a\r\n\r\n")
    assert [client.response().text, client.response().text] == ["/slow", "/fast"]
