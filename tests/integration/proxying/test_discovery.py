# SPDX-License-Identifier: Apache-2.0
"""Endpoints that change while the proxy serves: from DNS, from a file, by a script."""
import json
import signal
import threading

import pytest

from support import config_for, eventually, run_tidegate
from support.dns import A, AAAA, NXDOMAIN, REFUSED, SERVFAIL, SRV, DnsServer

FAST = {"min_refresh": "20ms", "max_refresh": "50ms"}


@pytest.fixture
def dns():
    with DnsServer() as server:
        yield server


@pytest.fixture
def origins(make_origin):
    """Origins on one port of several loopback addresses: `origins(1, 2)` are 127.0.0.1 and .2."""
    def make(*numbers):
        first = make_origin(f"127.0.0.{numbers[0]}", host=f"127.0.0.{numbers[0]}")
        rest = [make_origin(f"127.0.0.{n}", host=f"127.0.0.{n}", port=first.port) for n in numbers[1:]]
        for origin in (first, *rest):
            origin.otherwise(body=origin.name.encode())
        return [first, *rest]
    return make


def by_dns(dns, port=None, resolver=None, **more):
    settings = {"name": "users.test.", **({"port": port} if port else {}), **FAST, **more}
    config = config_for(cluster={"dns": settings})
    config["clusters"] = {"origin": {"dns": settings}}
    config["routes"].append({"name": "all", "cluster": "origin"})
    config["resolver"] = {"servers": [dns.address], "timeout": "1s", "attempts": 1, **(resolver or {})}
    return config


def endpoints(proxy):
    clusters = proxy.admin("/clusters").json()["clusters"]
    return {endpoint["address"]: endpoint for endpoint in clusters[0]["endpoints"]}


def addresses(proxy):
    return sorted(endpoints(proxy))


def answered_by(client, count):
    return {client.get("/").text for _ in range(count)}


# -- DNS ------------------------------------------------------------------------------------------
def test_every_address_of_a_name_is_an_endpoint(dns, origins, tidegate, connect):
    one, two = origins(1, 2)
    dns.set("users.test", a=["127.0.0.1", "127.0.0.2"])
    proxy = tidegate(by_dns(dns, one.port))
    assert answered_by(connect(proxy), 6) == {"127.0.0.1", "127.0.0.2"}
    assert addresses(proxy) == [one.address, two.address]


def test_the_first_request_is_not_too_early(dns, origins, tidegate, connect):
    for attempt in range(5):
        (origin,) = origins(1)
        dns.set("users.test", a=["127.0.0.1"])
        assert connect(tidegate(by_dns(dns, origin.port))).get("/").status == 200


def test_ipv6_addresses_are_endpoints_too(dns, tidegate):
    dns.set("users.test", a=["127.0.0.1"], aaaa=["::1"])
    proxy = tidegate(by_dns(dns, 8080))
    assert addresses(proxy) == ["127.0.0.1:8080", "[::1]:8080"]


@pytest.mark.parametrize("family, expected", [
    ("any", ["127.0.0.1", "[::1]"]), ("v4", ["127.0.0.1"]), ("v6", ["[::1]"]),
    ("prefer_v4", ["127.0.0.1"])])
def test_c7_the_family_says_which_addresses_are_endpoints(dns, tidegate, family, expected):
    dns.set("users.test", a=["127.0.0.1"], aaaa=["::1"])
    proxy = tidegate(by_dns(dns, 8080, family=family))
    assert addresses(proxy) == [f"{host}:8080" for host in expected]


def test_c7_an_address_where_nothing_listens_falls_back_to_the_other_family(
        dns, origins, tidegate, connect):
    (origin,) = origins(1)
    dns.set("users.test", a=["127.0.0.1"], aaaa=["::1"])
    proxy = tidegate(by_dns(dns, origin.port))
    client = connect(proxy)
    assert [client.get("/").status for _ in range(8)] == [200] * 8
    assert [connect(proxy).get("/").status for _ in range(4)] == [200] * 4


def test_the_origin_sees_the_name_as_host_when_it_is_to_see_its_own(dns, origins, tidegate, connect):
    (origin,) = origins(1)
    dns.set("users.test", a=["127.0.0.1"])
    config = by_dns(dns, origin.port)
    config["routes"][-1]["host"] = "origin"
    assert connect(tidegate(config)).get("/").status == 200
    assert origin.last.headers.get("host") == f"users.test:{origin.port}"


