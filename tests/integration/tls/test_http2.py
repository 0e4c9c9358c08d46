# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 over TLS: ALPN chooses it, on both sides."""
import socket
import ssl
import subprocess

import pytest

from support import config_for, scaled
from support.h2 import H2Client


@pytest.fixture
def secure(tidegate, authority, origin):
    def start(*origins, **parts):
        listener = {"tls": {"certificates": [authority.local.entry]}, **parts.pop("listener", {})}
        return tidegate(config_for(*(origins or [origin]), listener=listener, **parts))
    return start


@pytest.fixture
def h2_connect(authority):
    clients = []

    def open_client(proxy, certificate=None):
        context = authority.trust(certificate)
        context.set_alpn_protocols(["h2"])
        raw = socket.create_connection(("127.0.0.1", proxy.port()), timeout=scaled(5))
        sock = context.wrap_socket(raw, server_hostname="localhost")
        assert sock.selected_alpn_protocol() == "h2"
        clients.append(H2Client(proxy.port(), sock=sock))
        return clients[-1]
    yield open_client
    for client in clients:
        client.close()


def agreed(proxy, context, offers):
    context.set_alpn_protocols(offers)
    with socket.create_connection(("127.0.0.1", proxy.port()), timeout=scaled(5)) as raw:
        with context.wrap_socket(raw, server_hostname="localhost") as sock:
            return sock.selected_alpn_protocol()


@pytest.mark.parametrize("offers, enabled, expected", [
    (["h2", "http/1.1"], True, "h2"), (["http/1.1", "h2"], True, "h2"), (["http/1.1"], True, "http/1.1"),
    (["h2", "http/1.1"], False, "http/1.1")])
def test_alpn_prefers_http_2_where_it_is_enabled(secure, authority, offers, enabled, expected):
    proxy = secure(listener={"http2": {"enabled": enabled}})
    assert agreed(proxy, authority.trust(), offers) == expected


def test_a_client_without_alpn_speaks_http_1(secure, authority, connect):
    assert connect(secure(), tls=authority.trust()).get("/").text == "ok"


def test_requests_over_http_2_and_tls_are_answered(secure, origin, h2_connect):
    origin.on("/large", body=b"z" * 300_000)
    client = h2_connect(secure())
    assert client.get("/one").text == "ok"
    assert client.get("/large").body == b"z" * 300_000
    assert origin.last.headers.get("x-forwarded-proto") == "https"


def test_curl_speaks_http_2_and_both_bodies_pass_unchanged(secure, authority, origin, tmp_path):
    origin.otherwise(lambda exchange: exchange.reply(body=exchange.read_body()))
    proxy = secure()
    sent = tmp_path / "sent"
    sent.write_bytes(bytes(range(256)) * 2000)
    done = subprocess.run(
        ["curl", "-sS", "--http2", "--cacert", authority.cert, "--data-binary", f"@{sent}", "-o",
         tmp_path / "got", "-w", "%{http_version} %{http_code}",
         f"https://localhost:{proxy.port()}/"], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "2 200"
    assert (tmp_path / "got").read_bytes() == sent.read_bytes()


@pytest.mark.parametrize("protocol, spoken", [("auto", "HTTP/2"), ("h2", "HTTP/2"), ("h1", "HTTP/1.1")])
def test_the_protocol_to_an_https_origin_is_agreed_by_alpn(secure, tidegate, authority, connect, origin,
                                                          protocol, spoken):
    behind = secure()
    front = tidegate(config_for(f"https://localhost:{behind.port()}", cluster={
        "protocol": protocol, "tls": {"ca": str(authority.cert)}}))
    client = connect(front)
    for path in ("/a", "/b"):
        assert client.get(path).text == "ok"
    assert client.post("/c", b"x" * 500_000).text == "ok"
    assert len(origin.last.body) == 500_000
    assert behind.wait_for_access(path="/a")["protocol"].startswith(spoken)


def test_an_origin_that_does_not_agree_on_http_2_is_refused_where_it_is_demanded(
        secure, tidegate, authority, connect):
    behind = secure(listener={"http2": {"enabled": False}})
    front = tidegate(config_for(f"https://localhost:{behind.port()}", cluster={
        "protocol": "h2", "tls": {"ca": str(authority.cert)}}))
    assert connect(front).get("/").status == 502
    line = front.wait_for_log(message="no way to an origin", error="tls_handshake_failed")
    assert line["detail"]


def test_an_origin_without_alpn_gets_http_1(tidegate, make_origin, authority, connect):
    origin = make_origin(tls=authority.local.for_origin())
    front = tidegate(config_for(origin, cluster={"tls": {"ca": str(authority.cert)}}))
    assert connect(front).get("/").text == "ok"
    front = tidegate(config_for(origin, cluster={"protocol": "h2", "tls": {"ca": str(authority.cert)}}))
    assert connect(front).get("/").status == 502
    assert "HTTP/2" in front.wait_for_log(message="no way to an origin")["detail"]


@pytest.fixture
def guarded(scripted, authority):
    """A proxy that tells clients with certificates who they are."""
    return scripted('function on_request(r) r:reply(200, r.tls.client.subject) end', config={
        "route": {"echo": True},
        "listener": {"tls": {"certificates": [authority.local.entry], "client_ca": str(authority.cert)}}})


def test_http_2_clients_show_certificates_too(guarded, authority, h2_connect):
    alice = authority.issue("alice", subject="/CN=alice")
    assert h2_connect(guarded, alice).get("/").text == "CN=alice"


def test_http_2_clients_without_certificates_are_refused(guarded, h2_connect):
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):  # TLS 1.3: the first read tells
        h2_connect(guarded).get("/")
    assert not guarded.access_lines


@pytest.mark.parametrize("offers,chosen", [
    (["http/1.0"], "http/1.0"), (["http/1.0", "http/1.1"], "http/1.1"), (["h2", "http/1.0"], "h2")])
def test_h10_a_client_that_offers_http_1_0_is_served(secure, authority, connect, offers, chosen):
    context = authority.trust()
    context.set_alpn_protocols(offers)
    client = connect(secure(), tls=context)
    assert client.sock.selected_alpn_protocol() == chosen
    if chosen != "h2":
        version = chosen.upper()
        assert client.request("GET", "/", {"Host": "a"}, version=version).text == "ok"


def test_h10_curl_is_served_with_http_1_0(secure, authority):
    url = f"https://localhost:{secure().port()}/"
    done = subprocess.run(["curl", "-sS", "--http1.0", "--cacert", authority.cert, url], check=True, timeout=20,
                          capture_output=True, text=True)
    assert done.stdout == "ok"


def test_h10_a_client_that_offers_something_else_is_not(secure, authority, connect):
    context = authority.trust()
    context.set_alpn_protocols(["spdy/3"])
    with pytest.raises(ssl.SSLError):
        connect(secure(), tls=context)
