# SPDX-License-Identifier: Apache-2.0
"""TLS with clients: certificates by name, versions, ALPN, and what is no handshake."""
import signal
import socket
import ssl
import struct
import subprocess
import threading

import pytest

from support import Client, Wire, eventually, scaled
from support.certificates import Authority
from support.proxy import MEASURES_MEMORY


def with_tls(*certificates, **more):
    return {"tls": {"certificates": [c.entry for c in certificates], **more}}


@pytest.fixture
def secure(proxy_to, authority, origin):
    """A proxy whose listener has TLS: `secure(*certificates, min_version="1.3")`."""
    def start(*certificates, route=None, **tls):
        return proxy_to(origin, route=route,
                        listener=with_tls(*(certificates or [authority.local]), **tls))
    return start


def serial_for(proxy, context, name):
    """Of the certificate that a client asking for `name` is given."""
    context.check_hostname = False
    with Client(proxy.port(), tls=(context, {"server_hostname": name})) as client:
        return client.sock.getpeercert()["serialNumber"]


def test_a_request_is_answered_and_the_origin_learns_it_was_https(secure, authority, origin, connect):
    client = connect(secure(), tls=authority.trust())
    assert [client.get("/one").text, client.get("/two").text] == ["ok", "ok"]
    assert origin.last.headers.get("x-forwarded-proto") == "https"
    assert client.sock.version() == "TLSv1.3"


def test_curl_verifies_and_is_served(secure, authority):
    proxy = secure()
    url = f"https://localhost:{proxy.port()}/"
    done = subprocess.run(["curl", "-sS", "--cacert", authority.cert, url], check=True, timeout=20,
                          capture_output=True, text=True)
    assert done.stdout == "ok"


@pytest.fixture(scope="module")
def named(authority):
    return {
        "first": authority.issue("first", "DNS:first.example"),
        "exact": authority.issue("exact", "DNS:api.wild.example"),
        "wild": authority.issue("wild", "DNS:*.wild.example", "DNS:wild.example"),
        "common": authority.issue("common", subject="/CN=common.example"),
    }


@pytest.mark.parametrize("name, expected", [
    ("first.example", "first"), ("api.wild.example", "exact"), ("API.Wild.Example", "exact"),
    ("b.wild.example", "wild"), ("wild.example", "wild"), ("a.b.wild.example", "first"),
    ("common.example", "common"), ("unknown.example", "first"), (None, "first")])
def test_the_name_asked_for_chooses_the_certificate(secure, authority, named, name, expected):
    proxy = secure(*(named[k] for k in ("first", "wild", "exact", "common")))
    assert serial_for(proxy, authority.trust(), name) == named[expected].serial


@pytest.mark.parametrize("version, min_version, served", [
    (ssl.TLSVersion.TLSv1_3, "1.2", True), (ssl.TLSVersion.TLSv1_2, "1.2", True),
    (ssl.TLSVersion.TLSv1_2, "1.3", False), (ssl.TLSVersion.TLSv1_3, "1.3", True)])
def test_versions_from_min_version_on_are_accepted(secure, authority, connect, version, min_version,
                                                   served):
    proxy = secure(min_version=min_version)
    context = authority.trust()
    context.minimum_version = context.maximum_version = version
    if served:
        assert connect(proxy, tls=context).get("/").text == "ok"
    else:
        with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
            connect(proxy, tls=context)


def test_tls_1_1_is_refused(secure, authority):
    proxy = secure()
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.port()}", "-tls1_1", "-cipher",
         "ALL:@SECLEVEL=0"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20,
        check=False)
    assert done.returncode != 0
    assert "alert protocol version" in done.stderr


@pytest.mark.parametrize("cipher, served", [
    ("ECDHE-ECDSA-AES128-GCM-SHA256", True), ("ECDHE-ECDSA-CHACHA20-POLY1305", True),
    ("ECDHE-ECDSA-AES128-SHA256", False), ("ECDHE-ECDSA-AES256-SHA", False)])
def test_only_forward_secret_authenticated_ciphers_are_used(secure, authority, connect, cipher, served):
    context = authority.trust()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(cipher)
    proxy = secure()
    if served:
        assert connect(proxy, tls=context).sock.cipher()[0] == cipher
    else:
        with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
            connect(proxy, tls=context)


