# SPDX-License-Identifier: Apache-2.0
"""Connections to origins are kept, reused, capped and let go."""
import contextlib
import socket
import subprocess
import threading
import time

import pytest

from support import config_for, eventually, scaled
from support.h2 import H2Origin


def test_sequential_requests_share_one_connection(origin, proxy_to, connect):
    proxy = proxy_to(origin)
    for _ in range(5):
        client = connect(proxy)
        for _ in range(5):
            assert client.get("/").status == 200
    assert len(origin.requests) == 25
    assert origin.connections == 1


def test_concurrent_requests_get_a_connection_each(origin, proxy_to, connect):
    gate = threading.Barrier(4, timeout=scaled(5))

    def meet(exchange):
        gate.wait()
        exchange.reply()
    origin.on("/", meet)
    proxy = proxy_to(origin)
    clients = [connect(proxy) for _ in range(4)]
    for client in clients:
        client.send_request("GET", "/")
    assert [client.response().status for client in clients] == [200] * 4
    assert origin.connections == 4


def test_an_idle_connection_is_closed_in_time(origin, proxy_to, connect):
    proxy = proxy_to(origin, cluster={"pool": {"idle_timeout": "300ms"}})
    client = connect(proxy)
    assert client.get("/").status == 200
    origin.wait_until_open(0)
    assert client.get("/").status == 200
    assert origin.connections == 2


def test_idle_timeout_zero_keeps_nothing(origin, proxy_to, connect):
    client = connect(proxy_to(origin, cluster={"pool": {"idle_timeout": "0s"}}))
    for _ in range(3):
        assert client.get("/").status == 200
    assert origin.connections == 3
    origin.wait_until_open(0)


def test_a_connection_is_replaced_after_max_requests(origin, proxy_to, connect):
    client = connect(proxy_to(origin, cluster={"pool": {"max_requests": 2}}))
    for _ in range(6):
        assert client.get("/").status == 200
    assert origin.connections == 3


def test_a_dead_connection_costs_nobody_an_answer(origin, proxy_to, connect):
    """The origin closes its kept connection just when the next request is sent on it."""
    def script(wire, number):
        wire.read_until(b"\r\n\r\n")
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n%02d" % number)
        if number == 0:
            wire.read_until(b"\r\n\r\n")  # the second request arrives, and is not answered
            wire.close()
        else:
            wire.expect_closed()
    origin.raw(script)
    proxy = proxy_to(origin)
    client = connect(proxy)
    assert client.get("/").body == b"00"
    assert client.get("/").body == b"01"
    assert proxy.wait_for_access(count=2)[1]["status"] == 200


def test_a_reset_connection_costs_nobody_an_answer(origin, proxy_to, connect):
    def script(wire, number):
        wire.read_until(b"\r\n\r\n")
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n%02d" % number)
        if number == 0:
            wire.read_until(b"\r\n\r\n")
            wire.reset()
        else:
            wire.expect_closed()
    origin.raw(script)
    client = connect(proxy_to(origin))
    assert client.get("/").body == b"00"
    assert client.get("/").body == b"01"


def test_a_connection_closed_while_idle_is_noticed(origin, proxy_to, connect):
    """Here nothing was sent on it, so that a POST is safe too."""
    def script(wire, number):
        wire.read_until(b"\r\n\r\n")
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n%02d" % number)
        if number == 0:
            wire.close()
        else:
            wire.expect_closed()
    origin.raw(script)
    client = connect(proxy_to(origin))
    assert client.get("/").body == b"00"
    origin.wait_until_open(0)
    client.send_head("POST", "/", {"Content-Length": "0"})
    assert client.response().body == b"01"


def test_a_post_that_may_have_arrived_is_not_sent_twice(origin, proxy_to, connect):
    posts = []

    def script(wire, number):
        wire.read_until(b"\r\n\r\n")
        if number > 0:
            posts.append("again")
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        if number == 0:
            wire.read_until(b"\r\n\r\nbody")
            posts.append("first")
            wire.close()
        else:
            wire.expect_closed()
    origin.raw(script)
    client = connect(proxy_to(origin))
    assert client.get("/").status == 200
    assert client.post("/", b"body").status == 502
    assert posts == ["first"]


def test_a_fresh_connection_gets_no_free_try(origin, proxy_to, connect):
    def script(wire, _):
        wire.read_until(b"\r\n\r\n")
        wire.close()
    origin.raw(script)
    assert connect(proxy_to(origin)).get("/").status == 502
    assert origin.connections == 1


def test_the_free_try_is_one(origin, proxy_to, connect):
    """Two kept connections, both dead: the second try opens a fresh one or ends in an error, but
    does not go round for ever."""
    gate = threading.Barrier(2, timeout=scaled(5))

    def script(wire, number):
        wire.read_until(b"\r\n\r\n")
        if number < 2:
            gate.wait()
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            wire.read_some()  # the next request, or the end
        wire.close()
    origin.raw(script)
    proxy = proxy_to(origin)
    clients = [connect(proxy), connect(proxy)]
    for client in clients:
        client.send_request("GET", "/")
    assert [client.response().status for client in clients] == [200, 200]
    assert clients[0].get("/").status == 502
    assert origin.connections <= 3


def test_requests_over_max_connections_wait_their_turn(origin, proxy_to, connect):
    release = threading.Event()

    def slow(exchange):
        exchange.wait(release)
        exchange.reply(body=exchange.request.path)
    origin.otherwise(slow)
    proxy = proxy_to(origin, cluster={"pool": {"max_connections": 2}})
    clients = [connect(proxy) for _ in range(6)]
    for number, client in enumerate(clients):
        client.send_request("GET", f"/{number}")
    origin.wait_for_requests(2)
    eventually(lambda: proxy.metrics()("proxy_requests_active") == 6)
    assert (origin.connections, len(origin.requests)) == (2, 2)
    release.set()
    assert [client.response().text for client in clients] == [f"/{number}" for number in range(6)]
    assert origin.connections == 2


