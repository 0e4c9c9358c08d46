# SPDX-License-Identifier: Apache-2.0
"""Requests are shared among endpoints as configured, exactly."""
import threading

from support import eventually


def share(client, origins, count):
    for number in range(count):
        assert client.get(f"/{number}").status == 200
    return [len(origin.requests) for origin in origins]


def test_round_robin_takes_turns(make_origin, proxy_to, connect):
    origins = [make_origin(name) for name in "abc"]
    client = connect(proxy_to(*origins))
    assert share(client, origins, 30) == [10, 10, 10]
    order = sorted((int(path[1:]), number) for number, origin in enumerate(origins) for path in origin.paths())
    turns = [number for _, number in order]
    assert all(turns[i] == turns[i % 3] for i in range(30)), turns


def test_round_robin_is_not_upset_by_many_clients(make_origin, proxy_to, connect):
    origins = [make_origin(name) for name in "ab"]
    proxy = proxy_to(*origins)
    for _ in range(10):
        assert connect(proxy).get("/").status == 200
    assert [len(origin.requests) for origin in origins] == [5, 5]


def test_weights_are_kept_exactly(make_origin, proxy_to, connect):
    origins = [make_origin(name) for name in "abc"]
    endpoints = [{"url": o.url, "weight": w} for o, w in zip(origins, (5, 2, 1))]
    client = connect(proxy_to(*endpoints, cluster={"balancer": "weighted"}))
    assert share(client, origins, 80) == [50, 20, 10]


def test_weighted_is_smooth(make_origin, proxy_to, connect):
    """A heavy endpoint does not get its share in one run."""
    origins = [make_origin(name) for name in "ab"]
    endpoints = [{"url": o.url, "weight": w} for o, w in zip(origins, (3, 1))]
    client = connect(proxy_to(*endpoints, cluster={"balancer": "weighted"}))
    for _ in range(5):
        before = len(origins[1].requests)
        for _ in range(4):
            client.get("/")
        assert len(origins[1].requests) == before + 1


def test_weight_zero_gets_nothing(make_origin, proxy_to, connect):
    origins = [make_origin(name) for name in "ab"]
    endpoints = [{"url": o.url, "weight": w} for o, w in zip(origins, (1, 0))]
    client = connect(proxy_to(*endpoints, cluster={"balancer": "weighted"}))
    assert share(client, origins, 10) == [10, 0]


def test_the_log_names_cluster_and_endpoint(origin, proxy_to, connect):
    proxy = proxy_to(origin)
    connect(proxy).get("/")
    line = proxy.wait_for_access(count=1)[0]
    assert (line["cluster"], line["endpoint"], line["attempts"]) == ("origin", origin.address, 1)


def test_a_host_name_is_resolved(origin, proxy_to, connect):
    proxy = proxy_to(f"http://localhost:{origin.port}", route={"host": "origin"})
    assert connect(proxy).get("/").status == 200
    assert origin.last.headers.get("host") == f"localhost:{origin.port}"


def test_every_balancer_serves_and_spreads(make_origin, proxy_to, connect):
    origins = [make_origin(name) for name in "abc"]
    for balancer in ("random", "least_connections", "p2c", "ewma"):
        before = [len(origin.requests) for origin in origins]
        client = connect(proxy_to(*origins, cluster={"balancer": balancer}))
        share(client, origins, 60)
        assert all(len(o.requests) > b for o, b in zip(origins, before)), balancer


def test_a_hash_key_stays_with_its_endpoint(make_origin, proxy_to, connect):
    origins = [make_origin(name) for name in "abcd"]
    client = connect(proxy_to(*origins, cluster={"balancer": "consistent_hash", "hash_on": "header:X-Tenant"}))
    homes = {}
    for number in range(120):
        tenant = f"tenant-{number % 40}"
        before = [len(origin.requests) for origin in origins]
        assert client.get("/", {"X-Tenant": tenant}).status == 200
        home = next(i for i, o in enumerate(origins) if len(o.requests) > before[i])
        assert homes.setdefault(tenant, home) == home
    assert len(set(homes.values())) == 4


def test_least_connections_keeps_off_a_busy_endpoint(make_origin, proxy_to, connect):
    release = threading.Event()
    origins = [make_origin(name) for name in "ab"]
    for origin in origins:
        origin.on("/slow", lambda exchange: (exchange.wait(release), exchange.reply()))
    proxy = proxy_to(*origins, cluster={"balancer": "least_connections"})
    slow = connect(proxy)
    slow.send_request("GET", "/slow")
    eventually(lambda: sum(len(o.requests) for o in origins) == 1)
    idle = next(o for o in origins if not o.requests)
    share(connect(proxy), origins, 20)
    assert len(idle.requests) == 20
    release.set()
    assert slow.response().status == 200


def test_the_locality_is_preferred(make_origin, proxy_to, connect):
    origins = [make_origin(name) for name in "abc"]
    endpoints = [{"url": o.url, "tags": {"zone": z}} for o, z in zip(origins, ("eu", "us", "eu"))]
    client = connect(proxy_to(*endpoints, cluster={"locality": {"tag": "zone", "value": "eu"}}))
    assert share(client, origins, 10) == [5, 0, 5]
