# SPDX-License-Identifier: Apache-2.0
"""A WebSocket crosses from one version to the other: the proxy makes the half of the handshake that
HTTP/2 lacks (RFC 6455, RFC 8441)."""
import base64
import hashlib
import ssl

import h2.events
import h2.settings
import pytest

from support import http1
from support.h2 import H2Request, Side

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONNECT = {h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL: 1}
EXTENDED = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"),
            (":authority", "a.example"), (":path", "/chat"), ("sec-websocket-version", "13"),
            ("sec-websocket-protocol", "chat")]
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def accept(key):
    return base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()


@pytest.fixture
def h2_origin(make_any_origin):
    return make_any_origin("h2", settings=CONNECT)


def agree_h1(exchange):
    request = exchange.request
    wire = exchange.take_over()
    assert request.headers.get("upgrade") == "websocket"
    key = request.headers.get("sec-websocket-key")
    assert len(base64.b64decode(key)) == 16
    exchange.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                  f"Sec-WebSocket-Accept: {accept(key)}\r\nSec-WebSocket-Protocol: chat\r\n\r\n")
    wire.expect("ping")
    wire.send("pong")
    wire.expect_end()
    exchange.close()


def agree_h2(exchange):
    pseudo = exchange.request.pseudo
    assert (pseudo[":method"], pseudo[":protocol"]) == ("CONNECT", "websocket")
    assert "sec-websocket-key" not in exchange.request.headers
    exchange.start_chunked(200, {"Sec-WebSocket-Protocol": "chat"})
    assert exchange.read_some(4) == b"ping"
    exchange.chunk(b"pong")
    exchange.read_body()
    exchange.end_chunks()


def talk_h2(client):
    stream = client.start_raw(EXTENDED)
    head = client.wait_head(stream)
    assert head.status == 200
    assert head.headers.get("sec-websocket-protocol") == "chat"
    assert "sec-websocket-accept" not in head.headers
    client.send_data(stream, b"ping")
    assert client.wait_body(stream, 4).body == b"pong"
    client.send_data(stream, b"", end=True)
    client.response(stream=stream)


def test_from_http_2_to_http_1(make_origin, proxy_to, h2_client):
    origin = make_origin()
    origin.on("/chat", agree_h1)
    proxy = proxy_to(origin)
    talk_h2(h2_client(proxy))
    assert proxy.wait_for_access()["status"] == 101


def test_from_http_2_to_http_2(h2_origin, h2_front, h2_client):
    h2_origin.on("/chat", agree_h2)
    talk_h2(h2_client(h2_front(h2_origin)))


def test_from_http_1_to_http_2(h2_origin, h2_front, connect):
    h2_origin.on("/chat", agree_h2)
    client = connect(h2_front(h2_origin))
    client.send_head("GET", "/chat", {"Connection": "Upgrade", "Upgrade": "websocket",
                                      "Sec-WebSocket-Key": KEY, "Sec-WebSocket-Version": "13"})
    head = client.read_head()
    assert head.status == 101
    assert head.headers.get("upgrade") == "websocket"
    assert head.headers.get("sec-websocket-accept") == accept(KEY)
    client.send("ping")
    client.expect("pong")
    client.half_close()
    client.expect_end()


def test_an_origin_that_accepts_another_key_is_not_believed(make_origin, proxy_to, h2_client):
    def handler(exchange):
        exchange.take_over()
        exchange.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                      f"Upgrade: websocket\r\nSec-WebSocket-Accept: {accept(KEY)}\r\n\r\n")
        exchange.expect_gone()
    origin = make_origin()
    origin.on("/chat", handler)
    client = h2_client(proxy_to(origin))
    stream = client.start_raw(EXTENDED)
    assert client.wait_head(stream).status == 502


def test_an_origin_that_declines_is_heard(make_origin, proxy_to, h2_client):
    origin = make_origin()
    origin.on("/chat", status=403, body=b"no")
    client = h2_client(proxy_to(origin))
    stream = client.start_raw(EXTENDED)
    response = client.wait_body(stream, 2)
    assert (response.status, response.body) == (403, b"no")


def test_an_origin_of_http_1_that_passes_over_the_upgrade_has_not_agreed(make_origin, proxy_to, h2_client):
    """Its 200 would mean to a client of HTTP/2 that the tunnel is open (RFC 8441 4)."""
    origin = make_origin()
    origin.on("/chat", status=200, body=b"a page")
    proxy = proxy_to(origin)
    client = h2_client(proxy)
    assert client.wait_head(client.start_raw(EXTENDED)).status == 502
    assert proxy.wait_for_access()["error"] == "bad_response"


def test_plain_connect_is_refused(make_origin, proxy_to, h2_client):
    client = h2_client(proxy_to(make_origin()), lax=True)
    stream = client.start_raw([(":method", "CONNECT"), (":authority", "a.example:443")])
    assert client.wait_head(stream).status == 501


def upgrade_of(client, path="/", protocol="websocket"):
    client.send_request("GET", path, {"Connection": "Upgrade", "Upgrade": protocol,
                                      "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": KEY})
    return client


def speaks_h2(wire, _):
    """And nothing else."""
    if wire.sock.selected_alpn_protocol() != "h2":
        return wire.close()
    side = Side(wire.sock, False)
    while side.read_once():
        pass


