# SPDX-License-Identifier: Apache-2.0
"""/metrics: the names, and the right counts."""
import re
import socket
import threading

import pytest

from support import BINARY, config_for, eventually, scaled
from support.h2 import H2Client

NAMES = {
    "proxy_requests_total", "proxy_requests_active", "proxy_responses_total",
    "proxy_responses_by_status_total", "proxy_request_duration_seconds", "proxy_request_size_bytes",
    "proxy_response_size_bytes", "proxy_success_rate", "proxy_requests_per_second",
    "proxy_backend_connections_total", "proxy_backend_connections_active",
    "proxy_backend_request_duration_seconds", "proxy_endpoint_healthy", "proxy_script_runs_total",
    "proxy_script_cpu_seconds_total", "proxy_script_memory_bytes", "proxy_script_generation",
}


def test_the_metrics_of_the_contract_are_there(origin, scripted, connect):
    proxy = scripted("function on_request() end", origin)
    connect(proxy).get("/")
    proxy.wait_for_access(count=1)
    metrics = proxy.metrics()
    assert NAMES <= metrics.names(), NAMES - metrics.names()
    assert all(metrics.helps.get(name) for name in metrics.names()), "each says what it is"


def test_requests_are_counted_by_route_and_method(origin, proxy_to, connect):
    proxy = proxy_to(origin, routes=[{"name": "local", "match": {"path": "/local"}, "respond": {"status": 201}}])
    client = connect(proxy)
    for _ in range(3):
        client.get("/x")
    client.post("/x", b"body")
    client.get("/local")
    proxy.wait_for_access(count=5)
    metrics = proxy.metrics()
    assert metrics("proxy_requests_total", route="all", method="GET") == 3
    assert metrics("proxy_requests_total", route="all", method="POST") == 1
    assert metrics("proxy_requests_total", route="local") == 1
    assert metrics("proxy_responses_total") == 5
    assert metrics("proxy_responses_by_status_total", route="all", status="200") == 4
    assert metrics("proxy_responses_by_status_total", route="local", status="201") == 1
    assert metrics("proxy_requests_active") == 0


def test_histograms_count_and_sum(origin, proxy_to, connect):
    origin.on("/", body=b"x" * 1000)
    proxy = proxy_to(origin)
    client = connect(proxy)
    for _ in range(4):
        client.post("/", b"y" * 500)
    proxy.wait_for_access(count=4)
    metrics = proxy.metrics()
    assert metrics("proxy_request_duration_seconds_count", route="all") == 4
    assert 0 < metrics("proxy_request_duration_seconds_sum", route="all") < 10
    assert metrics("proxy_request_size_bytes_sum") == 2000
    assert metrics("proxy_response_size_bytes_sum") == 4000
    assert metrics("proxy_backend_request_duration_seconds_count", cluster="origin") == 4


def test_active_requests_are_seen_while_they_run(origin, proxy_to, connect):
    release = threading.Event()
    origin.on("/slow", lambda exchange: (exchange.wait(release), exchange.reply()))
    proxy = proxy_to(origin)
    clients = [connect(proxy) for _ in range(3)]
    for client in clients:
        client.send_request("GET", "/slow")
    origin.wait_for_requests(3)
    assert proxy.metrics()("proxy_requests_active") == 3
    release.set()
    assert [client.response().status for client in clients] == [200] * 3
    eventually(lambda: proxy.metrics()("proxy_requests_active") == 0)


