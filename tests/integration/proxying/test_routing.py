# SPDX-License-Identifier: Apache-2.0
"""Which route a request takes."""
import contextlib

import pytest

from support import Client, Proxy, config_for


def answer(name, **match):
    return {"name": name, "match": match, "respond": {"status": 200, "body": name}}


ROUTES = [
    answer("any-prefix", path_prefix="/"),
    answer("api", path_prefix="/api"),
    answer("api-v2", path_prefix="/api/v2"),
    answer("exact", path="/api/v2/exact"),
    answer("slashed", path_prefix="/slashed/"),
    answer("host-exact", hosts=["shop.example.com"], path_prefix="/"),
    answer("host-exact-api", hosts=["shop.example.com"], path_prefix="/api"),
    answer("host-wild", hosts=["*.example.com"], path_prefix="/"),
    answer("host-wilder", hosts=["*.deep.example.com"], path_prefix="/"),
    answer("host-two", hosts=["one.example.org", "two.example.org"]),
    answer("first", path="/order", methods=["GET"]),
    answer("second", path="/order"),
    answer("post", path="/methods", methods=["POST", "PUT"]),
    answer("get", path="/methods", methods=["GET"]),
    answer("beta", path="/beta", headers={"x-beta": "1"}),
    answer("beta-both", path="/beta", headers={"X-Beta": "2", "x-more": "yes"}),
    answer("inner", path="/where", listener="inner"),
]


@pytest.fixture(scope="module")
def proxy():
    config = config_for(routes=ROUTES)
    config["listeners"].append({"name": "inner", "address": "127.0.0.1:0"})
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(Proxy(config))


def route_of(proxy, target, headers=(), method="GET", listener="public"):
    with Client(proxy.port(listener)) as client:
        return client.request(method, target, headers).text


@pytest.mark.parametrize("target,expected", [
    ("/", "any-prefix"),
    ("/other", "any-prefix"),
    ("/api", "api"),
    ("/api/", "api"),
    ("/api?x", "api"),
    ("/api/users", "api"),
    ("/apix", "any-prefix"),
    ("/api-v2", "any-prefix"),
    ("/API", "any-prefix"),
    ("/api/v2", "api-v2"),
    ("/api/v2/x", "api-v2"),
    ("/api/v20", "api"),
    ("/api/v2/exact", "exact"),
    ("/api/v2/exact/", "api-v2"),
    ("/api/v2/exact?q=1", "exact"),
    ("/api/v2/x/../exact", "exact"),
    ("/slashed/x", "slashed"),
    ("/order", "first"),
])
def test_exact_path_goes_before_longest_prefix(proxy, target, expected):
    assert route_of(proxy, target) == expected


@pytest.mark.parametrize("host,target,expected", [
    ("shop.example.com", "/", "host-exact"),
    ("SHOP.Example.COM", "/", "host-exact"),
    ("shop.example.com:8080", "/", "host-exact"),
    ("shop.example.com.", "/", "host-exact"),
    ("shop.example.com", "/api/x", "host-exact-api"),
    ("shop.example.com", "/api/v2/exact", "host-exact-api"),
    ("www.example.com", "/api", "host-wild"),
    ("a.b.example.com", "/", "host-wild"),
    ("x.deep.example.com", "/", "host-wilder"),
    ("deep.example.com", "/", "host-wild"),
    ("example.com", "/", "any-prefix"),
    ("badexample.com", "/", "any-prefix"),
    ("one.example.org", "/", "host-two"),
    ("two.example.org", "/anything", "host-two"),
    ("three.example.org", "/", "any-prefix"),
])
def test_exact_host_goes_before_wildcard_before_any(proxy, host, target, expected):
    assert route_of(proxy, target, {"Host": host}) == expected


@pytest.mark.parametrize("method,expected", [
    ("GET", "get"), ("POST", "post"), ("PUT", "post"), ("DELETE", "any-prefix"), ("get", "any-prefix")])
def test_methods_choose_among_routes_of_one_path(proxy, method, expected):
    assert route_of(proxy, "/methods", method=method) == expected


def test_of_routes_alike_the_first_that_fits_wins(proxy):
    assert route_of(proxy, "/order") == "first"
    assert route_of(proxy, "/order", method="POST") == "second"


@pytest.mark.parametrize("headers,expected", [
    ({}, "any-prefix"),
    ({"X-Beta": "1"}, "beta"),
    ({"x-BETA": "1"}, "beta"),
    ({"X-Beta": "3"}, "any-prefix"),
    ({"X-Beta": "2"}, "any-prefix"),
    ({"X-Beta": "2", "X-More": "yes"}, "beta-both"),
])
def test_headers_choose_a_route(proxy, headers, expected):
    assert route_of(proxy, "/beta", headers) == expected


def test_the_listener_chooses_a_route(proxy):
    assert route_of(proxy, "/where", listener="inner") == "inner"
    assert route_of(proxy, "/where") == "any-prefix"


def test_an_absolute_targets_host_routes(proxy):
    assert route_of(proxy, "http://shop.example.com/", {"Host": "www.example.com"}) == "host-exact"


def test_no_route_is_404(proxy_to, connect):
    proxy = proxy_to(routes=[answer("only", path="/only")])
    response = connect(proxy).get("/other")
    assert (response.status, response.json()["error"]) == (404, "no_route")
    assert proxy.wait_for_access(status=404)["error"] == "no_route"


def test_a_route_without_match_takes_all(proxy_to, connect):
    proxy = proxy_to(routes=[{"name": "all-of-it", "respond": {"status": 200, "body": "all"}}])
    assert connect(proxy).get("/any/thing").text == "all"


def test_the_log_names_the_route(proxy):
    route_of(proxy, "/api/v2/log-me")
    assert proxy.wait_for_access(path="/api/v2/log-me")["route"] == "api-v2"