def test_too_many_waiting_requests_are_refused_at_once(origin, proxy_to, connect):
    release = threading.Event()

    def slow(exchange):
        exchange.wait(release)
        exchange.reply()
    origin.otherwise(slow)
    proxy = proxy_to(origin, cluster={"pool": {"max_connections": 1, "max_pending": 2}})
    waiting = [connect(proxy) for _ in range(3)]
    for number, client in enumerate(waiting):
        client.send_request("GET", f"/{number}")
        eventually(lambda n=number: proxy.metrics()("proxy_requests_active") == n + 1)
    refused = connect(proxy).get("/too-many")
    assert (refused.status, refused.json()["error"]) == (503, "pool_overflow")
    release.set()
    assert [client.response().status for client in waiting] == [200] * 3


@pytest.mark.parametrize("most", [0, 3])
def test_o13_nobody_may_wait_for_others_but_for_a_new_connection(origin, proxy_to, connect, most):
    gate = threading.Event()

    def slow(exchange):
        exchange.wait(gate)
        exchange.reply()
    origin.on("/slow", slow)
    proxy = proxy_to(origin, cluster={"pool": {"max_connections": most, "max_pending": 0},
                                      "health_check": {"path": "/health", "interval": "20ms"}})
    waiting = [connect(proxy) for _ in range(3)]
    for client in waiting:
        client.send_request("GET", "/slow")
    origin.wait_for_requests(3)
    last = connect(proxy).get("/")
    assert last.status == (200 if most == 0 else 503)
    if most:
        assert last.json()["error"] == "pool_overflow"
    gate.set()
    assert [client.response().status for client in waiting] == [200] * 3
    assert connect(proxy).get("/").status == 200
    # Checks are made by connections of their own.
    eventually(lambda: proxy.metrics()("proxy_health_checks_total", default=0, result="passed") >= 2)
    assert proxy.metrics()("proxy_health_checks_total", default=0, result="failed") == 0


@pytest.mark.parametrize("protocol", ["h1", "h2"])
def test_o13_a_crowd_that_comes_at_once_gets_its_connections(make_origin, proxy_to, connect, protocol):
    with contextlib.closing(H2Origin() if protocol == "h2" else make_origin()) as origin:
        origin.otherwise(lambda exchange: exchange.reply(200))
        proxy = proxy_to(origin, cluster={"protocol": protocol, "pool": {"max_pending": 0}})
        clients = [connect(proxy) for _ in range(30)]
        for client in clients:
            client.send_request("GET", "/")
        assert {client.response().status for client in clients} == {200}


def test_a_waiting_request_whose_client_leaves_is_forgotten(origin, proxy_to, connect):
    release = threading.Event()

    def slow(exchange):
        exchange.wait(release)
        exchange.reply()
    origin.otherwise(slow)
    proxy = proxy_to(origin, cluster={"pool": {"max_connections": 1}})
    first, second = connect(proxy), connect(proxy)
    first.send_request("GET", "/first")
    origin.wait_for_requests(1)
    second.send_request("GET", "/second")
    eventually(lambda: proxy.metrics()("proxy_requests_active") == 2)
    second.reset()
    proxy.wait_for_access(path="/second", error="client_closed")
    release.set()
    assert first.response().status == 200
    assert connect(proxy).get("/third").status == 200
    assert origin.paths() == ["/first", "/third"]


def test_a_connection_with_an_unread_answer_is_not_reused(origin, proxy_to, connect):
    """The client left in the middle of the body: what is still in flight belongs to nobody."""
    def endless(exchange):
        exchange.start_chunked()
        while True:
            exchange.chunk("x" * 1000)
    origin.on("/endless", endless, may_break=True)
    proxy = proxy_to(origin)
    client = connect(proxy)
    client.send_request("GET", "/endless")
    assert client.read_head().status == 200
    client.reset()
    origin.wait_until_open(0)
    assert connect(proxy).get("/after").body == b"ok"
    assert origin.connections == 2


@pytest.fixture
def two_addresses(tmp_path):
    """How to run a program for which the name both.test has two addresses, and sees its /etc/hosts."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n127.0.0.2 both.test\n127.0.0.1 both.test\n")
    prefix = ["unshare", "--mount", "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$@"', "sh"]
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no leave for a mount namespace")
    return prefix


def test_an_address_that_does_not_answer_is_passed_over_and_remembered(
        tidegate, make_origin, connect, two_addresses):
    """Of a name with two addresses one swallows what it is sent."""
    origin = make_origin("second")
    silent = socket.create_server(("127.0.0.2", origin.port), backlog=0)
    waiting = [socket.socket() for _ in range(4)]
    for one in waiting:  # nobody accepts: its queue is full, and the kernel drops what comes
        one.setblocking(False)
        one.connect_ex(("127.0.0.2", origin.port))
    config = config_for(origin, cluster={"connect_timeout": "2s", "pool": {"idle_timeout": "0s"}})
    config["clusters"]["origin"]["endpoints"] = [f"http://both.test:{origin.port}"]
    client = connect(tidegate(config, prefix=two_addresses))
    assert client.get("/").status == 200
    begin = time.monotonic()
    for _ in range(5):
        assert client.get("/").status == 200
    assert time.monotonic() - begin < scaled(1), "it begins with the one that answered"
    for one in (silent, *waiting):
        one.close()