def test_client_connections_are_counted_by_protocol_and_transport(origin, proxy_to, authority, connect):
    secure = {"name": "secure", "address": "127.0.0.1:0",
              "tls": {"certificates": [authority.local.entry]}}
    proxy = proxy_to(origin, listeners=[{"name": "public", "address": "127.0.0.1:0"}, secure])
    connect(proxy).get("/")
    with H2Client(proxy.port()) as client:
        client.get("/")
    for offer in ("h2", "http/1.1", "http/1.1"):
        context = authority.trust()
        context.set_alpn_protocols([offer])
        if offer == "h2":
            raw = socket.create_connection(("127.0.0.1", proxy.port("secure")), timeout=scaled(5))
            with H2Client(None, sock=context.wrap_socket(raw, server_hostname="localhost")) as client:
                assert client.get("/").status == 200
        else:
            assert connect(proxy, "secure", tls=context).get("/").status == 200
    connect(proxy)  # says nothing, so speaks no protocol
    eventually(lambda: proxy.metrics()("proxy_client_connections_total") == 6)
    metrics = proxy.metrics()
    by_protocol = {(protocol, transport): metrics("proxy_client_connections_by_protocol_total",
                                                  protocol=protocol, transport=transport)
                   for protocol in ("http/1.1", "h2") for transport in ("plain", "tls")}
    assert by_protocol == {("http/1.1", "plain"): 1, ("h2", "plain"): 1,
                           ("http/1.1", "tls"): 2, ("h2", "tls"): 1}


def test_open_http_2_streams_are_seen_while_they_are_open(origin, proxy_to, connect):
    release = threading.Event()
    origin.on("/slow", lambda exchange: (exchange.wait(release), exchange.reply()))
    proxy = proxy_to(origin)

    def streams():
        return proxy.metrics()("proxy_client_streams_active")
    connect(proxy).send_request("GET", "/slow")  # of HTTP/1, so none
    with H2Client(proxy.port()) as client, H2Client(proxy.port()) as leaver:
        mine = [client.start("GET", "/slow", end=True) for _ in range(3)]
        theirs = [leaver.start("GET", "/slow", end=True) for _ in range(2)]
        origin.wait_for_requests(6)
        assert streams() == 5
        leaver.cancel(theirs[0])
        eventually(lambda: streams() == 4)
        leaver.reset()
        eventually(lambda: streams() == 3)
        release.set()
        assert [client.response(stream=s).status for s in mine] == [200] * 3
        assert streams() == 0


def test_connections_to_origins_are_counted(origin, proxy_to, connect):
    proxy = proxy_to(origin)
    client = connect(proxy)
    for _ in range(3):
        client.get("/")
    metrics = proxy.metrics()
    assert metrics("proxy_backend_connections_total", cluster="origin", endpoint=origin.address) == 1
    assert metrics("proxy_backend_connections_active") == 1


def test_connection_errors_are_counted(make_origin, proxy_to, connect):
    origin = make_origin()
    origin.stop_listening()
    proxy = proxy_to(origin)
    connect(proxy).get("/")
    proxy.wait_for_access(count=1)
    metrics = proxy.metrics()
    assert metrics("proxy_backend_connection_errors_total", cluster="origin", endpoint=origin.address) == 1
    assert metrics("proxy_errors_total", error="connect_failed") == 1
    eventually(lambda: proxy.metrics()("proxy_success_rate") < 1)


def test_odd_methods_do_not_make_labels(origin, proxy_to, connect):
    proxy = proxy_to(origin)
    client = connect(proxy)
    for number in range(20):
        client.request(f"ODD{number}", "/")
    proxy.wait_for_access(count=20)
    metrics = proxy.metrics()
    assert metrics("proxy_requests_total", method="other") == 20
    assert not [labels for _, labels, _ in metrics.samples if "ODD" in str(labels)]


def test_unrouted_requests_do_not_make_labels(proxy_to, connect):
    proxy = proxy_to(routes=[{"name": "x", "match": {"path": "/x"}, "echo": True}])
    client = connect(proxy)
    for number in range(5):
        client.get(f"/unrouted{number}")
    proxy.wait_for_access(count=5)
    metrics = proxy.metrics()
    assert metrics("proxy_errors_total", error="no_route") == 5
    assert not [labels for _, labels, _ in metrics.samples if "unrouted" in str(labels)]


