# SPDX-License-Identifier: Apache-2.0
"""Active checks find out which endpoints to use, before requests do."""
import selectors
import socket
import threading

import pytest

from support import Client, config_for, eventually
from support.h2 import H2Origin

CHECK = {"interval": "50ms", "timeout": "500ms", "healthy_after": 2, "unhealthy_after": 3}


def cluster(**check):
    return {"health_check": {**CHECK, **check}}


def healthy(proxy, origin):
    endpoints = proxy.admin("/clusters").json()["clusters"][0]["endpoints"]
    return next(e for e in endpoints if e["address"] == origin.address)["healthy"]


def sick(origin):
    origin.on("/health", lambda exchange: exchange.reply(500))


def well(origin):
    origin.on("/health", lambda exchange: exchange.reply(200))


def served(origin):
    return [path for path in origin.paths() if path != "/health"]


def test_an_endpoint_that_is_ill_from_the_start_gets_nothing(make_origin, proxy_to, connect):
    good, bad = make_origin("good"), make_origin("bad")
    sick(bad)
    proxy = proxy_to(good, bad, cluster=cluster(interval="1h"))
    proxy.wait_for_log(message="endpoint is unhealthy", endpoint=bad.address, reason="status 500")
    client = connect(proxy)
    for _ in range(6):
        assert client.get("/").status == 200
    assert served(bad) == [] and len(served(good)) == 6
    metrics = proxy.metrics()
    assert metrics("proxy_endpoint_healthy", endpoint=bad.address) == 0
    assert metrics("proxy_endpoint_healthy", endpoint=good.address) == 1
    assert metrics("proxy_health_checks_total", endpoint=bad.address, result="failed") == 1
    eventually(lambda: proxy.metrics()("proxy_health_checks_total", endpoint=good.address, result="passed") == 1)
    assert metrics("proxy_backend_connections_total", endpoint=bad.address, default=0) == 0, "a check is no traffic"


def test_an_endpoint_that_falls_ill_and_recovers(make_origin, proxy_to, connect):
    good, bad = make_origin("good"), make_origin("bad")
    proxy = proxy_to(good, bad, cluster=cluster())
    client = connect(proxy)
    eventually(lambda: "/health" in bad.paths())
    sick(bad)
    proxy.wait_for_log(message="endpoint is unhealthy", endpoint=bad.address)
    before = len(served(bad))
    for _ in range(6):
        assert client.get("/").status == 200
    assert len(served(bad)) == before
    well(bad)
    proxy.wait_for_log(message="endpoint is healthy", endpoint=bad.address)
    for _ in range(6):
        client.get("/")
    assert len(served(bad)) == before + 3
    changes = [l["message"] for l in proxy.log_lines if l.get("message", "").startswith("endpoint is")]
    assert changes == ["endpoint is unhealthy", "endpoint is healthy"], "logged on change only"


@pytest.mark.parametrize("fault,reason", [
    ("refuse", "connect_failed"), ("silence", "timeout"), ("close", "origin_closed"), ("nonsense", "bad_response"),
    ("redirect", "status 302")])
def test_every_fault_makes_it_unhealthy_and_is_named(make_origin, proxy_to, fault, reason):
    origin = make_origin()
    release = threading.Event()
    if fault == "refuse":
        origin.stop_listening()
    else:
        origin.on("/health", {"silence": lambda e: (e.wait(release), e.close()),
                              "close": lambda e: e.close(),
                              "nonsense": lambda e: (e.send("nonsense\r\n\r\n"), e.close()),
                              "redirect": lambda e: e.reply(302)}[fault], may_break=True)
    timeout = "100ms" if fault == "silence" else "5s"
    proxy = proxy_to(origin, cluster=cluster(interval="1h", timeout=timeout))
    assert proxy.wait_for_log(message="endpoint is unhealthy")["reason"] == reason
    release.set()


def test_path_host_status_and_body_are_as_configured(make_origin, proxy_to):
    origin = make_origin()
    origin.on("/alive", lambda exchange: exchange.reply(418, b"all is well here"))
    proxy = proxy_to(origin, cluster=cluster(path="/alive?deep=1", host="probe.example", status=[200, "410-420"],
                                             body="is well", interval="1h"))
    origin.wait_for_requests(1)
    assert (origin.last.target, origin.last.headers.get("host")) == ("/alive?deep=1", "probe.example")
    assert origin.last.headers.get("user-agent") == "tidegate-health-check"
    eventually(lambda: proxy.metrics()("proxy_health_checks_total", result="passed", default=0) == 1)
    other = make_origin("other")
    other.on("/alive", lambda exchange: exchange.reply(200, b"not so"))
    proxy = proxy_to(other, cluster=cluster(path="/alive", body="is well", interval="1h"))
    assert proxy.wait_for_log(message="endpoint is unhealthy")["reason"] == "body without the text"


def test_a_tcp_check_wants_a_connection_only(make_origin, proxy_to):
    origin = make_origin()
    sick(origin)
    proxy = proxy_to(origin, cluster=cluster(type="tcp"))
    origin.wait_for_connections(3)
    assert healthy(proxy, origin) and origin.requests == []
    origin.stop_listening()
    proxy.wait_for_log(message="endpoint is unhealthy", reason="connect_failed")
    origin.wait_until_open(0)


