# SPDX-License-Identifier: Apache-2.0
"""Requests are shared among endpoints as configured, exactly."""


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
