# SPDX-License-Identifier: Apache-2.0
"""Origins reached through an HTTP proxy: absolute form and CONNECT."""
import subprocess

import pytest

from support import eventually, scaled
from support.forward_proxy import ForwardProxy
from support.programs import program

# Names that only the proxy can resolve.
NAMED = "http://origin.test:8000"


@pytest.fixture
def forward(origin):
    """A ForwardProxy that knows the origin as origin.test:8000."""
    started = []

    def start(**kwargs):
        started.append(ForwardProxy({("origin.test", 8000): ("127.0.0.1", origin.port)}, **kwargs))
        return started[-1]
    yield start
    for one in started:
        one.__exit__()


def test_http_requests_go_to_the_proxy_in_absolute_form(origin, proxy_to, forward, connect):
    via = forward()
    client = connect(proxy_to(NAMED, cluster={"outbound_proxy": via.url}))
    assert client.get("/a?b=1", {"Host": "shop.example"}).status == 200
    assert client.get("/c").status == 200
    assert via.seen == ["GET http://origin.test:8000/a?b=1", "GET http://origin.test:8000/c"]
    assert origin.last.headers.get("host") == "origin.test:8000"
    assert "proxy-authorization" not in origin.last.headers


def test_the_proxy_is_told_who_asks(origin, proxy_to, forward, connect):
    via = forward(user="us%er:pa:ss")
    url = via.url.replace("us%er:pa:ss", "us%25er:pa%3Ass")
    client = connect(proxy_to(NAMED, cluster={"outbound_proxy": url}))
    assert client.get("/", {"Proxy-Authorization": "Basic Zm9yZ2VkOg=="}).status == 200


@pytest.mark.parametrize("tunnel", [False, True])
def test_a_wrong_password_is_the_proxys_error_and_not_the_clients(proxy_to, forward, connect, tunnel):
    via = forward(user="user:right")
    proxy = proxy_to(NAMED, cluster={"outbound_proxy": via.url.replace("right", "wrong"),
                                     "outbound_tunnel": tunnel})
    response = connect(proxy).get("/")
    assert response.status == 502
    assert "proxy-authenticate" not in response.headers
    assert proxy.wait_for_access(status=502)["error"] == "outbound_proxy_auth"


def test_a_tunnel_keeps_host_and_connection(origin, proxy_to, forward, connect):
    via = forward(user="user:pass")
    client = connect(proxy_to(NAMED, cluster={"outbound_proxy": via.url, "outbound_tunnel": True}))
    assert client.get("/a", {"Host": "shop.example"}).status == 200
    assert client.post("/b", b"body" * 50_000).status == 200
    assert via.seen == ["CONNECT origin.test:8000"], "one tunnel carries both"
    assert origin.requests[0].headers.get("host") == "shop.example"
    assert origin.requests[0].target == "/a"


def test_a_refused_tunnel_is_told_apart_from_a_refusing_origin(origin, proxy_to, forward, connect):
    via = forward(refuse=503)
    proxy = proxy_to(NAMED, cluster={"outbound_proxy": via.url, "outbound_tunnel": True})
    assert connect(proxy).get("/").status == 502
    assert proxy.wait_for_access(status=502)["error"] == "outbound_proxy_refused"
    line = proxy.wait_for_log(message="no way to an origin")
    assert (line["error"], line["detail"]) == (
        "outbound_proxy_refused", "the outbound proxy answered HTTP/1.1 503 No")


@pytest.mark.parametrize("tunnel", [False, True])
def test_a_proxy_that_is_not_there_has_an_error_of_its_own(proxy_to, forward, connect, tunnel):
    via = forward()
    via.__exit__()
    proxy = proxy_to(NAMED, cluster={"outbound_proxy": via.url, "outbound_tunnel": tunnel})
    assert connect(proxy).get("/").status == 502
    assert proxy.wait_for_access(status=502)["error"] == "outbound_proxy_unreachable"


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200", b"SSH-2.0-x\r\n\r\n"])
def test_a_proxy_that_answers_nonsense_refuses(make_origin, proxy_to, connect, answer):
    via = make_origin()

    def script(wire, _):
        wire.read_until(b"\r\n\r\n")
        wire.send_quietly(answer)
    via.raw(script)
    proxy = proxy_to(NAMED, cluster={"outbound_proxy": via.url, "outbound_tunnel": True})
    assert connect(proxy).get("/").status == 502
    assert proxy.wait_for_access(status=502)["error"] == "outbound_proxy_refused"


