# SPDX-License-Identifier: Apache-2.0
"""Caps on what is under way at once: clusters, routes, clients; queues; memory."""
import contextlib
import threading
import time

import pytest

from support import Client, eventually, scaled
from support.clock import SANITIZER


class Gate:
    """An origin's handler that holds requests until it is opened."""

    def __init__(self):
        self.open = threading.Event()
        self.arrived = []

    def __call__(self, exchange):
        self.arrived.append(exchange.request)
        exchange.wait(self.open, 20)
        exchange.reply(200, b"ok")


def fill(proxy, stack, count, headers=None):
    """That many requests, sent and not answered."""
    held = []
    for _ in range(count):
        client = stack.enter_context(Client(proxy.port(), timeout=scaled(20)))
        client.send_request("GET", "/", headers or {})
        held.append(client)
    return held


@pytest.fixture
def held(make_origin):
    gate = Gate()
    origin = make_origin()
    origin.otherwise(gate, may_break=True)
    yield origin, gate
    gate.open.set()


CAPS = [({"cluster": {"limits": {"max_requests": 3}}}, 503, "cluster_busy"),
        ({"route": {"max_requests": 3}}, 503, "route_busy"),
        ({"route": {"max_requests_per_client": 3}}, 429, "client_busy")]


@pytest.mark.parametrize("config,status,token", CAPS)
def test_over_the_cap_requests_are_refused_at_once(held, proxy_to, config, status, token):
    origin, gate = held
    proxy = proxy_to(origin, **config)
    with contextlib.ExitStack() as stack:
        waiting = fill(proxy, stack, 3)
        eventually(lambda: len(gate.arrived) == 3)
        refused = proxy.get("/")
        assert (refused.status, refused.json()["error"]) == (status, token)
        gate.open.set()
        assert [client.response().status for client in waiting] == [200] * 3
    assert proxy.get("/").status == 200
    assert proxy.metrics()("proxy_errors_total", error=token) == 1


@pytest.mark.parametrize("config,status,token", CAPS)
def test_a_place_comes_back_whatever_the_outcome(held, make_origin, proxy_to, config, status, token):
    """Clients that leave without an answer, again and again."""
    origin, gate = held
    proxy = proxy_to(origin, **config)
    for _ in range(3):
        with contextlib.ExitStack() as stack:
            before = len(gate.arrived)
            waiting = fill(proxy, stack, 3)
            eventually(lambda: len(gate.arrived) == before + 3)
            assert proxy.get("/").status == status
            for client in waiting:
                client.reset()
        # They have gone without their answers.
        eventually(lambda: proxy.metrics()("proxy_requests_active") == 0)
    gate.open.set()
    assert proxy.get("/").status == 200


def comes_back_in(seconds, gate):
    """An origin that wants /bad to come back; all else, and /bad then, it holds until the gate opens."""
    asked = set()

    def handle(exchange):
        if exchange.request.path.startswith("/bad") and exchange.request.path not in asked:
            asked.add(exchange.request.path)
            return exchange.reply(503, b"", {"Retry-After": str(seconds)})
        if exchange.request.path == "/good":
            return exchange.reply(200, b"good")
        gate(exchange)

    return handle


def with_retry(config):
    cluster = {**config.get("cluster", {}), "retry": {"max_retries": 1, "budget": "100%", "budget_min": 10}}
    return {**config, "cluster": cluster, "route": {"timeout": "60s", **config.get("route", {})}}


def waits_for_retry(proxy, count):
    return proxy.metrics()("proxy_backend_request_duration_seconds_count", default=0) == count


@pytest.mark.parametrize("config,status,token", CAPS)
def test_o8_a_retry_that_waits_takes_no_place(held, proxy_to, config, status, token):
    origin, gate = held
    origin.otherwise(comes_back_in(40, gate), may_break=True)
    proxy = proxy_to(origin, **with_retry(config))
    with contextlib.ExitStack() as stack:
        bad = []
        for number in range(3):
            bad.append(stack.enter_context(Client(proxy.port())))
            bad[-1].send_request("GET", f"/bad{number}")
        eventually(lambda: waits_for_retry(proxy, 3))
        assert [proxy.get("/good").status for _ in range(5)] == [200] * 5
        for client in bad:
            client.reset()
    # Clients that have left take nothing along with them.
    eventually(lambda: proxy.metrics()("proxy_requests_active") == 0)
    with contextlib.ExitStack() as stack:
        waiting = fill(proxy, stack, 3)
        eventually(lambda: len(gate.arrived) == 3)
        assert proxy.get("/good").status == status
        gate.open.set()
        assert [client.response().status for client in waiting] == [200] * 3
    assert proxy.metrics()("proxy_retries_total", default=0) == 0