def test_a_changed_answer_moves_requests_and_drains_who_left(dns, origins, tidegate, connect):
    one, two = origins(1, 2)
    dns.set("users.test", a=["127.0.0.1"], ttl=0)
    proxy = tidegate(by_dns(dns, one.port))
    client = connect(proxy)
    assert client.get("/").text == "127.0.0.1"
    dns.set("users.test", a=["127.0.0.2"], ttl=0)
    eventually(lambda: addresses(proxy) == [two.address])
    eventually(lambda: client.get("/").text == "127.0.0.2")
    one.wait_until_open(0)  # its idle connection is closed


def test_endpoints_that_stay_keep_connections_and_state(dns, origins, tidegate, connect):
    one, two = origins(1, 2)
    dns.set("users.test", a=["127.0.0.1"], ttl=0)
    proxy = tidegate(by_dns(dns, one.port))
    client = connect(proxy)
    client.get("/")
    latency = endpoints(proxy)[one.address]["latency_ms"]
    assert latency > 0
    dns.set("users.test", a=["127.0.0.2", "127.0.0.1"], ttl=0)
    eventually(lambda: len(addresses(proxy)) == 2)
    assert endpoints(proxy)[one.address]["latency_ms"] == latency
    eventually(lambda: answered_by(client, 4) == {"127.0.0.1", "127.0.0.2"})
    assert (one.connections, two.connections) == (1, 1)


def test_a_request_under_way_ends_at_the_endpoint_that_left(dns, origins, tidegate, connect):
    one, _ = origins(1, 2)
    release = threading.Event()

    def slow(exchange):
        exchange.start_chunked()
        exchange.chunk("begin ")
        exchange.wait(release)
        exchange.chunk("end")
        exchange.end_chunks()
    one.on("/slow", slow)
    dns.set("users.test", a=["127.0.0.1"], ttl=0)
    proxy = tidegate(by_dns(dns, one.port))
    client = connect(proxy)
    client.send_request("GET", "/slow")
    one.wait_for_requests(1)
    dns.set("users.test", a=["127.0.0.2"], ttl=0)
    eventually(lambda: one.address not in addresses(proxy))
    eventually(lambda: connect(proxy).get("/").text == "127.0.0.2")
    release.set()
    assert client.response().text == "begin end"
    one.wait_until_open(0)
    assert proxy.wait_for_access(path="/slow")["endpoint"] == one.address


@pytest.mark.parametrize("break_it, outcome", [
    (lambda dns: dns.fail("users.test", NXDOMAIN), "none"),
    (lambda dns: dns.set("users.test"), "none"),
    (lambda dns: dns.fail("users.test", SERVFAIL), "failed"),
    (lambda dns: dns.fail("users.test", REFUSED), "failed"),
    (lambda dns: dns.silence("users.test"), "failed"),
    (lambda dns: setattr(dns, "malformed", True), "failed"),
], ids=["nxdomain", "no records", "servfail", "refused", "silent", "malformed"])
def test_an_answer_that_names_nobody_leaves_the_endpoints(dns, origins, tidegate, connect, break_it,
                                                           outcome):
    (origin,) = origins(1)
    dns.set("users.test", a=["127.0.0.1"], ttl=0)
    proxy = tidegate(by_dns(dns, origin.port))
    before = addresses(proxy)
    assert len(before) == 1
    break_it(dns)
    line = proxy.wait_for_log(message="DNS names no endpoints: those that are known stay")
    assert line["cluster"] == "origin" and line["name"] == "users.test." and line["error"]
    assert addresses(proxy) == before
    assert proxy.metrics()("proxy_discoveries_total", cluster="origin", outcome=outcome) >= 1
    dns.malformed = False
    dns.set("users.test", a=["127.0.0.1", "127.0.0.9"], ttl=0)
    proxy.wait_for_log(message="DNS names endpoints again")
    eventually(lambda: f"127.0.0.9:{origin.port}" in addresses(proxy))


