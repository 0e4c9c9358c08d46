# SPDX-License-Identifier: Apache-2.0
"""X-Forwarded-* and Forwarded: believed from trusted peers only."""
import pytest

from support import config_for

FORGED = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example",
          "X-Forwarded-Port": "666", "X-Forwarded-Prefix": "/evil", "Forwarded": "for=6.6.6.6",
          "X-Real-IP": "6.6.6.6"}
TWINS = {name.replace("-", "_"): value for name, value in FORGED.items()}


def test_an_untrusted_clients_claims_are_dropped_and_set_afresh(origin, proxy_to, connect):
    proxy = proxy_to(origin)
    client = connect(proxy)
    assert client.get("/", {"Host": "a.example:81", **FORGED}).status == 200
    headers = origin.last.headers
    assert headers.all("x-forwarded-for") == ["127.0.0.1"]
    assert headers.all("x-forwarded-proto") == ["http"]
    assert headers.all("x-forwarded-host") == ["a.example:81"]
    assert headers.all("x-forwarded-port") == [str(proxy.port())]
    assert not {"forwarded", "x-real-ip", "x-forwarded-prefix"} & set(headers.names())
    assert b"6.6.6.6" not in origin.last.head and b"evil" not in origin.last.head


def test_underscored_twins_are_dropped_even_where_underscores_may_pass(origin, proxy_to, connect):
    client = connect(proxy_to(origin, listener={"underscores_in_headers": True}))
    assert client.get("/", {**TWINS, "X_Other": "1"}).status == 200
    assert b"6.6.6.6" not in origin.last.head and b"evil" not in origin.last.head
    assert "x_other" in origin.last.headers


def test_a_trusted_peers_claims_are_kept_and_appended_to(origin, proxy_to, connect):
    client = connect(proxy_to(origin, listener={"trusted_proxies": ["127.0.0.0/8"]}))
    assert client.get("/", {"X-Forwarded-For": "9.9.9.9", "X-Forwarded-Proto": "https",
                            "X-Forwarded-Host": "shop.example"}).status == 200
    headers = origin.last.headers
    assert ", ".join(headers.all("x-forwarded-for")).replace(" ", "") == "9.9.9.9,127.0.0.1"
    assert headers.get("x-forwarded-proto") == "https"
    assert headers.get("x-forwarded-host") == "shop.example"


def test_a_trusted_peer_without_claims_gets_them_set(origin, proxy_to, connect):
    client = connect(proxy_to(origin, listener={"trusted_proxies": ["127.0.0.1/32"]}))
    assert client.get("/", {"Host": "a.example"}).status == 200
    assert origin.last.headers.get("x-forwarded-for") == "127.0.0.1"
    assert origin.last.headers.get("x-forwarded-proto") == "http"
    assert origin.last.headers.get("x-forwarded-host") == "a.example"


@pytest.mark.parametrize("chain,client_ip", [
    ("9.9.9.9", "9.9.9.9"),
    ("6.6.6.6, 9.9.9.9", "9.9.9.9"),
    ("9.9.9.9, 10.1.2.3", "9.9.9.9"),
    ("6.6.6.6, 9.9.9.9, 10.1.2.3, 10.0.0.1", "9.9.9.9"),
    ("10.0.0.1, 10.0.0.2", "10.0.0.1"),
    ("2001:db8::1, 10.0.0.2", "2001:db8::1"),
])
def test_the_client_is_found_right_to_left_past_trusted_hops(origin, scripted, connect, chain, client_ip):
    proxy = scripted("function on_request(r) r.headers['x-client'] = r.client_ip end", origin,
                     config={"listener": {"trusted_proxies": ["127.0.0.0/8", "10.0.0.0/8"]}})
    assert connect(proxy).get("/", {"X-Forwarded-For": chain}).status == 200
    assert origin.last.headers.get("x-client") == client_ip
    assert proxy.wait_for_access(count=1)[0]["client_ip"] == client_ip


