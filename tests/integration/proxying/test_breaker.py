# SPDX-License-Identifier: Apache-2.0
"""Endpoints that fail are taken out of use, tried again, and used again."""
import threading
import time

import pytest

from support import config_for, eventually, scaled

BREAKER = {"max_failures": 3, "recovery_timeout": "60s"}


def cluster(**breaker):
    return {"breaker": {**BREAKER, **breaker}}


def fail_with(status):
    return lambda exchange: exchange.reply(status)


def state(proxy, origin):
    endpoints = proxy.admin("/breakers").json()["clusters"][0]["breakers"]
    return next(e for e in endpoints if e["endpoint"] == origin.address)


def test_an_endpoint_that_refuses_is_no_longer_asked(make_origin, proxy_to, connect):
    good, bad = make_origin("good"), make_origin("bad")
    proxy = proxy_to(good, bad, cluster=cluster())
    client = connect(proxy)
    bad.stop_listening()
    statuses = [client.get("/").status for _ in range(30)]
    assert statuses.count(502) == 3 and statuses[6:] == [200] * 24
    assert state(proxy, bad)["state"] == "open"
    assert state(proxy, bad)["last_failure"] == "connect_failed"
    assert state(proxy, good) == {"endpoint": good.address, "state": "closed", "failures": 0, "opened": 0}
    metrics = proxy.metrics()
    assert metrics("proxy_breaker_state", endpoint=bad.address) == 1
    assert metrics("proxy_breaker_failures", endpoint=bad.address) == 3
    when = metrics("proxy_breaker_last_failure_timestamp_seconds", endpoint=bad.address,
                   failure="connect_failed")
    assert abs(time.time() - when) < scaled(10)
    assert metrics("proxy_breaker_failures", endpoint=good.address) == 0
    assert metrics("proxy_breaker_opened_total", endpoint=bad.address) == 1
    assert metrics("proxy_breaker_state", endpoint=good.address) == 0


@pytest.mark.parametrize("fault", ["status", "reset", "nonsense", "timeout"])
def test_what_counts_as_a_failure(make_origin, proxy_to, connect, fault):
    good, bad = make_origin("good"), make_origin("bad")
    release = threading.Event()
    bad.otherwise({"status": fail_with(503), "reset": lambda e: e.reset(),
                   "nonsense": lambda e: (e.send("nonsense\r\n\r\n"), e.close()),
                   "timeout": lambda e: (e.wait(release), e.close())}[fault], may_break=True)
    proxy = proxy_to(good, bad, cluster=cluster(), route={"timeout": "100ms"})
    for _ in range(12):
        connect(proxy).get("/")
    assert len(bad.requests) == 3
    assert state(proxy, bad)["state"] == "open"
    release.set()


def test_other_statuses_do_not_count_unless_named(make_origin, proxy_to, connect):
    for status, named, opens in ((500, None, False), (404, None, False), (500, "500-599", True)):
        good, bad = make_origin("good"), make_origin("bad")
        bad.otherwise(fail_with(status))
        extra = {"failure_status": named} if named else {}
        proxy = proxy_to(good, bad, cluster=cluster(**extra))
        client = connect(proxy)
        for _ in range(12):
            client.get("/")
        assert (len(bad.requests) == 3) == opens


def test_all_open_is_503_at_once_and_says_when_to_come_back(origin, proxy_to, connect):
    origin.otherwise(fail_with(503))
    proxy = proxy_to(origin, cluster=cluster())
    client = connect(proxy)
    assert [client.get("/").status for _ in range(3)] == [503] * 3
    refused = client.get("/")
    assert (refused.status, refused.json()["error"]) == (503, "breaker_open")
    assert 50 <= int(refused.headers.get("retry-after")) <= 60
    assert len(origin.requests) == 3
    assert proxy.metrics()("proxy_errors_total", error="breaker_open") == 1


def test_a_trial_closes_it_again(make_origin, proxy_to, connect):
    good, bad = make_origin("good"), make_origin("bad")
    bad.otherwise(fail_with(503))
    proxy = proxy_to(good, bad, cluster=cluster(recovery_timeout="100ms"))
    client = connect(proxy)
    while state(proxy, bad)["state"] == "closed":
        client.get("/")
    bad.otherwise(lambda exchange: exchange.reply(200))
    eventually(lambda: client.get("/") and state(proxy, bad)["state"] == "closed")
    proxy.wait_for_log(message="breaker opened", endpoint=bad.address, last_failure="503")
    proxy.wait_for_log(message="breaker closed", endpoint=bad.address)


