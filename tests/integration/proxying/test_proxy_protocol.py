# SPDX-License-Identifier: Apache-2.0
"""PROXY protocol headers from trusted peers say who the client is."""
import ssl
import subprocess
import threading

import pytest

from support import Client, config_for, eventually, scaled
from support.programs import program
from support.proxy_protocol import local, tlv, version1, version2

GET = b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"
TRUSTING = {"proxy_protocol": True, "trusted_proxies": ["127.0.0.0/8"]}


@pytest.fixture
def proxy(origin, proxy_to):
    return proxy_to(origin, listener=TRUSTING)


@pytest.mark.parametrize("header, client_ip", [
    (version1("192.0.2.9"), "192.0.2.9"),
    (version1("2001:db8::9", destination="2001:db8::2"), "2001:db8::9"),
    (version2("192.0.2.9"), "192.0.2.9"),
    (version2("2001:db8::9"), "2001:db8::9"),
    (version2("192.0.2.9", tlvs=tlv(0x02, b"shop.example") + tlv(0x04, b"")), "192.0.2.9"),
    (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    (b"PROXY UNKNOWN a b c d\r\n", "127.0.0.1"),
    (version2(), "127.0.0.1"),
    (local(), "127.0.0.1"),
])
def test_the_header_says_who_the_client_is(origin, proxy, connect, header, client_ip):
    client = connect(proxy)
    assert client.send(header, GET).response().status == 200
    assert client.send(GET).response().status == 200, "it holds for the connection"
    for request in origin.requests:
        assert request.headers.all("x-forwarded-for") == [client_ip]
    assert {line["client_ip"] for line in proxy.wait_for_access(count=2)} == {client_ip}


@pytest.mark.parametrize("header", [version1("192.0.2.9"), version2("192.0.2.9", tlvs=tlv(4, b"pad"))])
def test_the_header_may_come_in_pieces(origin, proxy, connect, header):
    for cut in range(1, len(header) + 1, 3):
        client = connect(proxy)
        client.send(header[:cut])
        assert client.send(header[cut:], GET).response().status == 200
        assert origin.last.headers.get("x-forwarded-for") == "192.0.2.9"
        client.close()


def test_a_header_byte_by_byte(origin, proxy, connect):
    client = connect(proxy)
    for byte in version1("192.0.2.9") + GET:
        client.send(bytes([byte]))
    assert client.response().status == 200
    assert origin.last.headers.get("x-forwarded-for") == "192.0.2.9"


def test_scripts_see_the_client_of_the_header(origin, scripted, connect):
    proxy = scripted("""
        local office = proxy.ip.cidr({"192.0.2.0/24"})
        function on_request(request)
          if not office:contains(request.client_ip) then return request:reply(403, "no") end
          request:reply(200, request.client_ip .. " " .. request.client_port)
        end""", origin, config={"listener": TRUSTING})
    assert connect(proxy).send(version2("192.0.2.9", 1234), GET).response().text == "192.0.2.9 1234"
    assert connect(proxy).send(version2("198.51.100.9"), GET).response().status == 403


def test_a_client_that_the_header_names_is_not_trusted_for_who_brought_it(origin, proxy, connect):
    claim = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n"
    assert connect(proxy).send(version1("192.0.2.9"), claim).response().status == 200
    assert origin.last.headers.all("x-forwarded-for") == ["192.0.2.9"]
    assert connect(proxy).send(version1("127.0.0.5"), claim).response().status == 200
    assert origin.last.headers.all("x-forwarded-for") == ["6.6.6.6, 127.0.0.5"]


def test_peers_that_are_not_trusted_are_closed_and_logged(origin, proxy_to, connect):
    proxy = proxy_to(origin, listener={**TRUSTING, "trusted_proxies": ["127.0.0.2"]})
    connect(proxy).send_quietly(version1("192.0.2.9"), GET).expect_closed()
    line = proxy.wait_for_log(level="warn", listener="public")
    assert "trusted_proxies" in line["message"] and line["peer"].startswith("127.0.0.1:")
    assert proxy.metrics()("proxy_client_connections_refused_total") == 1
    trusted = connect(proxy, source="127.0.0.2")
    assert trusted.send(version1("192.0.2.9"), GET).response().status == 200
    assert len(origin.requests) == 1


@pytest.mark.parametrize("bytes_", [
    GET,
    version1("192.0.2.9").replace(b"TCP4", b"TCP6"),
    b"PROXY TCP4 192.0.2.9 198.51.100.2 1 2\n",
    b"PROXY " + b"x" * 200,
    version2("192.0.2.9", command=0x22),
    version2("192.0.2.9", tlvs=b"\x02\x00\x09short"),
    version2("192.0.2.9", tlvs=tlv(0x03, b"\0\0\0\0")),
    version2(tlvs=b"x" * 5000),
])
def test_what_is_no_sound_header_closes_the_connection(origin, proxy, connect, bytes_):
    connect(proxy).send_quietly(bytes_, GET).expect_closed()
    assert proxy.wait_for_log(message="connection closed: PROXY protocol")["error"]
    assert not origin.requests


def test_a_header_must_come_in_time(origin, proxy_to, connect):
    proxy = proxy_to(origin, listener={**TRUSTING, "head_timeout": "100ms"})
    silent, slow = connect(proxy), connect(proxy)
    slow.send(version1("192.0.2.9")[:20])
    silent.expect_closed()
    slow.expect_closed()


def test_the_time_for_a_request_begins_after_the_header(origin, proxy_to, connect):
    proxy = proxy_to(origin, listener={**TRUSTING, "head_timeout": "150ms"})
    client = connect(proxy)
    client.send(version1("192.0.2.9"), GET[:10])
    assert client.response().status == 408
    assert proxy.wait_for_access(status=408)["client_ip"] == "192.0.2.9"


def test_a_peer_that_leaves_before_its_header_is_no_event(origin, proxy, connect):
    for part in (b"", version1("192.0.2.9")[:9]):
        client = connect(proxy)
        client.send(part).half_close()
        client.expect_closed()
    assert connect(proxy).send(version1("192.0.2.9"), GET).response().status == 200
    assert len(proxy.wait_for_access(count=1)) == 1


def test_a_unix_socket_may_be_trusted(origin, tidegate, tmp_path):
    path = tmp_path / "in.sock"
    tidegate(config_for(origin, listener={"address": f"unix:{path}", "proxy_protocol": True,
                                          "trusted_proxies": ["unix"]}))
    with Client(path) as client:
        assert client.send(version2("192.0.2.9"), GET).response().status == 200
    assert origin.last.headers.get("x-forwarded-for") == "192.0.2.9"


def test_the_header_stands_before_tls(origin, authority, proxy_to, connect):
    pair = authority.local
    proxy = proxy_to(origin, listener={**TRUSTING, "tls": {"certificates": [
        {"cert": str(pair.cert), "key": str(pair.key)}]}})
    for header in (version1("192.0.2.9"), version2("192.0.2.9", tlvs=tlv(4, b"pad"))):
        client = connect(proxy)
        client.send(header)
        context = ssl.create_default_context(cafile=str(authority.cert))
        client.sock = context.wrap_socket(client.sock, server_hostname="localhost")
        assert client.send(GET).response().status == 200
        assert origin.last.headers.all("x-forwarded-for") == ["192.0.2.9"]
        assert origin.last.headers.get("x-forwarded-proto") == "https"


def test_others_are_served_while_headers_dribble(proxy, connect):
    waiting = [connect(proxy) for _ in range(20)]
    for client in waiting:
        client.send(version1("192.0.2.9")[:5])
    assert connect(proxy).send(version1("192.0.2.9"), GET).response().status == 200
    cpu = proxy.cpu_seconds()
    threading.Event().wait(0.1)  # nothing to wait for: it is idleness that is measured
    assert proxy.cpu_seconds() - cpu < scaled(0.05), "a header in part must not keep the loop awake"


@pytest.mark.parametrize("word", ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl-cn",
                                  "send-proxy-v2 proxy-v2-options crc32c"])
