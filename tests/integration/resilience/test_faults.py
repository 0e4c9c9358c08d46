# SPDX-License-Identifier: Apache-2.0
"""Every way in which an origin can fail, and what the client sees of it.

A cell of the table in tests/README.md is a fault and a protocol; each says what becomes of a request
to the failing origin alone, without retries; of a GET with retries and a second, sound endpoint; and
of a POST there, which is never executed twice. It is the same for clients of HTTP/1 and HTTP/2. The last
test here compares."""
import re

import pytest

from support import Closed, config_for, eventually, scaled
from support.clock import ROOT, SCALE
from support.dns import NXDOMAIN, SERVFAIL, DnsServer
from support.faults import BODY, IN_UPLOAD, Blackhole, FaultyOrigin
from support.h2 import H2Client, StreamReset
from support.http1 import ProtocolError

OK = "200"
BROKEN = "broken off"  # after the head: neither a status nor another attempt can help


class Cell:
    """What becomes of three requests: "200", BROKEN, or "STATUS token". Where the fault needs a body, the
    first is a POST and the second a PUT."""

    def __init__(self, alone, get, post, upload=False):
        self.outcomes = [alone, get, post]
        self.methods = ["POST", "PUT", "POST"] if upload else ["GET", "GET", "POST"]

    def __str__(self):
        alone, get, post = map(_tick, self.outcomes)
        return f"{alone}; {self.methods[1]} {get}; POST {post}"


def _tick(outcome):
    return re.sub(r"^(\d+) (\w+)$", r"\1 `\2`", outcome)


def both(*outcomes, **how):
    return {"h1": Cell(*outcomes, **how), "h2": Cell(*outcomes, **how)}