def test_half_an_answer_leaves_the_other_half_as_it_was(dns, tidegate):
    dns.set("users.test", a=["127.0.0.1"], aaaa=["::1"], ttl=0)
    proxy = tidegate(by_dns(dns, 8080))
    assert sorted(addresses(proxy)) == ["127.0.0.1:8080", "[::1]:8080"]
    dns.set("users.test", a=["127.0.0.1"], aaaa=["::1", "::2"], ttl=0)
    dns.fail("users.test", SERVFAIL, [A])
    line = proxy.wait_for_log(
        message="DNS answers in part: of the rest, the endpoints that are known stay")
    assert line["cluster"] == "origin" and line["error"]
    eventually(lambda: sorted(addresses(proxy)) == ["127.0.0.1:8080", "[::1]:8080", "[::2]:8080"])
    assert proxy.metrics()("proxy_discoveries_total", cluster="origin", outcome="failed") >= 1


def test_a_resolver_that_never_answers_for_ipv6_does_not_freeze_the_rest(dns, tidegate):
    dns.set("users.test", a=["127.0.0.1"], ttl=0)
    dns.fail("users.test", SERVFAIL, [AAAA])
    proxy = tidegate(by_dns(dns, 8080))
    eventually(lambda: addresses(proxy) == ["127.0.0.1:8080"])
    dns.set("users.test", a=["127.0.0.2"], ttl=0)
    dns.fail("users.test", SERVFAIL, [AAAA])
    eventually(lambda: addresses(proxy) == ["127.0.0.2:8080"])


def test_without_any_answer_requests_are_refused_and_serving_begins(dns, tidegate, connect):
    proxy = tidegate(by_dns(dns, 8080))
    assert connect(proxy).get("/").status == 503
    assert proxy.wait_for_access(status=503)["error"] == "no_endpoint"
    dns.set("users.test", a=["127.0.0.1"])
    eventually(lambda: addresses(proxy) == ["127.0.0.1:8080"])


def test_srv_gives_ports_and_weights_of_the_best_priority(dns, make_origin, tidegate, connect):
    origins = [make_origin(str(n)) for n in range(3)]
    for origin in origins:
        origin.otherwise(body=origin.name.encode())
    dns.set("a.test", a=["127.0.0.1"])
    dns.set("_http._tcp.test", srv=[(1, 3, origins[0].port, "a.test"), (1, 1, origins[1].port, "a.test"),
                                    (2, 9, origins[2].port, "a.test")])
    config = by_dns(dns, name="_http._tcp.test.", type="srv")
    config["clusters"]["origin"]["balancer"] = "weighted"
    client = connect(tidegate(config))
    texts = [client.get("/").text for _ in range(8)]
    assert (texts.count("0"), texts.count("1")) == (6, 2)


def test_srv_of_no_service_names_nobody(dns, tidegate):
    dns.set("_http._tcp.test", srv=[(0, 0, 0, ".")])
    proxy = tidegate(by_dns(dns, name="_http._tcp.test.", type="srv"))
    assert addresses(proxy) == []
    assert "not to exist" in proxy.wait_for_log(level="warn", cluster="origin")["error"]


def test_aliases_are_followed_and_their_time_to_live_counts(dns, tidegate):
    dns.set("real.test", a=["127.0.0.1"], ttl=3600, alias=("users.test", 0))
    proxy = tidegate(by_dns(dns, 8080, max_refresh="1h"))
    assert addresses(proxy) == ["127.0.0.1:8080"]
    dns.set("real.test", a=["127.0.0.2"], ttl=3600)
    eventually(lambda: addresses(proxy) == ["127.0.0.2:8080"])


def test_the_time_to_live_is_honoured(dns, tidegate):
    dns.set("users.test", a=["127.0.0.1"], ttl=1)
    tidegate(by_dns(dns, 8080, max_refresh="1h", min_refresh="10ms"))
    dns.wait_for_queries(4)
    asked = len(dns.queries)
    threading.Event().wait(0.5)  # nothing happens, which is what is tested
    assert len(dns.queries) == asked
    dns.wait_for_queries(asked + 2)


def test_a_long_answer_comes_by_tcp(dns, tidegate):
    many = [f"127.0.{n // 250}.{n % 250 + 1}" for n in range(300)]
    dns.set("users.test", a=many)
    proxy = tidegate(by_dns(dns, 8080))
    assert len(addresses(proxy)) == 300
    assert ("users.test", A, "tcp") in dns.queries