def test_a_proxy_that_never_answers_is_a_time_out(make_origin, proxy_to, connect):
    via = make_origin()

    def script(wire, _):
        wire.read_until(b"\r\n\r\n")
        wire.expect_closed()
    via.raw(script)
    proxy = proxy_to(NAMED, cluster={"outbound_proxy": via.url, "outbound_tunnel": True,
                                     "connect_timeout": "100ms"})
    assert connect(proxy).get("/").status == 504
    assert proxy.wait_for_access(status=504)["error"] == "outbound_proxy_timeout"


def test_no_proxy_names_who_is_reached_directly(origin, proxy_to, forward, connect):
    via = forward()
    proxy = proxy_to(origin, cluster={"outbound_proxy": via.url, "no_proxy": ["127.0.0.0/8"]})
    assert connect(proxy).get("/").status == 200
    assert not via.seen


@pytest.mark.parametrize("env, proxied", [
    ({"HTTP_PROXY": "{}"}, True),
    ({"http_proxy": "{}", "HTTP_PROXY": "http://127.0.0.1:1"}, True),
    ({"http_proxy": "{bare}"}, True),
    ({"HTTPS_PROXY": "{}"}, False),
    ({"HTTP_PROXY": "{}", "NO_PROXY": "example.com, 127.0.0.1"}, False),
    ({"HTTP_PROXY": "{}", "no_proxy": "127.0.0.1:1"}, True),
    ({"HTTP_PROXY": "{}", "NO_PROXY": "*"}, False),
    ({"HTTP_PROXY": "{}", "NO_PROXY": "localhost 127.0.0.1"}, False),
    ({"HTTP_PROXY": "{}", "NO_PROXY": "192.168.*,<local>,10.,127.0.0.1"}, False),
    ({}, False),
])
def test_the_environment_counts_where_the_config_says_so(origin, proxy_to, forward, connect, env, proxied):
    via = forward()
    given = {**{name: "" for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY",
                                      "no_proxy", "NO_PROXY")},
             **{k: v.replace("{}", via.url).replace("{bare}", via.address) for k, v in env.items()}}
    proxy = proxy_to(origin, env=given, cluster={"outbound_proxy": "environment"})
    assert connect(proxy).get("/").status == 200
    assert bool(via.seen) == proxied
    if "<local>" in env.get("NO_PROXY", ""):
        proxy.wait_for_log(lambda line: "<local>" in line["detail"], message="the config is doubtful")


def test_without_the_key_the_environment_is_nothing(origin, proxy_to, forward, connect):
    via = forward()
    assert connect(proxy_to(origin, env={"HTTP_PROXY": via.url})).get("/").status == 200
    assert not via.seen


def test_health_checks_go_through_the_proxy_too(origin, proxy_to, forward):
    via = forward()
    proxy = proxy_to(NAMED, cluster={"outbound_proxy": via.url,
                                     "health_check": {"path": "/health", "interval": "50ms"}})
    origin.wait_for_requests(2)
    assert set(via.seen) == {"GET http://origin.test:8000/health"}
    clusters = proxy.admin("/clusters").json()["clusters"]
    assert clusters[0]["endpoints"][0]["healthy"]


# -- https ----------------------------------------------------------------------------------------
def https_origin(make_origin, pair, names):
    """An origin that notes the names it is asked for (SNI)."""
    context = pair.for_origin()
    context.sni_callback = lambda _, name, __: names.append(name)
    return make_origin("https", tls=context)


def test_https_origins_are_reached_by_a_tunnel_with_their_own_name_inside(make_origin, authority, proxy_to,
                                                                           connect):
    names = []
    origin = https_origin(make_origin, authority.issue("named", "DNS:origin.test"), names)
    with ForwardProxy({("origin.test", 8443): ("127.0.0.1", origin.port)}, user="user:pass") as via:
        proxy = proxy_to("https://origin.test:8443",
                         cluster={"outbound_proxy": via.url, "tls": {"ca": str(authority.cert)}})
        client = connect(proxy)
        assert client.get("/a", {"Host": "shop.example"}).text == "ok"
        assert client.post("/b", b"x" * 100_000).text == "ok"
        assert via.seen == ["CONNECT origin.test:8443"]
    assert names == ["origin.test"]
    assert origin.requests[0].headers.get("host") == "shop.example"
    assert b"proxy-authorization" not in origin.requests[0].head.lower()