CELLS = {
    "refuse": both("502 connect_failed", OK, OK),
    "hang at connect": both("504 connect_timeout", OK, OK),
    "reset in upload": both("502 origin_reset", OK, "502 origin_reset", upload=True),
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
    """With the client's protocol; that of HTTP/2 does not wait for origins of HTTP/1 that hang, since time
    is what those tests take."""
    return [pytest.param(fault, client, protocol, id=f"{client}-{protocol}-{fault}")
            for fault, by_protocol in CELLS.items() for protocol in by_protocol for client in ("h1", "h2")
            if (client, protocol) != ("h2", "h1") or not fault.startswith("hang")]


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
    """/alone leads to the failing one, without retries; /sound to the other; / to both, to the failing one
    first. Time-outs are short where they are what ends the waiting."""
    short = f"{150 * SCALE}ms" if fault.startswith("hang") else "5s"
    retry = {"max_retries": 1, "on": ["connect", "refused", "reset", "timeout"], "per_try_timeout": short,
             "backoff": {"base": "0s"}, "budget_min": 10}
    common = {"protocol": protocol, "connect_timeout": f"{100 * SCALE}ms" if fault == "hang at connect" else "5s"}
    config = config_for(sick, cluster=common, route={
        "name": "alone", "match": {"path_prefix": "/alone"}, "timeout": short, "idle_timeout": short})
    config["clusters"]["sound"] = {**common, "endpoints": [sound.url]}
    config["clusters"]["both"] = {**common, "balancer": "weighted", "retry": retry, "endpoints": [
        {"url": sick.url, "weight": 1000}, {"url": sound.url, "weight": 1}]}
    config["routes"].append({"name": "sound", "match": {"path_prefix": "/sound"}, "cluster": "sound"})
    config["routes"].append({"name": "both", "cluster": "both", "timeout": "10s", "idle_timeout": short})
    return tidegate(config)


class Asker:
    """Says what becomes of requests. Those of HTTP/1 have a connection each; those of HTTP/2 share one, which
    outlives whatever becomes of its streams."""

    def __init__(self, client_to, client_protocol, proxy):
        shared = client_to(proxy) if client_protocol == "h2" else None
        self.client = lambda: shared or client_to(proxy)

    def __call__(self, *request):
        return self.outcome(self.send(*request))

    def send(self, method, path, sender=None):
        client = self.client()
        return client, method, (sender or self.send_whole)(client, method, path)

    @staticmethod
    def outcome(sent):
        client, method, stream = sent
        try:
            reply = client.response(method, stream) if isinstance(client, H2Client) else client.response(method)
        except (Closed, ProtocolError, StreamReset):
            return BROKEN
        if reply.status == 200:
            assert reply.body == BODY
            return OK
        return f"{reply.status} {reply.json()['error']}"

    @staticmethod
    def send_whole(client, method, path):
        return client.send_request(method, path, body=b"pay" if method == "POST" else None)

    def send_to_slow(self, sick):
        """While the answer is on its way, others are served: on another connection, or on this one."""
        def send(client, method, path):
            stream = self.send_whole(client, method, path)
            for _ in range(2):  # in the head, then in the body
                assert sick.paused.acquire(timeout=scaled(5)), "the answer never began"
                assert self.client().get("/sound").body == BODY
                sick.go_on.release()
            return stream
        return send

    @staticmethod
    def send_in_parts(sick):
        """The fault comes between two parts of the body. Only a second attempt needs the second."""
        def send(client, method, path):
            over_h2 = isinstance(client, H2Client)
            begin = client.start if over_h2 else client.send_head
            stream = begin(method, path, {"Content-Length": "3"})

            def go_on(data, end):
                return client.send_data(stream, data, end) if over_h2 else client.send(data)
            go_on(b"pa", False)
            assert sick.parts.acquire(timeout=scaled(5)), "the body never began"
            if method == "PUT":
                go_on(b"y", True)
            return stream
        return send


@pytest.fixture
def asker_of(client_to, client_protocol):
    return lambda proxy: Asker(client_to, client_protocol, proxy)


@pytest.mark.parametrize("fault,client_protocol,protocol", cells())
def test_a_fault(fault, client_protocol, protocol, sick, tidegate, asker_of):
    expected = CELLS[fault][protocol]
    with FaultyOrigin(protocol) as sound:
        proxy = front(tidegate, protocol, sick, sound, fault)
        ask = asker_of(proxy)
        sender = {"slow down": ask.send_to_slow, "reset in upload": ask.send_in_parts}.get(fault, lambda _: None)(sick)
        alone, get, post = [(method, path, sender) for method, path in zip(expected.methods, ("/alone", "/", "/"))]
        if fault.startswith("hang"):  # two together, as both wait
            seen = [ask.outcome(sent) for sent in [ask.send(*alone), ask.send(*get)]] + [ask(*post)]
        else:
            seen = []
            for request in (alone, get, post):
                if fault == "close keep-alive in use":
                    assert ask("GET", request[1]) == OK  # leaves a connection to be used again
                seen.append(ask(*request))
        assert seen == expected.outcomes
        arrived = sum(one.count("POST") for one in (sick, sound) if isinstance(one, FaultyOrigin))
        refused = fault in ("refuse stream", "close keep-alive in use") and protocol == "h2"
        assert arrived == (0 if fault in IN_UPLOAD else 2 if refused else 1), "it was executed once at most"
        assert ask("GET", "/sound") == OK
        assert proxy.admin("/ready").status == 200


@pytest.mark.parametrize("protocol", ["h1", "h2"])
def test_an_endpoint_that_flaps(protocol, tidegate, asker_of):
    with FaultyOrigin(protocol) as sick, FaultyOrigin(protocol) as sound:
        ask = asker_of(front(tidegate, protocol, sick, sound, "flap"))
        posts = 0
        for _ in range(6):
            assert ask("GET", "/") == OK
            posts += 1
            assert ask("POST", "/")[:3] in ("200", "502")
            sick.down()
            assert ask("GET", "/") == OK
            posts += 1
            assert ask("POST", "/")[:3] in ("200", "502")
            sick.up()
        assert sick.count("POST") + sound.count("POST") <= posts


@pytest.mark.parametrize("client_protocol", ["h1"])
@pytest.mark.parametrize("protocol", ["h1", "h2"])
@pytest.mark.parametrize("fault", DNS_FAULTS)
def test_dns_fails(protocol, fault, tidegate, asker_of):
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
        ask = asker_of(early)
        assert ask("GET", "/") == "503 no_endpoint"
        dns.set("users.test", a=["127.0.0.1"], ttl=0)
        eventually(lambda: ask("GET", "/") == OK)
        DNS_FAULTS[fault](dns)
        early.wait_for_log(message="DNS names no endpoints: those that are known stay")
        assert [ask(method, "/") for method in ("GET", "POST")] == [OK, OK]


# -- the table ------------------------------------------------------------------------------------------
def table():
    """The rows of the README's table, as they are to be. A cell is test[CLIENT-ORIGIN-FAULT]."""
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
