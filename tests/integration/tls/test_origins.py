# SPDX-License-Identifier: Apache-2.0
"""TLS with origins: what is verified, what is told apart, what is sent and kept."""
import socket
import ssl

import pytest

from support import Closed, config_for
from support.certificates import Authority
from support.dns import DnsServer


@pytest.fixture
def https_origin(make_origin, authority):
    """An origin with a certificate; by default one for 127.0.0.1 and localhost."""
    def make(pair=None, client_ca=None, name="https", prepare=None):
        context = (pair or authority.local).for_origin(client_ca)
        if prepare:
            prepare(context)
        return make_origin(name, tls=context)
    return make


def trusting(authority, **tls):
    return {"tls": {"ca": str(authority.cert), **tls}}


def refused(proxy, connect, token, detail):
    """A request fails with 502 and this token, and the log has OpenSSL's reason."""
    response = connect(proxy).get("/")
    assert response.status == 502
    assert response.headers.get("content-type") == "application/problem+json"
    assert token in response.text
    assert detail not in response.text, "the client is not told more"
    line = proxy.wait_for_log(message="no way to an origin", error=token)
    assert detail in line["detail"]
    assert proxy.wait_for_access(error=token)["status"] == 502


def test_an_https_origin_is_verified_and_used(proxy_to, https_origin, authority, connect):
    origin = https_origin()
    proxy = proxy_to(origin, cluster=trusting(authority))
    client = connect(proxy)
    assert [client.get("/a").text, client.post("/b", b"x" * 100_000).text] == ["ok", "ok"]
    assert origin.connections == 1, "the connection is kept and used again"
    assert origin.last.headers.get("x-forwarded-proto") == "http"


def test_the_system_s_store_is_trusted_by_default(proxy_to, https_origin, authority, connect):
    proxy = proxy_to(https_origin(), env={"SSL_CERT_FILE": str(authority.cert)})
    assert connect(proxy).get("/").text == "ok"


def test_an_unknown_ca_is_refused(proxy_to, https_origin, connect, tmp_path):
    origin = https_origin()
    proxy = proxy_to(origin, cluster=trusting(Authority(tmp_path / "other", "other")))
    refused(proxy, connect, "certificate_invalid", "unable to get local issuer certificate")
    assert not origin.requests


def test_a_self_signed_certificate_is_refused(proxy_to, https_origin, authority, connect, tmp_path):
    alone = Authority(tmp_path / "alone", "alone")
    proxy = proxy_to(https_origin(alone), cluster=trusting(authority))
    refused(proxy, connect, "certificate_invalid", "self-signed certificate")


def test_a_certificate_for_another_address_is_refused(proxy_to, https_origin, authority, connect):
    wrong = authority.issue("wrong_ip", "DNS:localhost", "IP:127.0.0.2")
    proxy = proxy_to(https_origin(wrong), cluster=trusting(authority))
    refused(proxy, connect, "certificate_invalid", "IP address mismatch")


def test_a_certificate_for_another_name_is_refused(proxy_to, https_origin, authority, connect):
    proxy = proxy_to(https_origin(), cluster=trusting(authority, sni="other.example"))
    refused(proxy, connect, "certificate_invalid", "hostname mismatch")


def test_an_expired_certificate_is_refused(proxy_to, https_origin, authority, connect):
    old = authority.issue("expired_origin", "IP:127.0.0.1", expired=True)
    proxy = proxy_to(https_origin(old), cluster=trusting(authority))
    refused(proxy, connect, "certificate_invalid", "certificate has expired")


def test_an_origin_without_tls_is_a_failed_handshake(proxy_to, make_origin, authority, connect):
    plain = make_origin().raw(lambda wire, number: wire.send("HTTP/1.1 400 Bad Request\r\n\r\n"))
    proxy = proxy_to(f"https://{plain.address}", cluster=trusting(authority))
    refused(proxy, connect, "tls_handshake_failed", "wrong version number")


