# SPDX-License-Identifier: Apache-2.0
"""Endpoints that come, go and come back while the proxy serves: checks follow them, and who comes back
is given its share little by little."""
import json

import pytest

from support import config_for, eventually

CHECK = {"interval": "20ms", "timeout": "5s", "healthy_after": 2, "unhealthy_after": 3}
SETTER = """
function on_request(request)
  if request.path ~= "/set" then return end
  proxy.cluster("origin"):set_endpoints(proxy.json.decode(request:body()))
  request:reply(200, "")
end"""


def sick(origin):
    origin.on("/health", lambda exchange: exchange.reply(500), may_break=True)


def well(origin):
    origin.on("/health", lambda exchange: exchange.reply(200), may_break=True)


def checks(origin):
    return origin.paths().count("/health")


def served(origin):
    return len(origin.requests) - checks(origin)


def shares(client, origins, count):
    """How many of so many requests each of them gets."""
    before = [served(origin) for origin in origins]
    for _ in range(count):
        assert client.get("/").status == 200
    return [served(origin) - was for origin, was in zip(origins, before)]


@pytest.fixture
def make_well(make_origin):
    """Origins that checks find well."""
    def make(name):
        origin = make_origin(name)
        well(origin)
        return origin
    return make


@pytest.fixture(params=["script-h1", "file-h2"])
def way(request):
    """How endpoints are changed, and the protocol that they speak: the pairs say what the product would."""
    return request.param


@pytest.fixture
def protocol(request):
    return request.getfixturevalue("way")[-2:] if "way" in request.fixturenames else "h1"


@pytest.fixture
def changing(way, protocol, tidegate, proxy_to):
    """(proxy, change) of a cluster whose endpoints `change(*origins)` sets: `changing(origin)`."""
    def start(*origins, **cluster):
        if way.startswith("script"):
            proxy = proxy_to(*origins, cluster=cluster, policies={"setter": {"script": "setter.lua", "clusters": ["origin"]}},
                             scripts={"setter.lua": SETTER})
        else:
            by_file = {"origin": {"protocol": protocol, "file": "endpoints.yaml", **cluster}}
            proxy = tidegate(config_for(route={"cluster": "origin"}, clusters=by_file),
                             {"endpoints.yaml": listed(*origins)})

        def change(*to):
            since = len(proxy.log_lines)
            if way.startswith("script"):
                with proxy.client() as client:
                    assert client.post("/set", listed(*to).encode()).status == 200
            else:
                proxy.write_script("endpoints.yaml", listed(*to))
            proxy.wait_for_log(message="endpoints changed", since=since)
        return proxy, change
    return start


def listed(*origins):
    return json.dumps([origin.url for origin in origins])


# -- checks -------------------------------------------------------------------------------------------
def test_an_endpoint_that_comes_is_checked_and_taken_out_while_it_is_ill(make_well, changing, connect):
    good, bad = make_well("good"), make_well("bad")
    sick(bad)
    proxy, change = changing(good, health_check=CHECK)
    client = connect(proxy)
    change(good, bad)
    proxy.wait_for_log(message="endpoint is unhealthy", endpoint=bad.address, reason="status 500")
    assert shares(client, [good, bad], 6) == [6, 0]
    assert proxy.metrics()("proxy_endpoint_healthy", endpoint=bad.address) == 0
    well(bad)
    proxy.wait_for_log(message="endpoint is healthy", endpoint=bad.address)
    assert shares(client, [good, bad], 6) == [3, 3]


def test_an_endpoint_that_came_falls_ill_as_any_other(make_well, changing, connect):
    first, second = make_well("first"), make_well("second")
    proxy, change = changing(first, health_check=CHECK)
    client = connect(proxy)
    change(first, second)
    eventually(lambda: shares(client, [first, second], 2) == [1, 1])
    eventually(lambda: checks(second) >= 2)
    sick(second)
    proxy.wait_for_log(message="endpoint is unhealthy", endpoint=second.address)
    assert shares(client, [first, second], 6) == [6, 0]