def test_alpn_agrees_on_http_1_1(secure, authority, connect):
    context = authority.trust()
    context.set_alpn_protocols(["http/1.1"])
    assert connect(secure(), tls=context).sock.selected_alpn_protocol() == "http/1.1"


def test_why_a_handshake_failed_is_in_the_debug_log(proxy_to, authority, origin, connect):
    proxy = proxy_to(origin, listener=with_tls(authority.local), log={"level": "debug"})
    connect(proxy).send(b"no handshake at all").read_to_close()
    line = proxy.wait_for_log(message="handshake with a client failed", listener="public")
    assert line["detail"] == "wrong version number"


def test_alpn_without_anything_in_common_ends_the_handshake(secure, authority, connect):
    context = authority.trust()
    context.set_alpn_protocols(["smtp"])
    with pytest.raises(ssl.SSLError, match="no application protocol"):
        connect(secure(), tls=context)


def test_plain_http_is_told_to_use_https(secure, connect):
    response = connect(secure()).get("/")
    assert response.status == 400
    assert "https://" in response.text


@pytest.mark.parametrize("garbage", [b"\0" * 64, b"\x16\x03\x01\x00\x05hello", b"SSH-2.0-x\r\n",
                                     b"\x16\x03\x01\xff\xff" + b"x" * 100])
def test_garbage_instead_of_a_handshake_ends_the_connection_and_nothing_else(
        secure, authority, connect, garbage):
    proxy = secure(handshake_timeout="300ms")
    client = connect(proxy)
    client.send(garbage)
    client.half_close()
    client.read_to_close()
    assert connect(proxy, tls=authority.trust()).get("/").text == "ok"


def test_a_client_that_says_nothing_is_closed_after_the_handshake_timeout(secure, connect):
    connect(secure(handshake_timeout="150ms")).expect_closed()


def client_hello():
    out = ssl.MemoryBIO()
    context = ssl.create_default_context()
    handshake = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        handshake.do_handshake()
    return out.read()


def test_a_handshake_byte_by_byte_works_and_others_are_served_meanwhile(secure, authority, connect):
    proxy = secure()
    slow = connect(proxy)
    hello = client_hello()
    for at in range(len(hello)):
        slow.send(hello[at:at + 1])
        if at % 64 == 0:
            assert connect(proxy, tls=authority.trust()).get("/").text == "ok"
    assert slow.read_exactly(1) == b"\x16", "a ServerHello"


def test_a_handshake_that_stalls_is_closed_after_the_handshake_timeout(secure, connect):
    slow = connect(secure(handshake_timeout="200ms"))
    slow.send(client_hello()[:50])
    slow.expect_closed()


def silent_ms(sock):
    """For how long no data has arrived, by the kernel: tcpi_last_data_recv of struct tcp_info."""
    return struct.unpack_from("I", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256), 52)[0]


def test_a_storm_of_handshakes_does_not_starve_a_client(secure, authority, connect):
    """A request that stands behind hundreds of handshakes is answered when few of them are done."""
    proxy = secure(handshake_timeout="60s", route={"respond": {"status": 200, "body": "in"}, "cluster": None})
    client = connect(proxy, tls=authority.trust())
    client.get("/")
    storm = [connect(proxy, timeout=20) for _ in range(400)]
    eventually(lambda: proxy.metrics()("proxy_client_connections_total") == 1 + len(storm))
    hello = client_hello()
    proxy.signal(signal.SIGSTOP)
    eventually(proxy.stopped)
    for one in storm:
        one.send(hello)
    client.send_request("GET", "/")
    proxy.signal(signal.SIGCONT)
    assert client.response().text == "in"
    for one in storm:
        assert one.read_exactly(1) == b"\x16", "each has its turn"
    answered = silent_ms(client.sock)
    sooner = [one for one in storm if silent_ms(one.sock) > answered]
    assert len(sooner) < len(storm) / 2


def test_keep_alive_ends_in_an_orderly_way_when_idle(proxy_to, authority, origin, connect):
    proxy = proxy_to(origin, listener={**with_tls(authority.local), "idle_timeout": "150ms"})
    client = connect(proxy, tls=authority.trust())
    assert client.get("/").text == "ok"
    client.expect_end()