def test_an_origin_that_hangs_up_is_a_failed_handshake(proxy_to, make_origin, authority, connect):
    plain = make_origin().raw(lambda wire, number: wire.read_some() and wire.close())
    proxy = proxy_to(f"https://{plain.address}", cluster=trusting(authority))
    refused(proxy, connect, "tls_handshake_failed", "closed the connection during the handshake")


def test_an_origin_with_old_tls_only_is_a_failed_handshake(proxy_to, https_origin, authority, connect):
    def old(context):
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    proxy = proxy_to(https_origin(prepare=old), cluster=trusting(authority))
    refused(proxy, connect, "tls_handshake_failed", "version")


def test_a_handshake_that_hangs_ends_with_the_connect_timeout(proxy_to, make_origin, authority,
                                                              connect):
    silent = make_origin().raw(lambda wire, number: wire.read_to_close())
    proxy = proxy_to(f"https://{silent.address}",
                     cluster={**trusting(authority), "connect_timeout": "200ms"})
    response = connect(proxy).get("/")
    assert (response.status, "connect_timeout" in response.text) == (504, True)


def test_verify_false_takes_any_certificate(proxy_to, https_origin, connect, tmp_path):
    alone = Authority(tmp_path / "alone", "alone").issue("anything", "DNS:elsewhere.example")
    proxy = proxy_to(https_origin(alone), cluster={"tls": {"verify": False}})
    assert connect(proxy).get("/").text == "ok"


@pytest.mark.parametrize("url_host, sni, expected", [
    ("localhost", None, "localhost"), ("127.0.0.1", None, None),
    ("127.0.0.1", "api.origin.example", "api.origin.example")])
def test_the_name_asked_for_is_the_url_s_or_the_one_configured(
        proxy_to, https_origin, authority, connect, url_host, sni, expected):
    asked = []

    def note(context):
        context.sni_callback = lambda sock, name, ctx: asked.append(name)
    pair = authority.issue("origin_sni", "DNS:localhost", "DNS:api.origin.example", "IP:127.0.0.1")
    origin = https_origin(pair, prepare=note)
    tls = trusting(authority, **({"sni": sni} if sni else {}))
    proxy = proxy_to(f"https://{url_host}:{origin.port}", cluster=tls)
    assert connect(proxy).get("/").text == "ok"
    assert asked == [expected]


@pytest.mark.parametrize("by_dns, sni", [
    (False, "localhost."), (False, "LocalHost."), (True, None), (True, "localhost.")])
def test_o27_a_final_dot_is_not_part_of_the_name_asked_for(tidegate, https_origin, authority, connect, by_dns, sni):
    """RFC 6066 3, and no certificate has the dot: with it, the certificate would be for another name."""
    asked = []

    def note(context):
        context.sni_callback = lambda sock, name, ctx: asked.append(name)
    origin = https_origin(authority.issue("dotless", "DNS:localhost"), prepare=note)
    config = config_for(origin, cluster=trusting(authority, **({"sni": sni} if sni else {})))
    with DnsServer() as dns:
        dns.set("localhost", a=["127.0.0.1"])
        if by_dns:
            del config["clusters"]["origin"]["endpoints"]
            config["clusters"]["origin"]["dns"] = {"name": "localhost.", "port": origin.port, "scheme": "https"}
            config["resolver"] = {"servers": [dns.address], "timeout": "1s", "attempts": 1}
        assert connect(tidegate(config)).get("/").text == "ok"
    assert asked == ["localhost"]


def test_a_client_certificate_is_shown(proxy_to, https_origin, authority, connect):
    ours = authority.issue("tidegate")
    origin = https_origin(client_ca=authority.cert)
    proxy = proxy_to(origin, cluster=trusting(authority, **ours.entry))
    assert connect(proxy).get("/").text == "ok"


