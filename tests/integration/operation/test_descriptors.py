# SPDX-License-Identifier: Apache-2.0
"""Out of descriptors: serve what is accepted, recover by itself."""
import socket
import threading

import pytest

from support import Client, config_for, eventually, scaled
from support.clock import SANITIZER

# UBSan opens a pipe to see whether it may read an object's type; without descriptors it can not, and
# takes the object for a broken one.
starves = pytest.mark.skipif(SANITIZER == "address", reason="UBSan itself needs descriptors")

LIMIT = 96


def open_many(port, count):
    """Connections that say nothing."""
    clients = []
    for _ in range(count):
        sock = socket.socket()
        sock.settimeout(scaled(2))
        sock.connect(("127.0.0.1", port))  # the kernel's queue accepts, whatever the proxy does
        clients.append(sock)
    return clients


@starves
def test_running_out_of_descriptors_is_survived(origin, tidegate, connect):
    proxy = tidegate(config_for(origin), descriptors=LIMIT)
    first = connect(proxy)
    assert first.get("/before").status == 200
    flood = open_many(proxy.port(), LIMIT + 50)
    eventually(lambda: proxy.descriptors() >= LIMIT - 10, what="the descriptors are used up")
    for number in range(5):
        assert first.get(f"/during-{number}").status == 200, "who is in is served"
    for sock in flood:
        sock.close()

    def served_again():
        try:
            with Client(proxy.port(), timeout=2) as client:
                return client.get("/after").status == 200
        except Exception:  # noqa: BLE001, not yet
            return False
    eventually(served_again, 15)
    assert first.get("/still").status == 200


@starves
def test_what_the_proxy_lacks_is_not_held_against_origins(origin, tidegate, connect):
    """Without descriptors no connection to an origin can be made: breakers and health checks know better
    than to take that for the origin's fault."""
    cluster = {"pool": {"idle_timeout": "0s"}, "breaker": {"max_failures": 2, "recovery_timeout": "1h"},
               "health_check": {"path": "/health", "interval": "20ms", "timeout": "1s", "unhealthy_after": 1}}
    proxy = tidegate(config_for(origin, cluster=cluster), descriptors=LIMIT)
    first = connect(proxy)
    assert first.get("/before").status == 200
    flood = open_many(proxy.port(), LIMIT + 50)
    eventually(lambda: first.get("/").status == 503, what="no descriptor is left")
    checks = len(origin.requests)
    for _ in range(100):
        reply = first.get("/during")
        assert reply.status == 200 or reply.json()["error"] == "proxy_exhausted"
    line = proxy.wait_for_log(message="cannot check endpoints: out of descriptors, ports or memory")
    assert line["endpoint"] == origin.address
    for sock in flood:
        sock.close()
    origin.wait_for_requests(checks + 10)
    assert first.get("/after").status == 200
    eventually(lambda: proxy.descriptors() < LIMIT / 2, 15)
    endpoint = proxy.admin("/clusters").json()["clusters"][0]["endpoints"][0]
    assert (endpoint["healthy"], endpoint["breaker"]) == (True, "closed")
    metrics = proxy.metrics()
    assert metrics("proxy_health_checks_total", default=0, result="failed") == 0
    assert metrics("proxy_breaker_opened_total", endpoint=origin.address) == 0
    assert metrics("proxy_errors_total", error="proxy_exhausted") >= 1


@starves
def test_out_of_descriptors_does_not_spin(origin, tidegate, connect):
    """A listener that cannot accept must not wake the loop for ever."""
    proxy = tidegate(config_for(origin), descriptors=LIMIT)
    flood = open_many(proxy.port(), LIMIT + 50)
    eventually(lambda: proxy.descriptors() >= LIMIT - 10)
    before = proxy.cpu_seconds()
    flood[0].settimeout(1.0)
    with pytest.raises(socket.timeout):
        flood[0].recv(1)  # a second in which nothing happens
    assert proxy.cpu_seconds() - before < 0.5
    for sock in flood:
        sock.close()
    eventually(lambda: proxy.descriptors() < LIMIT / 2, 15)


def two_origins(make_origin, **cluster):
    """/kept leads to one origin, all else to another."""
    kept, other = make_origin("kept"), make_origin("other")
    config = config_for(other, cluster=cluster, routes=[{"match": {"path_prefix": "/kept"}, "cluster": "kept"}])
    config["clusters"]["kept"] = {"endpoints": [kept.url]}
    return kept, other, config


@starves
def test_an_idle_connection_to_an_origin_gives_way_to_one_that_is_needed(make_origin, tidegate, connect):
    kept, other, config = two_origins(make_origin)
    proxy = tidegate(config, descriptors=LIMIT)
    client = connect(proxy)
    assert client.get("/kept").status == 200
    flood = open_many(proxy.port(), LIMIT + 50)
    eventually(lambda: proxy.descriptors() >= LIMIT, what="the descriptors are used up")
    assert client.get("/other").status == 200
    kept.wait_until_open(0)
    assert other.connections == 1
    for sock in flood:
        sock.close()


@starves
def test_without_a_descriptor_for_an_origin_the_error_says_so_and_the_worker_lives(make_origin, tidegate, connect):
    kept, other, config = two_origins(make_origin, breaker={"max_failures": 1, "max_ejected": "100%"})
    busy = threading.Event()
    kept.otherwise(lambda exchange: (exchange.wait(busy), exchange.reply(200)))
    other.otherwise(headers={"Connection": "close"})  # leaves no idle connection
    proxy = tidegate(config, descriptors=LIMIT)
    waiting, client = connect(proxy), connect(proxy)
    assert client.get("/").status == 200
    waiting.send_request("GET", "/kept")
    kept.wait_for_requests(1)
    flood = open_many(proxy.port(), LIMIT + 50)
    eventually(lambda: proxy.descriptors() >= LIMIT, what="the descriptors are used up")
    reply = client.get("/")
    assert (reply.status, reply.json()["error"]) == (503, "proxy_exhausted")
    busy.set()
    assert waiting.response().status == 200
    for sock in flood:
        sock.close()
    eventually(lambda: proxy.descriptors() < LIMIT / 2, 15)
    assert client.get("/").status == 200, "its own shortage is no failure of the origin: no breaker opened"


def test_the_limit_is_raised_to_the_hard_one(origin, proxy_to):
    proxy = proxy_to(origin)
    with open(f"/proc/{proxy.process.pid}/limits", encoding="ascii") as limits:
        soft, hard = next(line.split()[3:5] for line in limits if line.startswith("Max open files"))
    assert soft == hard


def test_no_descriptor_leaks(origin, proxy_to):
    proxy = proxy_to(origin)

    def burst():
        for _ in range(20):
            with proxy.client() as client:
                assert client.get("/").status == 200
    burst()
    before = proxy.descriptors()
    burst()
    eventually(lambda: proxy.descriptors() <= before + 1, what=f"back to {before} descriptors")
