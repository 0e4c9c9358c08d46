# SPDX-License-Identifier: Apache-2.0
"""select_backend: a script picks the endpoint, or leaves it to the balancer."""
import threading

import pytest

from support import eventually


def three(make_origin):
    return [make_origin(name) for name in ("a", "b", "c")]


def endpoints(origins):
    return [{"url": o.url, "weight": n + 1, "tags": {"zone": o.name}} for n, o in enumerate(origins)]


def test_an_endpoint_handle_is_chosen(make_origin, scripted, connect):
    origins = three(make_origin)
    proxy = scripted("""function select_backend(request, cluster)
        for _, endpoint in ipairs(cluster.endpoints) do
          if endpoint.tags.zone == request.headers["x-zone"] then return endpoint end
        end
      end""", *endpoints(origins))
    client = connect(proxy)
    for zone in "bbbac":
        assert client.get("/", {"X-Zone": zone}).status == 200
    assert [len(origin.requests) for origin in origins] == [1, 3, 1]


def test_an_address_is_chosen(make_origin, scripted, connect):
    origins = three(make_origin)
    proxy = scripted("function select_backend(r) return r.headers['x-to'] end", *endpoints(origins))
    client = connect(proxy)
    for _ in range(3):
        client.get("/", {"X-To": origins[2].address})
    assert [len(origin.requests) for origin in origins] == [0, 0, 3]


def test_nil_leaves_it_to_the_balancer(make_origin, scripted, connect):
    origins = three(make_origin)
    client = connect(scripted("function select_backend() return nil end", *endpoints(origins)))
    for _ in range(6):
        client.get("/")
    assert [len(origin.requests) for origin in origins] == [1, 2, 3]  # as their weights


def test_the_last_policy_that_chooses_wins_over_nil(make_origin, proxy_to, connect):
    origins = three(make_origin)
    proxy = proxy_to(*endpoints(origins), scripts={
        "choose.lua": "function select_backend(_, cluster) return cluster.endpoints[2] end",
        "pass.lua": "function select_backend() end"},
        policies={"choose": "choose.lua", "pass": "pass.lua"})
    client = connect(proxy)
    for _ in range(3):
        client.get("/")
    assert [len(origin.requests) for origin in origins] == [0, 3, 0]


@pytest.mark.parametrize("answer, named", [
    ("'10.255.255.1:9'", "'10.255.255.1:9'"), ("'nonsense'", "'nonsense'"), ("42", "a number"), ("{}", "a table"),
    ("true", "a boolean"), ("cluster", "a userdata")])
def test_what_is_no_endpoint_of_the_cluster_is_a_script_error(make_origin, scripted, connect, answer, named):
    origins = three(make_origin)
    proxy = scripted(f"function select_backend(request, cluster) return {answer} end", *endpoints(origins))
    response = connect(proxy).get("/")
    assert (response.status, response.json()["error"]) == (500, "script_error")
    assert all(not origin.requests for origin in origins)
    said = proxy.wait_for_log(message="a hook failed")["detail"]
    assert said.startswith(f"policy.lua:1: select_backend returned {named}; it must return an endpoint of cluster 'origin'")


def test_a_script_sees_the_cluster(make_origin, scripted, connect):
    origins = three(make_origin)
    proxy = scripted("""function select_backend(request, cluster)
        local seen = { cluster.name, tostring(cluster.healthy), #cluster.endpoints }
        for _, e in ipairs(cluster.endpoints) do
          seen[#seen + 1] = table.concat({ e.address, e.weight, e.tags.zone, tostring(e.available),
            tostring(e.healthy), e.active, type(e.latency) }, "|")
        end
        request.headers["x-seen"] = table.concat(seen, " ")
      end""", *endpoints(origins))
    connect(proxy).get("/")
    seen = next(o for o in origins if o.requests).last.headers.get("x-seen").split(" ")
    assert seen[:3] == ["origin", "true", "3"]
    assert seen[3:] == [f"{o.address}|{n + 1}|{o.name}|true|true|0|number" for n, o in enumerate(origins)]


def test_a_script_sees_what_was_tried_and_which_attempt_it_is(make_origin, scripted, connect):
    origins = three(make_origin)
    proxy = scripted("""function select_backend(request, cluster)
        local tried = 0
        for _, e in ipairs(cluster.endpoints) do
          if request.tried[e.address] then tried = tried + 1 end
        end
        request.headers["x-seen"] = request.attempt .. " " .. tried
      end""", *endpoints(origins))
    connect(proxy).get("/")
    assert next(o for o in origins if o.requests).last.headers.get("x-seen") == "1 0"


def test_active_counts_what_runs(make_origin, scripted, connect):
    release = threading.Event()
    origins = three(make_origin)
    for origin in origins:
        origin.on("/slow", lambda exchange: (exchange.wait(release), exchange.reply()))
    proxy = scripted("""function select_backend(request, cluster)
        local best
        for _, e in ipairs(cluster.endpoints) do
          if not best or e.active < best.active then best = e end
        end
        return best
      end""", *endpoints(origins))
    clients = [connect(proxy) for _ in range(6)]
    for number, client in enumerate(clients):
        client.send_request("GET", "/slow")
        _wait_for_total(origins, number + 1)
    assert [len(origin.requests) for origin in origins] == [2, 2, 2]
    release.set()
    assert [client.response().status for client in clients] == [200] * 6


def _wait_for_total(origins, count):
    eventually(lambda: sum(len(o.requests) for o in origins) == count)


def test_pick_asks_the_balancer(make_origin, scripted, connect):
    origins = three(make_origin)
    proxy = scripted("function select_backend(request, cluster) return cluster:pick() end", *endpoints(origins))
    client = connect(proxy)
    for _ in range(6):
        assert client.get("/").status == 200
    assert [len(origin.requests) for origin in origins] == [1, 2, 3]  # as their weights


def test_select_backend_may_wait(make_origin, scripted, connect):
    origins = three(make_origin)
    proxy = scripted("""function select_backend(request, cluster)
        proxy.sleep(0.02)
        return cluster.endpoints[3]
      end""", *endpoints(origins))
    client = connect(proxy)
    assert client.post("/", b"body").status == 200
    assert origins[2].last.body == b"body"


def test_handles_of_an_earlier_request_are_dead(make_origin, scripted, connect):
    origins = three(make_origin)
    proxy = scripted("""
        local kept
        function select_backend(request, cluster)
          if kept then
            local fine = pcall(function() return kept.endpoints end)
            request.headers["x-alive"] = tostring(fine)
          end
          kept = cluster
        end""", *endpoints(origins))
    client = connect(proxy)
    client.get("/")
    client.get("/")
    assert origins[1].last.headers.get("x-alive") == "false"


def test_a_chosen_endpoint_that_refuses_is_502_and_says_which(make_origin, scripted, connect):
    origins = three(make_origin)
    origins[0].stop_listening()
    proxy = scripted("function select_backend(_, cluster) return cluster.endpoints[1] end", *endpoints(origins))
    assert connect(proxy).get("/").status == 502
    assert proxy.wait_for_access(status=502)["endpoint"] == origins[0].address