def test_an_origin_that_wants_a_certificate_and_gets_none_answers_nothing(
        proxy_to, https_origin, authority, connect):
    proxy = proxy_to(https_origin(client_ca=authority.cert), cluster=trusting(authority))
    assert connect(proxy).get("/").status == 502


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3],
                         ids=["1.2", "1.3"])
def test_a_session_is_resumed_with_the_next_connection(proxy_to, https_origin, authority, connect,
                                                       version):
    def limit(context):
        context.maximum_version = version
    origin = https_origin(prepare=limit)
    reused = []

    def note(exchange):
        reused.append(exchange.wire.sock.session_reused)
        exchange.reply(headers={"Connection": "close"})
    origin.otherwise(note)
    client = connect(proxy_to(origin, cluster=trusting(authority)))
    for _ in range(3):
        client.get("/")
    assert reused == [False, True, True]


def test_alpn_offers_what_the_protocol_of_the_cluster_allows(proxy_to, https_origin, authority,
                                                             connect):
    agreed = []

    def prepare(context):
        context.set_alpn_protocols(["http/1.1"])
    origin = https_origin(prepare=prepare)

    def note(exchange):
        agreed.append(exchange.wire.sock.selected_alpn_protocol())
        exchange.reply(body=b"ok")
    origin.otherwise(note)
    proxy = proxy_to(origin, cluster={**trusting(authority), "protocol": "h1"})
    assert connect(proxy).get("/").text == "ok"
    assert agreed == ["http/1.1"]


def test_a_body_that_is_cut_off_without_close_notify_is_broken(proxy_to, https_origin, authority,
                                                               connect):
    origin = https_origin()

    def cut(exchange):
        exchange.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nthe first half")
        sock = exchange.wire.sock
        raw = socket.socket(fileno=sock.detach())
        raw.close()
        exchange.close()
    origin.on("/cut", cut, may_break=True)
    proxy = proxy_to(origin, cluster=trusting(authority))
    client = connect(proxy)
    client.send_request("GET", "/cut")
    with pytest.raises(Closed):
        client.response()
    assert proxy.wait_for_access(path="/cut")["error"] == "origin_reset"


def test_a_body_that_ends_with_close_notify_is_whole(proxy_to, https_origin, authority, connect):
    origin = https_origin()

    def whole(exchange):
        exchange.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it")
        exchange.wire.sock.setblocking(False)
        try:
            exchange.wire.sock.unwrap()
        except (ssl.SSLError, OSError):
            pass  # it waits for the proxy's close_notify, which may take its time
        exchange.close()
    origin.on("/whole", whole)
    assert connect(proxy_to(origin, cluster=trusting(authority))).get("/whole").text == "all of it"


def test_a_failed_handshake_is_free_to_be_tried_elsewhere(proxy_to, https_origin, make_origin,
                                                          authority, connect):
    plain = make_origin("plain").raw(lambda wire, number: wire.read_some() and wire.close())
    proxy = proxy_to(f"https://{plain.address}", https_origin(), cluster=trusting(authority))
    statuses = {connect(proxy).get("/").status for _ in range(4)}
    assert 200 in statuses
    metrics = proxy.metrics()
    assert metrics("proxy_backend_connection_errors_total", endpoint=plain.address,
                   error="tls_handshake_failed") >= 1


def test_a_new_ca_file_counts_for_the_next_connection(proxy_to, https_origin, authority, connect,
                                                      tmp_path):
    ca = tmp_path / "trusted.pem"
    ca.write_bytes(Authority(tmp_path / "other", "other").cert.read_bytes())
    origin = https_origin()
    proxy = proxy_to(origin, cluster={"tls": {"ca": str(ca)}})
    assert connect(proxy).get("/").status == 502
    ca.write_bytes(authority.cert.read_bytes())
    proxy.wait_for_log(message="certificates loaded")
    assert connect(proxy).get("/").text == "ok"