def test_only_one_trial_runs_at_a_time_and_a_client_that_leaves_gives_it_back(origin, proxy_to, connect):
    release = threading.Event()
    origin.otherwise(fail_with(503))
    proxy = proxy_to(origin, cluster=cluster(recovery_timeout="50ms"))
    client = connect(proxy)
    for _ in range(3):
        client.get("/")
    origin.otherwise(lambda e: (e.wait(release), e.reply()), may_break=True)
    trial = connect(proxy)
    eventually(lambda: state(proxy, origin).get("open_for_s") == 0)
    trial.send_request("GET", "/trial")
    origin.wait_for_requests(4)
    assert state(proxy, origin)["state"] == "half_open"
    assert client.get("/").json()["error"] == "breaker_open"
    trial.close()
    release.set()
    eventually(lambda: client.get("/").status == 200)
    assert state(proxy, origin)["state"] == "closed"


def hangs_in_head(release):
    return lambda exchange: (exchange.send("HTTP/1.1 200 OK\r\nContent-"), exchange.wait(release), exchange.close())


def hangs_before_head(release):
    return lambda exchange: (exchange.wait(release), exchange.close())


@pytest.mark.parametrize("hangs", [hangs_before_head, hangs_in_head])
@pytest.mark.parametrize("trials", [1, 3])
def test_o28_a_trial_that_hangs_keeps_the_others_out_only_so_long(origin, proxy_to, connect, hangs, trials):
    release = threading.Event()
    origin.otherwise(fail_with(503))
    proxy = proxy_to(origin, route={"timeout": "60s"}, cluster=cluster(
        recovery_timeout="50ms", trial_timeout="300ms", half_open_requests=trials))
    client = connect(proxy)
    for _ in range(3):
        client.get("/")
    origin.otherwise(hangs(release), may_break=True)
    eventually(lambda: state(proxy, origin).get("open_for_s") == 0)
    for _ in range(trials):
        connect(proxy).send_request("GET", "/")
    origin.wait_for_requests(3 + trials)
    assert client.get("/").json()["error"] == "breaker_open"
    origin.otherwise(lambda exchange: exchange.reply(200))
    eventually(lambda: [client.get("/").status for _ in range(trials)] == [200] * trials)
    assert state(proxy, origin)["state"] == "closed"
    release.set()


def test_at_most_a_share_of_the_cluster_is_ejected(make_origin, proxy_to, connect):
    origins = [make_origin(name) for name in "abcd"]
    for origin in origins:
        origin.otherwise(fail_with(503))
    proxy = proxy_to(*origins, cluster=cluster(max_ejected="50%"))
    client = connect(proxy)
    assert all(b"breaker_open" not in client.get("/").body for _ in range(40))
    assert [state(proxy, origin)["state"] for origin in origins].count("open") == 2


def test_without_the_key_nothing_is_ejected(make_origin, proxy_to, connect):
    good, bad = make_origin("good"), make_origin("bad")
    bad.otherwise(fail_with(503))
    proxy = proxy_to(good, bad)
    client = connect(proxy)
    for _ in range(40):
        client.get("/")
    assert len(bad.requests) == 20
    assert proxy.admin("/breakers").json() == {"clusters": []}