def test_haproxys_headers_are_understood(origin, proxy, tmp_path, word):
    front = tmp_path / "front.sock"
    config = tmp_path / "haproxy.cfg"
    config.write_text(f"""
defaults
  mode tcp
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend in
  bind unix@{front} accept-proxy
  default_backend out
backend out
  server tidegate 127.0.0.1:{proxy.port()} {word}
""", encoding="utf-8")
    haproxy = subprocess.Popen([program("haproxy"), "-db", "-f", str(config)], stderr=subprocess.PIPE, text=True)
    try:
        eventually(front.exists)
        with Client(front) as client:
            assert client.send(version1("192.0.2.77"), GET).response().status == 200
    finally:
        haproxy.terminate()
        errors = haproxy.communicate(timeout=scaled(10))[1]
    assert origin.last.headers.get("x-forwarded-for") == "192.0.2.77", errors


# -- towards origins ------------------------------------------------------------------------------
@pytest.fixture(params=["v1", "v2"])
def version(request):
    return request.param


@pytest.fixture(params=["h1", "h2", "tls"])
def behind(request, origin, proxy_to, authority):
    """A second proxy that wants the header: it, and the URL and settings that lead to it."""
    tls = {"tls": {"certificates": [authority.local.entry]}} if request.param == "tls" else {}
    proxy = proxy_to(origin, listener={**TRUSTING, **tls})
    scheme = "https" if tls else "http"
    cluster = {"endpoints": [f"{scheme}://127.0.0.1:{proxy.port()}"], "tls": {"ca": str(authority.cert)}}
    if request.param != "tls":
        cluster["protocol"] = request.param
    return proxy, cluster