@pytest.mark.parametrize("config,status,token", CAPS)
def test_o8_a_retry_that_comes_back_needs_a_place_again(held, proxy_to, config, status, token):
    origin, gate = held
    origin.otherwise(comes_back_in(1, gate), may_break=True)
    proxy = proxy_to(origin, **with_retry(config))
    with contextlib.ExitStack() as stack:
        bad = stack.enter_context(Client(proxy.port(), timeout=scaled(20)))
        bad.send_request("GET", "/bad")
        eventually(lambda: waits_for_retry(proxy, 1))
        waiting = fill(proxy, stack, 3)
        answer = bad.response()
        assert (answer.status, answer.json()["error"]) == (status, token)
        gate.open.set()
        assert [client.response().status for client in waiting] == [200] * 3
    # O24: it never became an attempt.
    assert proxy.metrics()("proxy_retries_total", default=0) == 0
    assert proxy.wait_for_access(path="/bad")["attempts"] == 1


@pytest.mark.parametrize("config,status,token", CAPS)
def test_o8_a_retry_that_has_come_back_counts(held, proxy_to, config, status, token):
    origin, gate = held
    origin.otherwise(comes_back_in(1, gate), may_break=True)
    proxy = proxy_to(origin, **with_retry(config))
    with contextlib.ExitStack() as stack:
        bad = []
        for number in range(3):
            bad.append(stack.enter_context(Client(proxy.port(), timeout=scaled(20))))
            bad[-1].send_request("GET", f"/bad{number}")
        eventually(lambda: len(gate.arrived) == 3)
        assert proxy.get("/good").status == status
        gate.open.set()
        assert [client.response().status for client in bad] == [200] * 3
    assert proxy.get("/good").status == 200
    assert proxy.metrics()("proxy_retries_total", reason="status") == 3


def test_clients_are_counted_apart(held, proxy_to):
    origin, gate = held
    proxy = proxy_to(origin, route={"max_requests_per_client": 2}, listener={"trusted_proxies": ["127.0.0.0/8"]})
    with contextlib.ExitStack() as stack:
        fill(proxy, stack, 2, {"X-Forwarded-For": "192.0.2.1"})
        eventually(lambda: len(gate.arrived) == 2)
        assert proxy.get("/", {"X-Forwarded-For": "192.0.2.1"}).status == 429
        other, = fill(proxy, stack, 1, {"X-Forwarded-For": "192.0.2.2"})
        eventually(lambda: len(gate.arrived) == 3)
        gate.open.set()
        assert other.response().status == 200


def test_a_reload_keeps_counting_what_is_under_way(held, proxy_to):
    origin, gate = held
    proxy = proxy_to(origin, cluster={"limits": {"max_requests": 2}})
    with contextlib.ExitStack() as stack:
        fill(proxy, stack, 2)
        eventually(lambda: len(gate.arrived) == 2)
        assert proxy.admin("/reload", "POST").status == 200
        assert proxy.get("/").status == 503
        gate.open.set()


@pytest.mark.workers
def test_the_cap_is_exact_over_workers(make_origin, proxy_to):
    """Many clients on four workers: never more than eight at the origin, and often eight."""
    lock, now, most = threading.Lock(), [0], [0]

    def count(exchange):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.005)
        with lock:
            now[0] -= 1
        exchange.reply(200)

    origin = make_origin()
    origin.otherwise(count)
    proxy = proxy_to(origin, cluster={"limits": {"max_requests": 8}}, workers=4)
    statuses = []

    def press():
        with Client(proxy.port(), timeout=scaled(20)) as client:
            statuses.extend(client.get("/").status for _ in range(40))

    team = [threading.Thread(target=press) for _ in range(16)]
    for thread in team:
        thread.start()
    for thread in team:
        thread.join(scaled(30))
    assert set(statuses) <= {200, 503} and len(statuses) == 640
    assert most[0] <= 8 and statuses.count(200) > 8
    assert proxy.get("/").status == 200