def test_a_second_server_is_asked_when_the_first_is_silent(dns, tidegate):
    dns.set("users.test", a=["127.0.0.1"])
    with DnsServer() as silent:
        silent.silence("users.test")
        config = by_dns(dns, 8080)
        config["resolver"]["servers"].insert(0, silent.address)
        proxy = tidegate(config)
        assert addresses(proxy) == ["127.0.0.1:8080"]
        assert silent.queries


def test_a_reload_that_leaves_dns_as_it_was_asks_nobody_anew(dns, tidegate):
    dns.set("users.test", a=["127.0.0.1"], ttl=3600)
    config = by_dns(dns, 8080, max_refresh="1h")
    proxy = tidegate(config)
    asked = len(dns.queries)
    config["routes"].insert(0, {"name": "more", "match": {"path": "/more"}, "echo": True})
    proxy.write_config(config)
    proxy.signal(signal.SIGHUP)
    proxy.wait_for_log(message="configuration loaded")
    assert addresses(proxy) == ["127.0.0.1:8080"]
    assert len(dns.queries) == asked


def test_a_reload_to_dns_serves_the_former_endpoints_until_the_answer(dns, origins, tidegate, connect):
    one, two = origins(1, 2)
    dns.silence("users.test")
    proxy = tidegate(config_for(one))
    assert connect(proxy).get("/").text == "127.0.0.1"
    proxy.write_config(by_dns(dns, one.port))
    proxy.signal(signal.SIGHUP)
    proxy.wait_for_log(message="configuration loaded")
    assert connect(proxy).get("/").text == "127.0.0.1"
    dns.set("users.test", a=["127.0.0.2"])
    eventually(lambda: addresses(proxy) == [two.address])
    eventually(lambda: connect(proxy).get("/").text == "127.0.0.2")


def test_a_stop_while_dns_is_silent_is_prompt(dns, tidegate):
    dns.silence("users.test")
    config = by_dns(dns, 8080, resolver={"timeout": "30s"})
    config["admin"]["address"] = "off"  # which opens only when DNS has spoken
    proxy = tidegate(config)
    dns.wait_for_queries(2)
    proxy.stop(timeout=3)


@pytest.mark.workers
def test_all_workers_hear_of_a_change(dns, origins, tidegate, connect):
    one, two = origins(1, 2)
    dns.set("users.test", a=["127.0.0.1"], ttl=0)
    config = by_dns(dns, one.port)
    config["workers"] = 3
    proxy = tidegate(config)
    clients = [connect(proxy) for _ in range(24)]
    assert {client.get("/").text for client in clients} == {"127.0.0.1"}
    dns.set("users.test", a=["127.0.0.2"], ttl=0)
    eventually(lambda: addresses(proxy) == [two.address])
    eventually(lambda: {client.get("/").text for client in clients} == {"127.0.0.2"})
    one.wait_until_open(0)


# -- a file ---------------------------------------------------------------------------------------
def by_file(*origins):
    return {"clusters": {"origin": {"file": "endpoints.yaml"}},
            **{k: v for k, v in config_for(route={"cluster": "origin"}).items()}}


def in_file(*entries):
    return {"endpoints.yaml": json.dumps([getattr(e, "url", e) for e in entries])}


def test_endpoints_stand_in_a_file_and_change_with_it(origins, tidegate, connect):
    one, two = origins(1, 2)
    proxy = tidegate(by_file(), in_file({"url": one.url, "tags": {"zone": "eu"}}))
    client = connect(proxy)
    assert client.get("/").text == "127.0.0.1"
    assert endpoints(proxy)[one.address]["tags"] == {"zone": "eu"}
    proxy.write_script("endpoints.yaml", f"- {two.url}\n- {{url: {one.url}, tags: {{zone: eu}}}}\n")
    proxy.wait_for_log(message="endpoints changed", before=1, now=2)
    eventually(lambda: answered_by(client, 4) == {"127.0.0.1", "127.0.0.2"})
    assert one.connections == 1, "who stays keeps its connections"