@pytest.mark.workers
def test_checks_run_once_per_process_and_all_workers_see_them(make_origin, proxy_to, connect):
    good, bad = make_origin("good"), make_origin("bad")
    sick(bad)
    proxy = proxy_to(good, bad, cluster=cluster(interval="1h"), workers=2)
    proxy.wait_for_log(message="endpoint is unhealthy", endpoint=bad.address)
    for _ in range(16):
        assert connect(proxy).get("/").status == 200
    assert bad.paths() == ["/health"]


def test_panic_threshold_uses_all_when_too_few_are_healthy(make_origin, proxy_to, connect):
    origins = [make_origin(name) for name in "ab"]
    for origin in origins:
        sick(origin)
    proxy = proxy_to(*origins, cluster={**cluster(interval="1h"), "panic_threshold": "50%"})
    for origin in origins:
        proxy.wait_for_log(message="endpoint is unhealthy", endpoint=origin.address)
    client = connect(proxy)
    assert [client.get("/").status for _ in range(4)] == [200] * 4
    proxy = proxy_to(*origins, cluster=cluster(interval="1h"))
    for origin in origins:
        proxy.wait_for_log(message="endpoint is unhealthy", endpoint=origin.address)
    refused = connect(proxy).get("/")
    assert (refused.status, refused.json()["error"]) == (503, "no_endpoint")


def test_a_reload_keeps_what_checks_have_found_and_ends_those_of_endpoints_that_left(make_origin, proxy_to):
    good, bad = make_origin("good"), make_origin("bad")
    sick(bad)
    proxy = proxy_to(good, bad, cluster=cluster(interval="1h"))
    proxy.wait_for_log(message="endpoint is unhealthy", endpoint=bad.address)
    assert proxy.admin("/reload", "POST").status == 200
    assert not healthy(proxy, bad)
    assert len(bad.requests) == 1, "an unchanged check does not begin anew"
    proxy.write_config(config_for(good, cluster=cluster()))
    assert proxy.admin("/reload", "POST").status == 200
    good.wait_for_requests(5)
    assert len(bad.requests) == 1
    proxy.write_config(config_for(good, bad))
    assert proxy.admin("/reload", "POST").status == 200
    assert healthy(proxy, bad), "without checks every endpoint counts as healthy"


def test_a_script_starts_a_check(make_origin, proxy_to, connect):
    origin = make_origin()
    proxy = proxy_to(origin, cluster=cluster(interval="1h"), policies={"p": "p.lua"}, scripts={
        "p.lua": "function on_request(request) proxy.cluster('origin'):health_check() end"})
    origin.wait_for_requests(1)
    eventually(lambda: proxy.metrics()("proxy_health_checks_total", result="passed", default=0) == 1)
    assert connect(proxy).get("/").status == 200
    eventually(lambda: origin.paths().count("/health") == 2)


def test_recovery_closes_the_breaker(make_origin, proxy_to, connect):
    good, bad = make_origin("good"), make_origin("bad")
    proxy = proxy_to(good, bad, cluster={**cluster(), "breaker": {"max_failures": 2, "recovery_timeout": "1h"}})
    bad.otherwise(lambda exchange: exchange.reply(503))
    well(bad)
    client = connect(proxy)
    for _ in range(6):
        client.get("/")
    proxy.wait_for_log(message="breaker opened", endpoint=bad.address)
    sick(bad)
    proxy.wait_for_log(message="endpoint is unhealthy", endpoint=bad.address)
    bad.otherwise(lambda exchange: exchange.reply(200))
    well(bad)
    proxy.wait_for_log(message="endpoint is healthy", endpoint=bad.address)
    before = len(served(bad))
    for _ in range(4):
        client.get("/")
    assert len(served(bad)) == before + 2


@pytest.fixture
def h2_origin():
    origin = H2Origin()
    origin.otherwise(status=200, may_break=True)  # a check is broken off when the proxy stops
    yield origin
    origin.close()
    origin.check()


def passed(proxy):
    return proxy.metrics()("proxy_health_checks_total", result="passed", default=0)


def test_an_https_endpoint_is_checked_over_tls(make_origin, proxy_to, authority):
    origin = make_origin(tls=authority.local.for_origin())
    proxy = proxy_to(origin, cluster={**cluster(interval="1h"), "tls": {"ca": str(authority.cert)}})
    eventually(lambda: passed(proxy) == 1)
    assert origin.paths() == ["/health"]
    proxy = proxy_to(origin, cluster={**cluster(interval="1h", type="tcp")})
    assert proxy.wait_for_log(message="endpoint is unhealthy")["reason"] == "certificate_invalid"