@pytest.mark.parametrize("clients", [1, 3])
def test_an_https_origin_whose_http_2_has_no_upgrades_is_asked_by_http_1(
        make_origin, proxy_to, connect, authority, clients):
    """As most are: ALPN chooses h2 for what is no upgrade, and RFC 8441 is not offered."""
    tls = authority.local.for_origin()
    tls.set_alpn_protocols(["h2", "http/1.1"])
    spoken = []

    def serve(wire, number):
        spoken.append(wire.sock.selected_alpn_protocol())
        if spoken[-1] == "h2":
            return speaks_h2(wire, number)
        key = http1.read_request_head(wire).headers.get("sec-websocket-key")
        wire.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                  f"Sec-WebSocket-Accept: {accept(key)}\r\n\r\n")
        wire.expect("ping")
        wire.send("pong")
        wire.expect_end()
    origin = make_origin(tls=tls).raw(serve)
    proxy = proxy_to(origin, cluster={"tls": {"ca": str(authority.cert)}})
    for _ in range(2):  # what was learnt holds
        opened = [connect(proxy) for _ in range(clients)]
        for client in opened:
            upgrade_of(client)
        for client in opened:
            assert client.read_head().status == 101
            client.send("ping")
            client.expect("pong")
            client.close()
    assert spoken.count("http/1.1") == 2 * clients
    assert spoken.count("h2") <= clients


def test_upgrades_that_an_origin_of_http_2_alone_can_not_take_are_no_evidence_against_it(
        make_origin, proxy_to, connect, authority):
    tls = authority.local.for_origin()
    tls.set_alpn_protocols(["h2"])
    origin = make_origin(tls=tls).raw(speaks_h2)
    proxy = proxy_to(origin, cluster={"tls": {"ca": str(authority.cert)}, "breaker": {"max_failures": 1}})
    for _ in range(4):
        assert upgrade_of(connect(proxy)).response().status == 501
        assert proxy.wait_for_access(status=501)["error"] == "upgrade_unsupported"
    assert proxy.admin("/breakers").json()["clusters"][0]["breakers"][0]["state"] == "closed"


def test_a_handshake_that_breaks_says_nothing_of_upgrades(make_origin, proxy_to, connect, authority):
    """As where an origin restarts: the next request for one is not refused unasked."""
    tls = authority.local.for_origin()
    tls.set_alpn_protocols(["h2", "http/1.1"])

    def serve(wire, number):
        if wire.sock.selected_alpn_protocol() == "h2":
            return speaks_h2(wire, number)
        http1.read_request_head(wire)
        wire.send("HTTP/1.1 403 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    origin = make_origin(tls=tls).raw(serve)
    proxy = proxy_to(origin, cluster={"tls": {"ca": str(authority.cert)}})
    assert upgrade_of(connect(proxy)).response().status == 403
    origin.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # without a certificate no handshake works
    assert upgrade_of(connect(proxy)).response().status == 502
    origin.tls = tls
    assert upgrade_of(connect(proxy)).response().status == 403


def test_an_upgrade_apart_sees_the_path_as_the_route_makes_it(make_origin, proxy_to, connect, authority):
    """With another endpoint's connection at hand, and a prefix that could be stripped twice."""
    tls = authority.local.for_origin()
    tls.set_alpn_protocols(["h2", "http/1.1"])
    seen = []

    def serve(wire, number):
        if wire.sock.selected_alpn_protocol() == "h2":
            return speaks_h2_and_answers(wire)
        head = http1.read_request_head(wire)
        seen.append(head.target)
        wire.send("HTTP/1.1 403 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def speaks_h2_and_answers(wire):
        class Answering(Side):
            def new_message(self, stream):
                return H2Request()

            def take(self, event):
                if isinstance(event, h2.events.RequestReceived):
                    self.send_headers(event.stream_id, [(":status", "204")], True)
        side = Answering(wire.sock, False)
        while side.read_once():
            pass
    origins = [make_origin(name, tls=tls).raw(serve) for name in ("a", "b")]
    proxy = proxy_to(*origins, cluster={"tls": {"ca": str(authority.cert)}},
                     route={"match": {"path_prefix": "/websocket"}, "strip_prefix": True})
    client = connect(proxy)
    assert [client.get("/websocket/warm").status for _ in range(2)] == [204] * 2
    for _ in range(3):
        assert upgrade_of(connect(proxy), "/websocket/chat").response().status == 403
    assert seen == ["/chat"] * 3
    assert {line["attempts"] for line in proxy.wait_for_access(count=5)} == {1}


def test_h4_an_upgrade_with_a_body_is_asked_for_by_http_1(make_origin, proxy_to, connect, authority):
    """Extended CONNECT has no body, so it would be of no use that the origin's HTTP/2 offers it."""
    tls = authority.local.for_origin()
    tls.set_alpn_protocols(["h2", "http/1.1"])

    def serve(wire, number):
        if wire.sock.selected_alpn_protocol() == "h2":
            return speaks_h2(wire, number)
        request = http1.read_body(wire, http1.read_request_head(wire))
        assert (request.body, request.headers.get("upgrade")) == (b"{}", "tcp")
        wire.send("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        wire.expect("ping").send("pong").expect_end()
    origin = make_origin(tls=tls).raw(serve)
    client = connect(proxy_to(origin, cluster={"tls": {"ca": str(authority.cert)}}))
    client.send("POST /exec HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
                "Content-Length: 2\r\n\r\n{}")
    assert client.read_head().status == 101
    client.send("ping").expect("pong")
    client.close()
