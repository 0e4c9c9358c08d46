# SPDX-License-Identifier: Apache-2.0
"""Out of descriptors: serve what is accepted, recover by itself."""
import signal
import socket
import subprocess
import threading

import pytest

from support import Client, admin, config_for, eventually, scaled
from support.clock import BINARY, SANITIZER
from support.config import as_yaml

# UBSan opens a pipe to see whether it may read an object's type; without descriptors it can not, and
# takes the object for a broken one.
starves = pytest.mark.skipif(SANITIZER == "address", reason="UBSan itself needs descriptors")

LIMIT = 96
RESERVED = 8  # of these, for the admin address and for files
FULL = LIMIT - RESERVED


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
    eventually(lambda: proxy.descriptors() >= FULL, what="the descriptors are used up")
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
    eventually(lambda: proxy.descriptors() >= FULL)
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
    eventually(lambda: proxy.descriptors() >= FULL, what="the descriptors are used up")
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
    eventually(lambda: proxy.descriptors() >= FULL, what="the descriptors are used up")
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


@pytest.fixture
def flooded(tidegate, origin):
    """A proxy whose ordinary descriptors are all taken by clients that say nothing."""
    floods = []

    def start(limit=100, clients=150, scripts=None, **config):
        scripts = {"policy.lua": "function on_response(r) r.headers['x-version'] = '1' end", **(scripts or {})}
        proxy = tidegate(config_for(origin, policies={"policy": "policy.lua"}, log={"access": "access.log"}, **config),
                         scripts, descriptors=limit)
        floods.extend(open_many(proxy.port(), clients))
        eventually(lambda: proxy.descriptors() >= limit - max(8, limit // 16), what="the descriptors are used up")
        return proxy, floods
    yield start
    for sock in floods:
        sock.close()


@starves
@pytest.mark.parametrize(("limit", "workers"), [(100, 1), (100, 4), (200, 2)])
def test_o11_admin_and_files_have_descriptors_when_clients_have_taken_the_rest(flooded, limit, workers):
    proxy, _ = flooded(limit, limit + 50, workers=workers)
    for path in ("/health", "/ready", "/metrics", "/config", "/clusters"):
        assert proxy.admin(path).status == 200
    assert proxy.admin("/reload", "POST").json() == {"reloaded": True}
    proxy.signal(signal.SIGHUP)
    proxy.wait_for_log(message="configuration loaded")
    proxy.edit("policy.lua", "function on_response(r) r.headers['x-version'] = '2' end")
    (proxy.folder / "access.log").rename(proxy.folder / "access.log.1")
    proxy.signal(signal.SIGUSR1)
    eventually((proxy.folder / "access.log").exists)


@starves
def test_o11_a_client_that_came_too_late_is_served_when_there_is_room(flooded):
    proxy, floods = flooded()
    with Client(proxy.port(), timeout=scaled(10)) as late:
        late.send_request("GET", "/late")
        late.expect_silence(0.2)
        for sock in floods:
            sock.close()
        assert late.response().status == 200


@starves
def test_o11_a_new_listener_opens_while_clients_have_taken_the_rest(flooded, origin):
    proxy, floods = flooded()
    config = config_for(origin, policies={"policy": "policy.lua"})
    config["listeners"].append({"name": "new", "address": "127.0.0.1:0"})
    proxy.write_config(config)
    assert proxy.admin("/reload", "POST").json() == {"reloaded": True}
    for sock in floods:
        sock.close()
    eventually(lambda: proxy.descriptors() < 50, 15)
    with Client(proxy.port("new")) as client:
        assert client.get("/").status == 200


@pytest.mark.parametrize(("listeners", "limit", "warns"), [
    ([10000], 1024, True), ([600, 600], 1024, True), ([600], 1024, False), ([1024], 1024, True)])
def test_o11_max_connections_beyond_the_limit_is_said_at_the_start(tidegate, origin, listeners, limit, warns):
    config = config_for(origin)
    config["listeners"] = [{"name": f"l{n}", "address": "127.0.0.1:0", "max_connections": most}
                           for n, most in enumerate(listeners)]
    proxy = tidegate(config, descriptors=limit)
    said = [line for line in proxy.log_lines
            if line["message"] == "max_connections of all listeners exceeds what the open files limit allows"]
    assert [line["max_connections"] for line in said] == ([sum(listeners)] if warns else [])


@starves
def test_o10_the_admin_address_opens_before_health_checks_take_descriptors(tidegate, make_origin):
    """A thousand endpoints, checked at once, and descriptors for two hundred."""
    silent = make_origin("silent")
    silent.on("/health", lambda exchange: exchange.expect_gone(), may_break=True)
    endpoints = [silent.url.replace("127.0.0.1", f"127.0.{n // 250}.{n % 250 + 1}") for n in range(1000)]
    config = config_for(*endpoints, cluster={"health_check": {"path": "/health", "interval": "1s", "timeout": "900ms"}},
                        admin={"address": "127.0.0.1:0"})
    proxy = tidegate(config, descriptors=200)
    for path in ("/health", "/metrics", "/status") * 3:
        assert proxy.admin(path).status == 200


def test_o11_idle_admin_connections_leave_room_and_make_way(tidegate, origin, connect):
    proxy = tidegate(config_for(origin), descriptors=400)
    idle = open_many(proxy.port("admin"), 1000)
    eventually(lambda: proxy.descriptors() >= 40)
    assert proxy.descriptors() < 100
    assert connect(proxy).get("/").status == 200
    for sock in idle:
        sock.close()
    eventually(lambda: is_healthy(proxy))


def is_healthy(proxy):
    try:
        return admin.call(proxy.port("admin"), "GET", "/health").status == 200
    except OSError:
        return False


@starves
@pytest.mark.parametrize("limit", [10, 12, 14])
def test_o11_too_few_descriptors_to_start_with_are_an_error_and_no_crash(tmp_path, origin, limit):
    config = tmp_path / "tidegate.yaml"
    config.write_text(as_yaml(config_for(origin)), encoding="utf-8")
    done = subprocess.run(["prlimit", f"--nofile={limit}", str(BINARY), "run", "--config", str(config)],
                          capture_output=True, text=True, timeout=scaled(10), check=False)
    assert done.returncode == 1, done.stderr
    assert "Too many open files" in done.stderr or "no descriptor left" in done.stderr