def test_a_chain_over_several_fields_is_one_chain(origin, scripted, connect):
    proxy = scripted("function on_request(r) r.headers['x-client'] = r.client_ip end", origin,
                     config={"listener": {"trusted_proxies": ["127.0.0.0/8", "10.0.0.0/8"]}})
    connect(proxy).get("/", [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "9.9.9.9, 10.0.0.1")])
    assert origin.last.headers.get("x-client") == "9.9.9.9"


def test_peers_are_trusted_per_listener(origin, tidegate, connect):
    config = config_for(origin)
    config["listeners"].append({"name": "inner", "address": "127.0.0.1:0", "trusted_proxies": ["127.0.0.1/32"]})
    proxy = tidegate(config)
    connect(proxy).get("/", {"X-Forwarded-For": "9.9.9.9"})
    assert origin.last.headers.all("x-forwarded-for") == ["127.0.0.1"]
    connect(proxy, "inner").get("/", {"X-Forwarded-For": "9.9.9.9"})
    assert "9.9.9.9" in ",".join(origin.last.headers.all("x-forwarded-for"))


@pytest.mark.parametrize("host,fields,port", [
    ("a.example", {"X-Forwarded-Proto": "https"}, "443"),
    ("a.example:8443", {"X-Forwarded-Proto": "https"}, "8443"),
    ("a.example", {}, "80"),
    ("a.example:81", {"X-Forwarded-Port": "8444"}, "8444"),
    ("inner", {"X-Forwarded-Host": "real.example:444"}, "444"),
])
def test_h6_a_trusted_peers_port(origin, proxy_to, connect, host, fields, port):
    client = connect(proxy_to(origin, listener={"trusted_proxies": ["127.0.0.1/32"]}))
    assert client.get("/", {"Host": host, **fields}).status == 200
    assert origin.last.headers.all("x-forwarded-port") == [port]


@pytest.mark.parametrize("value,expected", [
    ("for=198.51.100.7;proto=https;host=real.example", ("198.51.100.7, 127.0.0.1", "https", "real.example", "443")),
    ('for="[2001:db8::7]:99";host="real.example:8443"', ("2001:db8::7, 127.0.0.1", "http", "real.example:8443", "8443")),
    ("for=9.9.9.9;proto=https, for=127.0.0.9;proto=http", ("9.9.9.9, 127.0.0.9, 127.0.0.1", "https", "a.example", "443")),
])
def test_h7_what_a_trusted_peer_says_by_forwarded(origin, proxy_to, connect, value, expected):
    client = connect(proxy_to(origin, listener={"trusted_proxies": ["127.0.0.0/8"]}))
    assert client.get("/", {"Host": "a.example", "Forwarded": value}).status == 200
    headers = origin.last.headers
    assert tuple(headers.get(f"x-forwarded-{name}") for name in ("for", "proto", "host", "port")) == expected
    assert headers.get("forwarded") == value


@pytest.mark.parametrize("value", ["proto=https;host=evil.example", "for=6.6.6.6;proto=https;host=evil.example:1"])
def test_h7_beside_x_forwarded_for_forwarded_says_nothing(origin, proxy_to, connect, value):
    """The peer may have passed on what its client sent."""
    client = connect(proxy_to(origin, listener={"trusted_proxies": ["127.0.0.0/8"]}))
    client.get("/", {"Host": "a.example", "X-Forwarded-For": "1.1.1.1", "Forwarded": value})
    headers = origin.last.headers
    assert [headers.all(f"x-forwarded-{name}") for name in ("for", "proto", "host", "port")] == [
        ["1.1.1.1, 127.0.0.1"], ["http"], ["a.example"], ["80"]]


def test_h7_what_an_untrusted_client_says_by_forwarded_is_nothing(origin, proxy_to, connect):
    connect(proxy_to(origin)).get("/", {"Forwarded": "for=6.6.6.6;proto=https;host=evil.example"})
    assert b"6.6.6.6" not in origin.last.head and b"evil" not in origin.last.head