def test_an_endpoint_that_goes_is_no_longer_checked(make_well, changing, connect):
    stays, goes = make_well("stays"), make_well("goes")
    proxy, change = changing(stays, goes, health_check=CHECK)
    eventually(lambda: checks(goes) >= 2 and checks(stays) >= 2)
    change(stays)
    # The check that was under way may still arrive, so counted is from a round later.
    now = checks(stays)
    eventually(lambda: checks(stays) >= now + 2)
    known = checks(goes)
    eventually(lambda: checks(stays) >= now + 7)
    assert checks(goes) == known
    assert shares(connect(proxy), [stays, goes], 4) == [4, 0]
    assert proxy.metrics()("proxy_endpoint_healthy", endpoint=goes.address, default="gone") == "gone"


def test_an_ill_endpoint_that_goes_and_comes_again_is_judged_anew(make_well, changing, connect):
    good, bad = make_well("good"), make_well("bad")
    sick(bad)
    proxy, change = changing(good, bad, health_check=CHECK)
    proxy.wait_for_log(message="endpoint is unhealthy", endpoint=bad.address)
    change(good)
    well(bad)
    known = checks(bad)
    change(good, bad)
    eventually(lambda: checks(bad) > known)
    client = connect(proxy)
    eventually(lambda: shares(client, [good, bad], 2) == [1, 1])


# -- slow start ---------------------------------------------------------------------------------------
def drained_and_enabled(proxy, origin):
    path = f"/clusters/origin/endpoints/{origin.address}"
    assert proxy.admin(path + "/drain", "POST").status == 200
    assert proxy.admin(path + "/enable", "POST").status == 200


def ill_and_well_again(proxy, origin):
    sick(origin)
    proxy.wait_for_log(message="endpoint is unhealthy", endpoint=origin.address)
    well(origin)
    proxy.wait_for_log(message="endpoint is healthy", endpoint=origin.address)


# Of 100 requests 50 are an even share. The first come at a tenth of that, and few seconds of a minute do
# not make it much more.
WELL_BELOW = 25


@pytest.mark.parametrize("balancer", ["round_robin", "weighted", "least_connections", "p2c"])
def test_an_endpoint_that_was_drained_gets_its_share_little_by_little(make_well, proxy_to, connect, balancer):
    origins = [make_well(name) for name in "ab"]
    proxy = proxy_to(*origins, cluster={"balancer": balancer, "slow_start": "1m"})
    client = connect(proxy)
    assert shares(client, origins, 100)[1] > WELL_BELOW, "all are warm at the start"
    drained_and_enabled(proxy, origins[1])
    assert shares(client, origins, 100)[1] < WELL_BELOW


def test_an_endpoint_that_recovers_gets_its_share_little_by_little(make_well, proxy_to, connect):
    origins = [make_well(name) for name in "ab"]
    proxy = proxy_to(*origins, cluster={"slow_start": "1m", "health_check": CHECK})
    client = connect(proxy)
    assert shares(client, origins, 100) == [50, 50]
    ill_and_well_again(proxy, origins[1])
    assert 0 < shares(client, origins, 100)[1] < WELL_BELOW


def test_an_endpoint_that_comes_gets_its_share_little_by_little(make_well, changing, connect):
    origins = [make_well(name) for name in "ab"]
    proxy, change = changing(origins[0], slow_start="1m")
    change(*origins)
    client = connect(proxy)
    eventually(lambda: shares(client, origins, 10)[1])
    assert 0 < shares(client, origins, 100)[1] < WELL_BELOW


def test_a_slow_start_ends(make_well, proxy_to, connect):
    origins = [make_well(name) for name in "ab"]
    proxy = proxy_to(*origins, cluster={"slow_start": "300ms"})
    client = connect(proxy)
    drained_and_enabled(proxy, origins[1])
    eventually(lambda: shares(client, origins, 20) == [10, 10])


def test_without_slow_start_the_share_is_there_at_once(make_well, proxy_to, connect):
    origins = [make_well(name) for name in "ab"]
    proxy = proxy_to(*origins)
    client = connect(proxy)
    drained_and_enabled(proxy, origins[1])
    assert shares(client, origins, 100) == [50, 50]