def test_script_runs_are_counted_with_their_time(origin, scripted, connect):
    proxy = scripted("""
        function on_request() local x = 0 for i = 1, 100000 do x = x + i end end
        function on_log() end""", origin, budget={"cpu": "1s"})
    client = connect(proxy)
    for _ in range(3):
        client.get("/")
    proxy.wait_for_access(count=3)
    metrics = proxy.metrics()
    assert metrics("proxy_script_runs_total", policy="policy", hook="on_request") == 3
    assert metrics("proxy_script_runs_total", policy="policy", hook="on_log") == 3
    assert metrics("proxy_script_cpu_seconds_total", policy="policy", hook="on_request") > 0.0001
    assert metrics("proxy_script_memory_bytes", policy="policy") > 1000
    assert metrics("proxy_script_generation", policy="policy") == proxy.generation("policy")


def test_script_memory_follows_the_script(scripted, connect):
    proxy = scripted("""
        local kept = {}
        function on_request(r) kept[#kept + 1] = (r.id):rep(32768) end""",
                     config={"route": {"respond": {"status": 200, "body": "x"}}}, budget={"memory": "64MiB"})
    client = connect(proxy)
    client.get("/")
    before = proxy.metrics()("proxy_script_memory_bytes", policy="policy")
    client.get("/")
    eventually(lambda: proxy.metrics()("proxy_script_memory_bytes", policy="policy") > before + 500_000)


def test_process_figures_are_there(proxy_to):
    proxy = proxy_to(route={"echo": True})
    metrics = proxy.metrics()
    assert abs(metrics("process_resident_memory_bytes") / 1024 / proxy.memory_kib() - 1) < 0.5
    assert metrics("process_open_fds") > 5
    assert metrics("proxy_workers") == 1


def test_the_text_says_what_it_is(proxy_to):
    reply = proxy_to(route={"echo": True}).admin("/metrics")
    assert re.match(r"text/plain; ?version=0\.0\.4", reply.headers["content-type"])


def test_open_metrics_is_given_to_those_who_ask(proxy_to):
    reply = proxy_to(route={"echo": True}).admin(
        "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    if "openmetrics" in reply.headers["content-type"]:
        assert reply.text.endswith("# EOF\n")
    else:
        assert reply.headers["content-type"].startswith("text/plain")


IS_DEBUG_BUILD = "CMAKE_BUILD_TYPE:STRING=Debug" in (
    BINARY.parent / "CMakeCache.txt").read_text(encoding="utf-8") if (BINARY.parent / "CMakeCache.txt").exists() else False


@pytest.mark.skipif(not IS_DEBUG_BUILD, reason="only debug builds have another grace than five minutes")
def test_o9_reloads_that_rename_everything_leave_a_bounded_number_of_series(origin, tidegate):
    """Thirty reloads, each with twenty routes, clusters and endpoints that there were not before."""
    def config(round_):
        names = [f"r{round_}n{n}" for n in range(20)]
        made = config_for(origin, routes=[
            {"name": name, "match": {"path": f"/{n}"}, "cluster": name} for n, name in enumerate(names)])
        for n, name in enumerate(names):  # each address is new; all lead to the origin, which listens on one
            made["clusters"][name] = {"endpoints": [origin.url, f"http://127.9.{round_}.{n + 1}:1"]}
        return made

    def samples():
        return [labels for _, labels, _ in proxy.metrics().samples]

    def of_round(round_):
        mine = re.compile(rf"r{round_}n\d+|127\.9\.{round_}\.\d+:1")
        return sum(any(mine.fullmatch(value) for value in labels.values()) for labels in samples())

    proxy = tidegate(config(0), env={"TIDEGATE_TEST_METRICS_GRACE_SECONDS": "1"})
    for n in range(20):
        proxy.get(f"/{n}")
    of_one_round = of_round(0)
    assert of_one_round >= 20 * 3
    at_first = len(samples())
    for round_ in range(1, 31):
        proxy.write_config(config(round_))
        assert proxy.admin("/reload", "POST").status == 200
        for n in range(20):
            proxy.get(f"/{n}")
    assert of_round(30) >= 20 * 3, "what there is has its series"
    eventually(lambda: not any(of_round(round_) for round_ in range(30)), timeout=15)
    assert len(samples()) <= at_first + of_one_round
    assert not any("other" in labels.values() for labels in samples())
    assert proxy.metrics()("proxy_requests_total", route="r30n0") >= 1