@pytest.mark.workers
def test_workers_share_what_they_learn(make_origin, proxy_to, connect):
    good, bad = make_origin("good"), make_origin("bad")
    bad.otherwise(fail_with(503))
    proxy = proxy_to(good, bad, cluster=cluster(max_failures=10), workers=2)
    clients = [connect(proxy) for _ in range(16)]
    threads = [threading.Thread(target=lambda c=c: [c.get("/") for _ in range(25)]) for c in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 10 <= len(bad.requests) <= 10 + len(clients)
    assert state(proxy, bad)["opened"] == 1


def test_admin_resets_a_breaker(make_origin, proxy_to, connect):
    good, bad = make_origin("good"), make_origin("bad")
    bad.otherwise(fail_with(503))
    proxy = proxy_to(good, bad, cluster=cluster())
    client = connect(proxy)
    for _ in range(12):
        client.get("/")
    reply = proxy.admin(f"/breakers/origin/{bad.address}/reset", "POST")
    assert (reply.status, reply.json()["state"]) == (200, "closed")
    bad.otherwise(lambda exchange: exchange.reply(200))
    seen = len(bad.requests)
    for _ in range(4):
        client.get("/")
    assert len(bad.requests) == seen + 2
    assert proxy.admin("/breakers/origin/10.0.0.1:1/reset", "POST").status == 404
    assert proxy.admin(f"/breakers/other/{bad.address}/reset", "POST").status == 404


def test_admin_drains_and_enables_an_endpoint(make_origin, proxy_to, connect):
    origins = [make_origin(name) for name in "ab"]
    proxy = proxy_to(*origins)
    client = connect(proxy)
    path = f"/clusters/origin/endpoints/{origins[0].address}"
    drained = proxy.admin(path + "/drain", "POST")
    assert (drained.status, drained.json()["draining"]) == (200, True)
    for _ in range(10):
        assert client.get("/").status == 200
    assert [len(o.requests) for o in origins] == [0, 10]
    assert proxy.admin(path + "/enable", "POST").json()["available"] is True
    for _ in range(10):
        client.get("/")
    assert [len(o.requests) for o in origins] == [5, 15]
    assert proxy.admin(path + "/drain").status == 405
    assert proxy.admin("/clusters/origin/endpoints/nowhere:1/drain", "POST").status == 404


def test_changing_endpoints_needs_the_admin_token(origin, proxy_to):
    proxy = proxy_to(origin, cluster=cluster(), admin={"address": "127.0.0.1:0", "token": "s3cret"})
    for path in (f"/clusters/origin/endpoints/{origin.address}/drain", f"/breakers/origin/{origin.address}/reset"):
        assert proxy.admin(path, "POST").status == 401


def test_scripts_see_and_reset_breakers(make_origin, scripted, connect):
    good, bad = make_origin("good"), make_origin("bad")
    bad.otherwise(fail_with(503))
    client = connect(scripted("""function select_backend(request, cluster)
        if request.path == "/look" then
          local b, c = cluster.endpoints[2].breaker, cluster.breaker
          request.headers["x-seen"] = table.concat({ b.state, b.failures, b.last_failure, c.open, c.closed,
            tostring(cluster.endpoints[2].available), tostring(cluster.endpoints[1].breaker.last_failure) }, " ")
        elseif request.path == "/reset" then
          cluster.endpoints[2].breaker:reset()
          return cluster.endpoints[1]
        end
      end""", good, bad, clusters=["origin"], config={"cluster": cluster()}))
    for _ in range(10):
        client.get("/")
    client.get("/look")
    assert good.last.headers.get("x-seen") == "open 3 503 1 1 false nil"
    client.get("/reset")
    client.get("/")
    client.get("/")
    assert len(bad.requests) == 4


def test_a_script_that_chooses_an_ejected_endpoint_gets_another(make_origin, scripted, connect):
    good, bad = make_origin("good"), make_origin("bad")
    bad.otherwise(fail_with(503))
    client = connect(scripted("function select_backend(_, cluster) return cluster.endpoints[2] end", good, bad,
                              config={"cluster": cluster()}))
    assert [client.get("/").status for _ in range(6)] == [503] * 3 + [200] * 3


def test_breakers_keep_their_state_over_a_reload_unless_they_are_taken_away(make_origin, proxy_to, connect):
    good, bad = make_origin("good"), make_origin("bad")
    bad.otherwise(fail_with(503))
    proxy = proxy_to(good, bad, cluster=cluster())
    client = connect(proxy)
    for _ in range(12):
        client.get("/")
    assert proxy.admin("/reload", "POST").status == 200
    assert state(proxy, bad)["state"] == "open"
    config = config_for(good, bad)
    proxy.write_config(config)
    assert proxy.admin("/reload", "POST").status == 200
    seen = len(bad.requests)
    for _ in range(4):
        client.get("/")
    assert len(bad.requests) == seen + 2