def test_an_endpoint_whose_weight_and_tags_change_keeps_its_connections_and_state(origins, tidegate, connect):
    one, two = origins(1, 2)
    proxy = tidegate(by_file(), in_file(one, two))
    client = connect(proxy)
    assert answered_by(client, 4) == {"127.0.0.1", "127.0.0.2"}
    assert proxy.admin(f"/clusters/origin/endpoints/{two.address}/drain", method="POST").status == 200
    proxy.write_script("endpoints.yaml", f"- {{url: {two.url}, weight: 3, tags: {{zone: eu}}}}\n- {{url: {one.url}, weight: 2}}\n")
    proxy.wait_for_log(message="endpoints changed")
    now = endpoints(proxy)
    assert (now[two.address]["weight"], now[two.address]["tags"]) == (3, {"zone": "eu"})
    assert now[two.address]["draining"], "what the operator said holds"
    assert answered_by(client, 4) == {"127.0.0.1"}
    assert (one.connections, two.connections) == (1, 1)


def test_a_changed_weight_holds_for_who_stays(origins, tidegate, connect):
    one, two = origins(1, 2)
    config = by_file()
    config["clusters"]["origin"]["balancer"] = "weighted"
    proxy = tidegate(config, in_file(one, two))
    client = connect(proxy)
    client.get("/")
    proxy.write_script("endpoints.yaml", f"- {{url: {one.url}, weight: 3}}\n- {two.url}\n")
    proxy.wait_for_log(message="endpoints changed")
    eventually(lambda: [client.get("/").text for _ in range(8)].count("127.0.0.1") == 6)


@pytest.mark.parametrize("by_reload", [False, True])
def test_o16_a_drained_endpoint_that_leaves_the_file_and_comes_back_is_drained(origins, tidegate, connect, by_reload):
    one, two = origins(1, 2)
    proxy = tidegate(by_file(), in_file(one, two))
    client = connect(proxy)

    def become(*present):
        since = len(proxy.log_lines)
        proxy.write_script("endpoints.yaml", "".join(f"- {origin.url}\n" for origin in present))
        if by_reload:
            proxy.signal(signal.SIGHUP)
        eventually(lambda: addresses(proxy) == sorted(origin.address for origin in present))
        return since

    assert proxy.admin(f"/clusters/origin/endpoints/{two.address}/drain", method="POST").status == 200
    become(one)
    become(two, one)
    assert endpoints(proxy)[two.address]["draining"]
    assert not endpoints(proxy)[one.address]["draining"]
    assert answered_by(client, 6) == {"127.0.0.1"}
    assert proxy.admin(f"/clusters/origin/endpoints/{two.address}/enable", method="POST").status == 200
    become(one)
    become(one, two)
    assert not endpoints(proxy)[two.address]["draining"]
    assert answered_by(client, 6) == {"127.0.0.1", "127.0.0.2"}


def test_a_broken_file_leaves_the_endpoints(origins, tidegate, connect):
    (one,) = origins(1)
    proxy = tidegate(by_file(), in_file(one))
    for text, says in (("- http://10.0.0.1:99999\n", "endpoints.yaml:1:3: [0]: expected an endpoint"),
                       ("[]", "needs at least one endpoint"),
                       (f"- {one.url}\n- {one.url}\n", "endpoints.yaml:2:3: [1]: "),
                       ("users: [\n", "endpoints.yaml")):
        since = len(proxy.log_lines)
        proxy.write_script("endpoints.yaml", text)
        line = proxy.wait_for_log(message="endpoint file refused: the former endpoints stay", since=since)
        assert says in line["error"], line
    assert connect(proxy).get("/").text == "127.0.0.1"
    assert proxy.metrics()("proxy_discoveries_total", cluster="origin", outcome="failed") == 4


# -- a script -------------------------------------------------------------------------------------
SETTER = """
function on_request(request)
  if request.path ~= "/set" then return end
  local cluster = proxy.cluster("origin")
  local set, wrong = pcall(cluster.set_endpoints, cluster, proxy.json.decode(request:body()))
  request:reply(set and 200 or 400, wrong or "")
end"""


def test_a_script_sets_the_endpoints(origins, scripted, connect):
    one, two = origins(1, 2)
    proxy = scripted(SETTER, one, clusters=["origin"])
    client = connect(proxy)
    assert client.get("/").text == "127.0.0.1"
    entries = [{"url": two.url, "weight": 3, "tags": {"zone": "eu"}}]
    assert client.post("/set", json.dumps(entries).encode()).status == 200
    proxy.wait_for_log(message="endpoints changed", cluster="origin")
    eventually(lambda: client.get("/").text == "127.0.0.2")
    found = endpoints(proxy)[two.address]
    assert (found["weight"], found["tags"], found["healthy"]) == (3, {"zone": "eu"}, True)
    one.wait_until_open(0)