def test_who_waits_too_long_for_a_connection_is_told(held, proxy_to):
    origin, gate = held
    proxy = proxy_to(origin, cluster={"pool": {"max_connections": 1, "pending_timeout": "60ms"}})
    with contextlib.ExitStack() as stack:
        first, = fill(proxy, stack, 1)
        eventually(lambda: len(gate.arrived) == 1)
        late = proxy.get("/")
        assert (late.status, late.json()["error"]) == (503, "pending_timeout")
        gate.open.set()
        assert first.response().status == 200


def test_the_queue_is_fair_over_clients(make_origin, proxy_to):
    """One client has twenty waiting; another's one request is served among the first."""
    gate = Gate()
    origin = make_origin()
    origin.otherwise(gate)
    proxy = proxy_to(origin, cluster={"pool": {"max_connections": 1}}, listener={"trusted_proxies": ["127.0.0.0/8"]})
    with contextlib.ExitStack() as stack:
        fill(proxy, stack, 20, {"X-Forwarded-For": "192.0.2.1", "X-Who": "greedy"})
        eventually(lambda: proxy.metrics()("proxy_requests_active") == 20)
        modest, = fill(proxy, stack, 1, {"X-Forwarded-For": "192.0.2.2", "X-Who": "modest"})
        eventually(lambda: proxy.metrics()("proxy_requests_active") == 21)
        gate.open.set()
        assert modest.response().status == 200
        eventually(lambda: len(gate.arrived) == 21)
    assert [r.headers.get("x-who") for r in gate.arrived].index("modest") <= 2


def test_out_of_memory_new_clients_are_refused_and_later_taken(origin, proxy_to, connect):
    """The watermark is below what the process needs at all, then far above."""
    config = {"max_memory": "4MiB", "admin": {"address": "127.0.0.1:0"}}
    proxy = proxy_to(origin, **config)
    proxy.wait_for_log(message="out of memory: new connections are refused")
    with Client(proxy.port()) as client:
        client.expect_closed()
    text = proxy.config_file.read_text(encoding="utf-8").replace("4MiB", "4GiB")
    proxy._write(proxy.config_file, text)
    proxy.signal(1)
    proxy.wait_for_log(message="configuration loaded")
    assert connect(proxy).get("/").status == 200


@pytest.mark.skipif(SANITIZER is not None, reason="a sanitizer keeps what is freed")
def test_memory_that_held_bodies_took_comes_back_with_no_reload(origin, scripted, connect):
    """Bodies that a script waits for fill it; when they are gone, new and old clients are served again."""
    each, holders = 8 << 20, 20
    proxy = scripted("function on_request(request) request:body() end", origin, budget={"memory": "1GiB", "time": "1m"},
                     config={"max_memory": "160MiB"})
    old = connect(proxy)
    assert old.get("/").status == 200
    clients = [connect(proxy, timeout=20) for _ in range(holders)]
    for client in clients:
        client.send_head("POST", "/", {"Content-Length": str(each)})
    eventually(lambda: proxy.metrics()("proxy_requests_active") == holders)  # before there is no room for them
    for client in clients:
        client.send(bytes(each - 1))
    proxy.wait_for_log(message="out of memory: new connections are refused")
    with Client(proxy.port()) as late:
        late.expect_closed()
    eventually(lambda: old.get("/").status == 503)
    assert proxy.memory_kib() > 160 << 10
    # One that was admitted is served even now, the others leave.
    clients[0].send(b"x")
    assert clients[0].response(to="POST").status == 200
    for client in clients[1:]:
        client.reset()
    proxy.wait_for_log(message="memory is free again: new connections are taken")
    eventually(lambda: old.get("/").status == 200)
    assert connect(proxy).get("/").status == 200
    assert proxy.memory_kib() < 160 << 10
    assert not any(line["message"] == "configuration loaded" for line in proxy.log_lines)


def test_out_of_memory_requests_of_old_clients_are_refused(origin, proxy_to, connect):
    proxy = proxy_to(origin, max_memory="4GiB")
    client = connect(proxy)
    assert client.get("/").status == 200
    text = proxy.config_file.read_text(encoding="utf-8").replace("4GiB", "4MiB")
    proxy._write(proxy.config_file, text)
    proxy.signal(1)
    proxy.wait_for_log(message="configuration loaded")
    refused = client.get("/")
    assert (refused.status, refused.json()["error"]) == (503, "overloaded")
    assert len(origin.requests) == 1
