# SPDX-License-Identifier: Apache-2.0
"""Every way in which an origin can fail, and what the client sees of it.

A cell of the table in tests/README.md is a fault and a protocol; each says what becomes of a request
to the failing origin alone, without retries; of a GET with retries and a second, sound endpoint; and
of a POST there, which is never executed twice. The last test here compares."""
import re

import pytest

from support import Closed, config_for, eventually
from support.clock import ROOT, SCALE
from support.dns import NXDOMAIN, SERVFAIL, DnsServer
from support.faults import BODY, Blackhole, FaultyOrigin
from support.http1 import ProtocolError

OK = "200"
BROKEN = "broken off"  # after the head: neither a status nor another attempt can help


class Cell:
    """`alone`, `get`, `post`: "200", BROKEN, or "STATUS token"."""

    def __init__(self, alone, get, post):
        self.alone, self.get, self.post = alone, get, post

    def __str__(self):
        return f"{_tick(self.alone)}; GET {_tick(self.get)}; POST {_tick(self.post)}"


def _tick(outcome):
    return re.sub(r"^(\d+) (\w+)$", r"\1 `\2`", outcome)


def both(alone, get, post):
    return {"h1": Cell(alone, get, post), "h2": Cell(alone, get, post)}


CELLS = {
    "refuse": both("502 connect_failed", OK, OK),
    "hang at connect": both("504 connect_timeout", OK, OK),
    "reset before head": both("502 origin_reset", OK, "502 origin_reset"),
    "reset in head": both("502 origin_reset", OK, "502 origin_reset"),
    "reset in body": both(BROKEN, BROKEN, BROKEN),
    "close before head": both("502 origin_closed", OK, "502 origin_closed"),
    "close in head": both("502 origin_closed", OK, "502 origin_closed"),
    "close in body": both(BROKEN, BROKEN, BROKEN),
    "reset stream before head": {"h2": Cell("502 origin_reset", OK, "502 origin_reset")},
    "reset stream in body": {"h2": Cell(BROKEN, BROKEN, BROKEN)},
    "refuse stream": {"h2": Cell("502 stream_refused", OK, OK)},
    "hang before head": both("504 response_timeout", OK, "504 per_try_timeout"),
    "hang in head": both("504 response_timeout", OK, "504 per_try_timeout"),
    "hang in body": both(BROKEN, BROKEN, BROKEN),
    "garbage": both("502 bad_response", "502 bad_response", "502 bad_response"),
    "close keep-alive in use": {"h1": Cell(OK, OK, "502 origin_closed"), "h2": Cell(OK, OK, OK)},
    "slow down": both(OK, OK, OK),
}
DNS_FAULTS = {
    "DNS: NXDOMAIN": lambda dns: dns.fail("users.test", NXDOMAIN),
    "DNS: SERVFAIL": lambda dns: dns.fail("users.test", SERVFAIL),
    "DNS: time-out": lambda dns: dns.silence("users.test"),
    "DNS: empty": lambda dns: dns.set("users.test"),
}
DNS_TEXT = "at the start 503 `no_endpoint`; later the endpoints that were known: 200"
FLAP_TEXT = "GET 200; POST 200 or 502, once"


def cells():
    return [pytest.param(fault, protocol, id=f"{protocol}-{fault}")
            for fault, by_protocol in CELLS.items() for protocol in by_protocol]


@pytest.fixture
def protocol():
    """Comes by the cell."""


@pytest.fixture
def sick(request):
    """The failing origin of the cell."""
    fault, protocol = request.node.callspec.params["fault"], request.node.callspec.params["protocol"]
    if fault == "hang at connect":
        made = Blackhole()
    else:
        made = FaultyOrigin(protocol, "healthy" if fault == "refuse" else fault)
    with made:
        if fault == "refuse":
            made.down()
        yield made


def front(tidegate, protocol, sick, sound, fault):
    """/alone leads to the failing one, without retries; / to both, to the failing one first. Time-outs
    are short where they are what ends the waiting."""
    short = f"{150 * SCALE}ms" if fault.startswith("hang") else "5s"
    retry = {"max_retries": 1, "on": ["connect", "refused", "reset", "timeout"], "per_try_timeout": short,
             "backoff": {"base": "0s"}, "budget_min": 10}
    common = {"protocol": protocol, "connect_timeout": f"{100 * SCALE}ms" if fault == "hang at connect" else "5s"}
    config = config_for(sick, cluster=common, route={
        "name": "alone", "match": {"path_prefix": "/alone"}, "timeout": short, "idle_timeout": short})
    config["clusters"]["both"] = {**common, "balancer": "weighted", "retry": retry, "endpoints": [
        {"url": sick.url, "weight": 1000}, {"url": sound.url, "weight": 1}]}
    config["routes"].append({"name": "both", "cluster": "both", "timeout": "10s", "idle_timeout": short})
    return tidegate(config)