def told(tidegate, cluster, **more):
    config = config_for(cluster={**cluster, **more})
    config["clusters"] = {"origin": {**cluster, **more}}
    config["routes"] = [{"name": "all", "cluster": "origin"}]
    return tidegate(config)


def test_an_origin_hears_who_the_client_is(tidegate, behind, connect, version):
    inner, cluster = behind
    proxy = told(tidegate, cluster, proxy_protocol=version)
    clients = [connect(proxy, source=f"127.0.0.{n}") for n in (7, 8)]
    for _ in range(3):
        for client in clients:
            assert client.get("/").status == 200
    lines = inner.wait_for_access(count=6)
    assert [line["client_ip"] for line in lines] == ["127.0.0.7", "127.0.0.8"] * 3
    metrics = inner.metrics()
    assert metrics("proxy_client_connections_total") == 2, "a connection for each client, which is kept"


def test_what_spoke_for_a_client_ends_with_it(tidegate, behind, connect, version):
    inner, cluster = behind
    proxy = told(tidegate, cluster, proxy_protocol=version)
    client = connect(proxy)
    assert client.get("/").status == 200
    assert inner.metrics()("proxy_client_connections_active") == 1
    client.close()
    eventually(lambda: inner.metrics()("proxy_client_connections_active") == 0, what="the connection ends")


def test_a_health_check_speaks_for_no_client(tidegate, behind, connect, version):
    inner, cluster = behind
    proxy = told(tidegate, cluster, proxy_protocol=version,
                 health_check={"path": "/", "interval": "50ms", "healthy_after": 1})
    lines = inner.wait_for_access(count=2)
    assert {line["client_ip"] for line in lines} == {"127.0.0.1"}
    assert connect(proxy).get("/").status == 200


def test_a_response_that_a_script_has_replaced_ends_with_its_client(
        origin, proxy_to, scripted, connect):
    release = threading.Event()

    def long(exchange):
        exchange.start_chunked()
        exchange.chunk("begun")
        exchange.wait(release)
        exchange.end_chunks()
    origin.on("/", long, may_break=True)
    inner = proxy_to(origin, listener=TRUSTING)
    proxy = scripted("function on_response(response) response:set_body('mine') end",
                     f"http://127.0.0.1:{inner.port()}",
                     config={"cluster": {"proxy_protocol": "v2"}, "route": {"idle_timeout": "100ms"}})
    client = connect(proxy)
    assert client.get("/").text == "mine"
    eventually(lambda: proxy.metrics()("proxy_backend_connections_active") == 0)
    client.close()
    assert connect(proxy).get("/").text == "mine"
    release.set()


def test_a_reload_that_changes_the_version_reaches_health_checks(tidegate, behind, connect):
    inner, cluster = behind
    settings = {**cluster, "health_check": {"path": "/", "interval": "50ms", "healthy_after": 1}}
    proxy = told(tidegate, settings, proxy_protocol="none")
    assert connect(proxy).get("/").status in (502, 503), "it wants the header"
    config = config_for(cluster={})
    config["clusters"] = {"origin": {**settings, "proxy_protocol": "v2"}}
    config["routes"] = [{"name": "all", "cluster": "origin"}]
    proxy.write_config(config)
    proxy.signal(1)
    eventually(lambda: connect(proxy).get("/").status == 200, what="checks pass")


@pytest.mark.parametrize("header", [
    b"PROXY TCP4 192.0.2.9 198.51.100.2 56324 443\r\n", b"PROXY TCP6 2001:db8::9 2001:db8::2 56324 443\r\n"])
def test_h6_the_headers_port_is_the_one_that_the_client_asked_for(origin, proxy, connect, header):
    client = connect(proxy)
    assert client.send(header, GET).response().status == 200
    assert client.send(GET).response().status == 200
    assert [r.headers.get("x-forwarded-port") for r in origin.requests] == ["443", "443"]


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", version2()])
def test_h6_without_addresses_it_is_the_listeners(origin, proxy_to, connect, header):
    proxy = proxy_to(origin, listener=TRUSTING)
    connect(proxy).send(header, GET).response()
    assert origin.last.headers.get("x-forwarded-port") == str(proxy.port())