def test_an_http_2_endpoint_is_checked_over_http_2(h2_origin, proxy_to):
    proxy = proxy_to(h2_origin, cluster={**cluster(), "protocol": "h2"})
    eventually(lambda: passed(proxy) >= 3)
    assert set(h2_origin.paths()) == {"/health"}
    h2_origin.on("/health", status=503, may_break=True)
    assert proxy.wait_for_log(message="endpoint is unhealthy")["reason"] == "status 503"


def grpc(status, serving=True):
    body = b"\0\0\0\0\x02\x08" + (b"\x01" if serving else b"\x02")
    return lambda exchange: exchange.reply(200, body, [("content-type", "application/grpc")],
                                           trailers=[("grpc-status", status)])


def test_a_grpc_endpoint_says_whether_its_service_serves(h2_origin, proxy_to):
    path = "/grpc.health.v1.Health/Check"
    h2_origin.on(path, grpc("0"), may_break=True)
    settings = {**cluster(type="grpc", service="greeter.Greeter", unhealthy_after=1, healthy_after=1), "protocol": "h2"}
    proxy = proxy_to(h2_origin, cluster=settings)
    eventually(lambda: passed(proxy) >= 2)
    request = h2_origin.last
    assert (request.method, request.target, request.body) == ("POST", path, b"\0\0\0\0\x11\x0a\x0fgreeter.Greeter")
    assert (request.headers.get("content-type"), request.headers.get("te")) == ("application/grpc", "trailers")
    for answer, reason in ((grpc("0", serving=False), "not serving"), (grpc("5"), "grpc-status 5"),
                           (lambda exchange: exchange.reply(404), "no gRPC response")):
        since = len(proxy.log_lines)
        h2_origin.on(path, answer, may_break=True)
        assert proxy.wait_for_log(message="endpoint is unhealthy", since=since)["reason"] == reason
        h2_origin.on(path, grpc("0"), may_break=True)
        proxy.wait_for_log(message="endpoint is healthy", since=since)


# -- many -----------------------------------------------------------------------------------------
class Tarpit:
    """An address on all of loopback that takes connections, and says nothing."""

    def __init__(self):
        self.listener = socket.create_server(("0.0.0.0", 0), backlog=2048)
        self.port = self.listener.getsockname()[1]
        self.open = {}
        self.most = self.seen = 0
        self.stopping = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        with selectors.DefaultSelector() as selector:
            selector.register(self.listener, selectors.EVENT_READ)
            while not self.stopping:
                for key, _ in selector.select(0.05):
                    if key.fileobj is self.listener:
                        sock, _ = self.listener.accept()
                        selector.register(sock, selectors.EVENT_READ)
                        self.open[sock] = True
                        self.seen += 1
                        self.most = max(self.most, len(self.open))
                    elif not self._read(key.fileobj):
                        selector.unregister(key.fileobj)
                        key.fileobj.close()
                        del self.open[key.fileobj]

    @staticmethod
    def _read(sock):
        try:
            return sock.recv(65536)
        except ConnectionError:
            return b""

    def close(self):
        self.stopping = True
        self.thread.join()
        self.listener.close()
        for sock in self.open:
            sock.close()


@pytest.fixture
def tarpit():
    pit = Tarpit()
    yield pit
    pit.close()


def beside(origin, pit, count, **check):
    config = config_for(origin)
    config["clusters"]["slow"] = {
        "endpoints": [f"http://127.2.{n // 250}.{n % 250 + 1}:{pit.port}" for n in range(count)],
        "health_check": {"path": "/health", "interval": "1s", "timeout": "10s", **check}}
    return config


@pytest.mark.parametrize("descriptors,most", [(256, 32), (128, 16)])
def test_o10_checks_of_slow_endpoints_leave_room_for_clients(origin, tarpit, tidegate, connect, descriptors, most):
    proxy = tidegate(beside(origin, tarpit, 400), descriptors=descriptors)
    client = connect(proxy)
    eventually(lambda: tarpit.most >= most, what=lambda: tarpit.most)
    for _ in range(300):
        assert client.get("/").status == 200
        with Client(proxy.port()) as another:
            assert another.get("/").status == 200
    assert tarpit.most == most
    assert "out of descriptors" not in str(proxy.log_lines)


def test_o10_first_checks_of_many_endpoints_are_spread_over_the_interval(origin, tarpit, tidegate):
    """Those of a few are made at once; of an hour's interval, hardly any of the others begins in this test."""
    proxy = tidegate(beside(origin, tarpit, 1000, interval="1h", timeout="100ms"))
    eventually(lambda: tarpit.seen >= 32)
    eventually(lambda: proxy.metrics()("proxy_health_checks_total", default=0, result="failed") >= 32)
    assert tarpit.seen <= 60


def test_o10_every_endpoint_gets_its_turn(origin, tarpit, tidegate):
    proxy = tidegate(beside(origin, tarpit, 200, timeout="100ms", unhealthy_after=1), descriptors=128)

    def all_found_out():
        clusters = {one["name"]: one for one in proxy.admin("/clusters").json()["clusters"]}
        return not any(one["healthy"] for one in clusters["slow"]["endpoints"])
    eventually(all_found_out, 15)
    # One that has been closed may be seen after the one in its place.
    assert tarpit.most <= 2 * 16