def test_a_certificate_is_verified_through_the_tunnel_too(make_origin, authority, proxy_to, connect):
    origin = https_origin(make_origin, authority.issue("other", "DNS:other.test"), [])
    with ForwardProxy({("origin.test", 8443): ("127.0.0.1", origin.port)}) as via:
        proxy = proxy_to("https://origin.test:8443",
                         cluster={"outbound_proxy": via.url, "tls": {"ca": str(authority.cert)}})
        assert connect(proxy).get("/").status == 502
        assert proxy.wait_for_access(status=502)["error"] == "certificate_invalid"


def test_https_endpoints_take_https_proxy_of_the_environment(make_origin, authority, proxy_to, connect):
    origin = https_origin(make_origin, authority.local, [])
    with ForwardProxy() as via:
        proxy = proxy_to(origin, env={"HTTPS_PROXY": via.url, "HTTP_PROXY": "http://127.0.0.1:1"},
                         cluster={"outbound_proxy": "environment", "tls": {"ca": str(authority.cert)}})
        assert connect(proxy).get("/").status == 200
        assert via.seen == [f"CONNECT {origin.address}"]


def test_http_2_is_agreed_on_through_the_tunnel(origin, authority, proxy_to, connect):
    """A second proxy is the origin: its access log tells which version came."""
    behind = proxy_to(origin, listener={"tls": {"certificates": [authority.local.entry]}})
    with ForwardProxy() as via:
        proxy = proxy_to(f"https://localhost:{behind.port()}",
                         cluster={"outbound_proxy": via.url, "tls": {"ca": str(authority.cert)}})
        client = connect(proxy)
        assert client.get("/a").text == "ok"
        assert client.post("/b", b"x" * 100_000).text == "ok"
        assert via.seen == [f"CONNECT localhost:{behind.port()}"]
    assert {line["protocol"] for line in behind.wait_for_access(count=2)} == {"HTTP/2"}


def test_an_upgrade_reaches_an_https_origin_through_the_tunnel(make_origin, authority, proxy_to, connect):
    origin = https_origin(make_origin, authority.local, [])

    def upgrade(exchange):
        wire = exchange.take_over()
        exchange.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        wire.send(wire.read_exactly(5)[::-1])
        wire.expect_end()
        exchange.close()
    origin.on("/chat", upgrade)
    with ForwardProxy() as via:
        proxy = proxy_to(origin, cluster={"outbound_proxy": via.url, "tls": {"ca": str(authority.cert)}})
        client = connect(proxy)
        client.send_head("GET", "/chat", {"Connection": "upgrade", "Upgrade": "websocket",
                                          "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "x" * 22 + "=="})
        assert client.response().status == 101
        client.send("hello").expect("olleh")
        client.half_close()
        client.expect_closed()
        assert via.seen == [f"CONNECT {origin.address}"]


@pytest.mark.parametrize("tunnel", [False, True])
def test_tinyproxy_passes_requests_on(origin, proxy_to, connect, tmp_path, tunnel):
    import socket
    with socket.socket() as probe:  # tinyproxy can not tell which port it took
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = tmp_path / "tinyproxy.conf"
    config.write_text(f"Port {port}\nListen 127.0.0.1\nTimeout 10\nMaxClients 20\n"
                      f"BasicAuth user pass\nConnectPort {origin.port}\n", encoding="utf-8")
    running = subprocess.Popen([program("tinyproxy"), "-d", "-c", str(config)], stdout=subprocess.DEVNULL)
    try:
        def listening():
            with socket.socket() as sock:
                return sock.connect_ex(("127.0.0.1", port)) == 0
        eventually(listening)
        proxy = proxy_to(origin, cluster={"outbound_proxy": f"http://user:pass@127.0.0.1:{port}",
                                          "outbound_tunnel": tunnel})
        client = connect(proxy)
        # It may close after any answer, and then only a GET can be sent again.
        assert client.post("/one", b"x" * 100_000).status == 200
        assert client.get("/two").status == 200
        assert origin.paths() == ["/one", "/two"]
        assert ("via" in origin.last.headers) == (not tunnel)
    finally:
        running.terminate()
        running.wait(scaled(10))


@pytest.mark.parametrize("interims", [1, 3])
@pytest.mark.parametrize("status", [102, 103])
def test_h19_interim_answers_to_connect_are_passed_over(origin, proxy_to, forward, connect, interims, status):
    via = forward(interim=f"HTTP/1.1 {status} Wait\r\nLink: </a>\r\n\r\n" * interims)
    client = connect(proxy_to(NAMED, cluster={"outbound_proxy": via.url, "outbound_tunnel": True}))
    assert client.get("/a").text == "ok"
    assert client.get("/b").text == "ok"