def test_what_a_script_has_set_outlives_reloads_that_say_nothing_new(origins, scripted, connect):
    one, two, three = origins(1, 2, 3)
    proxy = scripted(SETTER, one, clusters=["origin"])
    connect(proxy).post("/set", json.dumps([two.url]).encode())
    eventually(lambda: addresses(proxy) == [two.address])
    config = json.loads(proxy.config_file.read_text(encoding="utf-8"))

    def reload():
        since = len(proxy.log_lines)
        proxy.write_config(config)
        proxy.signal(signal.SIGHUP)
        proxy.wait_for_log(message="configuration loaded", since=since)
    config["drain_timeout"] = "29s"
    reload()
    assert addresses(proxy) == [two.address]
    config["clusters"]["origin"]["endpoints"] = [three.url]
    reload()
    assert addresses(proxy) == [three.address]


@pytest.mark.parametrize("given, says", [
    ([], "needs a list of at least one endpoint"),
    ({"url": "http://10.0.0.1"}, "needs a list of at least one endpoint"),
    (["10.0.0.1:80"], "put http:// before it"),
    (["http://users.test:80"], "'users.test' is a name: give IP addresses"),
    ([{"url": "http://10.0.0.1", "wieght": 1}], "did you mean 'weight'?"),
    (["http://10.0.0.1", "http://10.0.0.1:80"], "[1]: 10.0.0.1:80 is given twice"),
    ([{"url": "http://10.0.0.1", "weight": 5000}], "weight"),
    (["http://${HOME}"], "expected an endpoint"),
])
def test_wrong_endpoints_of_a_script_raise(origins, scripted, connect, given, says):
    (one,) = origins(1)
    client = connect(scripted(SETTER, one, clusters=["origin"]))
    response = client.post("/set", json.dumps(given).encode())
    assert response.status == 400 and says in response.text, response.text
    assert client.get("/").text == "127.0.0.1"


def test_a_script_can_not_overrule_dns(dns, tidegate, connect):
    dns.set("users.test", a=["127.0.0.1"])
    config = by_dns(dns, 8080)
    config["policies"] = {"policy": {"script": "policy.lua", "clusters": ["origin"]}}
    config["default_policies"] = ["policy"]
    proxy = tidegate(config, {"policy.lua": SETTER})
    response = connect(proxy).post("/set", b'["http://10.0.0.1"]')
    assert response.status == 400 and "come from dns" in response.text


def test_an_endpoint_that_a_script_holds_while_it_goes_can_still_be_read(origins, scripted, connect):
    one, two = origins(1, 2)
    proxy = scripted("""
        function on_request(request)
          local cluster = proxy.cluster("origin")
          if request.path == "/set" then
            cluster:set_endpoints(proxy.json.decode(request:body()))
            return request:reply(200, "")
          end
          if request.path ~= "/hold" then return end
          local held = cluster.endpoints[1]
          request:body()
          request:reply(200, held.address .. " " .. tostring(held.available) .. " " .. held.tags.zone)
        end""", {"url": one.url, "tags": {"zone": "eu"}}, clusters=["origin"])
    holder, other = connect(proxy), connect(proxy)
    holder.send_head("POST", "/hold", {"Content-Length": "1"})
    for url in (two.url, one.url, two.url):
        since = len(proxy.log_lines)
        other.post("/set", json.dumps([url]).encode())
        proxy.wait_for_log(message="endpoints changed", since=since)
    holder.send(b"x")
    assert holder.response().text == f"{one.address} true eu"


def test_a_thousand_endpoints_apply_at_once(origins, scripted, connect):
    (one,) = origins(1)
    proxy = scripted(SETTER, one, clusters=["origin"], budget={"cpu": "1s"})
    many = [f"http://127.1.{n // 250}.{n % 250}:{one.port}" for n in range(999)] + [one.url]
    client = connect(proxy)
    assert client.post("/set", json.dumps(many).encode()).status == 200
    proxy.wait_for_log(message="endpoints changed", now=1000)
    cpu = proxy.cpu_seconds()
    many.pop(0)
    assert client.post("/set", json.dumps(many).encode()).status == 200
    proxy.wait_for_log(message="endpoints changed", now=999)
    assert proxy.cpu_seconds() - cpu < 0.5
    assert len(addresses(proxy)) == 999