@pytest.mark.skipif(not MEASURES_MEMORY, reason="a sanitizer's memory says nothing about ours")
def test_idle_connections_give_their_buffers_back(secure, authority, connect):
    """OpenSSL has 16 KiB to read into and as much to write from, for each connection that has traffic."""
    proxy = secure()
    context = authority.trust()

    def idle_connections(count):
        for _ in range(count):
            assert connect(proxy, tls=context).get("/").status == 200
    idle_connections(20)
    before = proxy.memory_kib()
    idle_connections(200)
    assert proxy.memory_kib() - before < 200 * 24  # 15 were measured; a buffer is 16 more


def test_a_client_that_cuts_the_connection_is_gone(secure, authority, origin, connect):
    proxy = secure()
    client = connect(proxy, tls=authority.trust())
    client.get("/")
    raw = socket.socket(fileno=client.sock.detach())  # no close_notify
    raw.close()
    assert connect(proxy, tls=authority.trust()).get("/").text == "ok"


def test_the_first_certificate_is_what_an_old_client_without_sni_gets(secure, authority, named):
    context = authority.trust()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    proxy = secure(named["first"], named["wild"])
    assert serial_for(proxy, context, None) == named["first"].serial


def test_drain_finishes_a_request_over_tls_and_closes_idle_connections(secure, authority, origin,
                                                                       connect):
    release = threading.Event()

    def slow(exchange):
        exchange.wait(release)
        exchange.reply(body=b"finished")
    origin.on("/slow", slow)
    proxy = secure()
    idle = connect(proxy, tls=authority.trust())
    idle.get("/")
    busy = connect(proxy, tls=authority.trust())
    busy.send_request("GET", "/slow")
    origin.wait_for_requests(2)
    proxy.signal(signal.SIGTERM)
    idle.expect_end()
    release.set()
    assert busy.response().text == "finished"
    busy.expect_end()


def test_a_certificate_of_another_ca_is_what_the_client_refuses(secure, connect, tmp_path):
    stranger = Authority(tmp_path / "stranger")
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(secure(), tls=stranger.trust())


@pytest.mark.parametrize("order", [("rsa", "ec"), ("ec", "rsa")])
def test_of_two_kinds_of_keys_for_one_name_each_client_gets_what_it_can_verify(secure, authority, order):
    kinds = {"rsa": authority.issue("rsa", "DNS:both.example", rsa=True),
             "ec": authority.issue("ec", "DNS:both.example")}
    proxy = secure(*(kinds[kind] for kind in order))
    for kind, cipher in (("rsa", "ECDHE-RSA-AES128-GCM-SHA256"), ("ec", "ECDHE-ECDSA-AES128-GCM-SHA256")):
        context = authority.trust()
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # where the cipher says what the client can verify
        context.set_ciphers(cipher)
        assert serial_for(proxy, context, "both.example") == kinds[kind].serial


def test_handshakes_both_ways_at_once_end_and_leave_the_worker_idle(make_origin, proxy_to, authority, connect):
    """More than begin in a turn, while others wait for origins that say nothing."""
    mute = make_origin().raw(lambda wire, _: wire.read_to_close())
    mute.url = mute.url.replace("http:", "https:")
    proxy = proxy_to(mute, cluster={"connect_timeout": "1s", "protocol": "h1"}, listeners=[
        {"name": "public", "address": "127.0.0.1:0", **with_tls(authority.local)},
        {"name": "plain", "address": "127.0.0.1:0"}])
    waiting = [connect(proxy, "plain") for _ in range(30)]
    hello = client_hello()
    storm = [socket.create_connection(("127.0.0.1", proxy.port()), scaled(20)) for _ in range(150)]
    eventually(lambda: proxy.metrics()("proxy_client_connections_active") == 180)
    proxy.signal(signal.SIGSTOP)
    eventually(proxy.stopped)
    for client in waiting:
        client.send_request("GET", "/")
    for sock in storm:
        sock.sendall(hello)
    proxy.signal(signal.SIGCONT)
    for sock in storm:
        assert Wire(sock, timeout=20).read_exactly(1) == b"\x16", "each has its turn"
        sock.close()
    for client in waiting:
        assert client.response().status in (502, 504)