def outcome(connect, proxy, method, path):
    client = connect(proxy)
    client.send_request(method, path, body=b"pay" if method == "POST" else None)
    try:
        reply = client.response(to=method)
    except (Closed, ProtocolError):
        return BROKEN
    if reply.status == 200:
        assert reply.body == BODY
        return OK
    return f"{reply.status} {reply.json()['error']}"


@pytest.mark.parametrize("fault,protocol", cells())
def test_a_fault(fault, protocol, sick, tidegate, connect):
    expected = CELLS[fault][protocol]
    with FaultyOrigin(protocol) as sound:
        proxy = front(tidegate, protocol, sick, sound, fault)
        seen = {}
        for name, method, path in (("alone", "GET", "/alone"), ("get", "GET", "/"), ("post", "POST", "/")):
            if fault == "close keep-alive in use":
                assert outcome(connect, proxy, "GET", path) == OK  # leaves a connection to be used again
            seen[name] = outcome(connect, proxy, method, path)
        assert seen == vars(expected)
        arrived = sum(one.count("POST") for one in (sick, sound) if isinstance(one, FaultyOrigin))
        refused = fault in ("refuse stream", "close keep-alive in use") and protocol == "h2"
        assert arrived == (2 if refused else 1), "it was executed once at most"
        assert proxy.admin("/ready").status == 200


@pytest.mark.parametrize("protocol", ["h1", "h2"])
def test_an_endpoint_that_flaps(protocol, tidegate, connect):
    with FaultyOrigin(protocol) as sick, FaultyOrigin(protocol) as sound:
        proxy = front(tidegate, protocol, sick, sound, "flap")
        posts = 0
        for _ in range(6):
            assert outcome(connect, proxy, "GET", "/") == OK
            posts += 1
            assert outcome(connect, proxy, "POST", "/")[:3] in ("200", "502")
            sick.down()
            assert outcome(connect, proxy, "GET", "/") == OK
            posts += 1
            assert outcome(connect, proxy, "POST", "/")[:3] in ("200", "502")
            sick.up()
        assert sick.count("POST") + sound.count("POST") <= posts


@pytest.mark.parametrize("protocol", ["h1", "h2"])
@pytest.mark.parametrize("fault", DNS_FAULTS)
def test_dns_fails(protocol, fault, tidegate, connect):
    with DnsServer() as dns, FaultyOrigin(protocol) as origin:
        def start():
            config = config_for()
            config["clusters"] = {"users": {"protocol": protocol, "dns": {
                "name": "users.test.", "port": origin.port, "min_refresh": "20ms", "max_refresh": "30ms"}}}
            config["routes"].append({"name": "all", "cluster": "users"})
            config["resolver"] = {"servers": [dns.address], "timeout": "100ms", "attempts": 1}
            return tidegate(config)
        DNS_FAULTS[fault](dns)
        early = start()
        assert outcome(connect, early, "GET", "/") == "503 no_endpoint"
        dns.set("users.test", a=["127.0.0.1"], ttl=0)
        eventually(lambda: outcome(connect, early, "GET", "/") == OK)
        DNS_FAULTS[fault](dns)
        early.wait_for_log(message="DNS names no endpoints: those that are known stay")
        assert [outcome(connect, early, method, "/") for method in ("GET", "POST")] == [OK, OK]


# -- the table ------------------------------------------------------------------------------------------
def table():
    """The rows of the README's table, as they are to be. A cell is test[PROTOCOL-FAULT]."""
    rows = [[fault, *(str(by_protocol.get(p, "no such thing")) for p in ("h1", "h2")), test_a_fault]
            for fault, by_protocol in CELLS.items()]
    rows.append(["flap", FLAP_TEXT, FLAP_TEXT, test_an_endpoint_that_flaps])
    rows += [[fault, DNS_TEXT, DNS_TEXT, test_dns_fails] for fault in DNS_FAULTS]
    return ["| " + " | ".join([*row[:3], f"`{row[3].__name__}`"]) + " |" for row in rows]


def test_the_table_in_the_readme_names_these_tests_and_outcomes():
    """The tests are parametrised by what the rows are made of, so each cell has one."""
    readme = (ROOT / "tests/README.md").read_text(encoding="utf-8").splitlines()
    wanted = table()
    begin = readme.index("| fault | h1 | h2 | test |") + 2
    assert readme[begin:begin + len(wanted) + 1] == [*wanted, ""], "\n".join(wanted)