def test_srv_targets_that_are_no_host_names_are_passed_over(dns, make_origin, tidegate, connect):
    origin = make_origin("good")
    dns.set("a.test", a=["127.0.0.1"])
    dns.set("a.test.\0x", a=["127.0.0.1"])
    dns.set("a.test\r\nx: y", a=["127.0.0.1"])
    dns.set("_http._tcp.test", srv=[(1, 1, origin.port, "a.test"), (1, 1, origin.port, "a.test.\0x"),
                                    (1, 1, origin.port, "a.test\r\nx: y")])
    proxy = tidegate(by_dns(dns, name="_http._tcp.test.", type="srv"))
    assert addresses(proxy) == [origin.address]
    assert connect(proxy).get("/").status == 200


@pytest.mark.parametrize("domain, status", [("localhost", 200), ("elsewhere.example", 502)])
def test_the_certificate_behind_srv_is_for_the_services_domain(
        dns, make_origin, tidegate, connect, authority, domain, status):
    """Who forges an answer has a certificate for the target that it names."""
    target = authority.issue("target", "DNS:target.test", f"DNS:{domain}" if status == 200 else "DNS:x.test")
    origin = make_origin("secure", tls=target.for_origin())
    dns.set("target.test", a=["127.0.0.1"])
    dns.set(f"_https._tcp.{domain}", srv=[(1, 1, origin.port, "target.test")])
    config = by_dns(dns, name=f"_https._tcp.{domain}.", type="srv", scheme="https")
    config["clusters"]["origin"]["tls"] = {"ca": str(authority.cert)}
    assert connect(tidegate(config)).get("/").status == status


# -- names that do not resolve --------------------------------------------------------------------
SOON = {"RES_OPTIONS": "timeout:1 attempts:1"}


def test_c6_a_name_that_does_not_resolve_takes_its_endpoint_out_and_no_more(make_origin, tidegate, connect):
    origin = make_origin("there")
    origin.otherwise(body=b"there")
    config = config_for(origin, "http://nobody.invalid:80")
    proxy = tidegate(config, env=SOON)
    assert [connect(proxy).get("/").status for _ in range(6)] == [200] * 6
    assert {address: one["healthy"] for address, one in endpoints(proxy).items()} == {
        origin.address: True, "nobody.invalid:80": False}
    assert proxy.wait_for_log(message="a name does not resolve", name="nobody.invalid")
    # By a reload too, and a name that does resolve serves at once.
    proxy.write_config(config_for(f"http://localhost:{origin.port}", "http://nobody2.invalid:80"))
    assert proxy.admin("/reload", "POST").status == 200
    eventually(lambda: connect(proxy).get("/").text == "there")


def test_c6_check_warns_of_a_name_that_does_not_resolve(tmp_path):
    config = tmp_path / "tidegate.yaml"
    config.write_text("listeners: [{ address: 127.0.0.1:1 }]\n"
                      "clusters: { a: { endpoints: [http://nobody.invalid, http://localhost] } }\n"
                      "routes: [{ cluster: a }]\n", encoding="utf-8")
    done = run_tidegate("check", "--config", config, env=SOON)
    assert done.returncode == 0, done.stderr
    assert "tidegate.yaml:2: clusters.a: cannot resolve nobody.invalid" in done.stderr
    assert "localhost" not in done.stderr


def test_c6_an_endpoint_file_may_name_what_does_not_resolve(make_origin, tidegate, connect):
    origin = make_origin("there")
    origin.otherwise(body=b"there")
    config = config_for(origin)
    config["clusters"]["origin"] = {"file": "endpoints.yaml"}
    proxy = tidegate(config, {"endpoints.yaml": json.dumps([origin.url])}, env=SOON)
    proxy.write_script("endpoints.yaml", json.dumps(["http://nobody.invalid", f"http://localhost:{origin.port}"]))
    eventually(lambda: endpoints(proxy).keys() == {"nobody.invalid:80", f"localhost:{origin.port}"})
    eventually(lambda: connect(proxy).get("/").status == 200)
