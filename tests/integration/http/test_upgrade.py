# SPDX-License-Identifier: Apache-2.0
"""Upgrade: a tunnel once the origin agrees, an ordinary exchange if it does not."""
import signal
import threading

import pytest

UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
           "Sec-WebSocket-Version": "13"}
SWITCHING = ("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
             "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")


def tunnel(script):
    """An origin handler that agrees and then runs the script on the bare connection."""
    def handler(exchange):
        wire = exchange.take_over()
        assert exchange.request.headers.get("upgrade") == "websocket"
        assert exchange.request.headers.get("connection").lower() == "upgrade"
        exchange.send(SWITCHING)
        script(wire)
        exchange.close()
    return handler


def upgraded(client, target="/ws", headers=None):
    client.send_head("GET", target, {**UPGRADE, **(headers or {})})
    head = client.read_head()
    assert head.status == 101, head
    assert head.headers.get("upgrade") == "websocket"
    assert head.headers.get("connection").lower() == "upgrade"
    assert head.headers.get("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    return client


def test_an_upgrade_tunnels_raw_bytes_both_ways(origin, proxy_to, connect):
    def script(wire):
        wire.expect(b"\x81\x85\x00\x00\x00\x00hello")
        wire.send(b"\x81\x05world")
        wire.expect(b"\r\n\r\nGET / HTTP/1.1\r\n\r\n\x00\xff")
        wire.send(b"HTTP/1.1 500 not parsed\r\n\r\n")
    origin.on("/ws", tunnel(script))
    client = upgraded(connect(proxy_to(origin)))
    client.send(b"\x81\x85\x00\x00\x00\x00hello")
    client.expect(b"\x81\x05world")
    client.send(b"\r\n\r\nGET / HTTP/1.1\r\n\r\n\x00\xff")
    client.expect(b"HTTP/1.1 500 not parsed\r\n\r\n")
    client.expect_end()
    assert origin.last.headers.get("sec-websocket-key") == UPGRADE["Sec-WebSocket-Key"]


def test_bytes_sent_with_the_101_are_the_tunnels_first(origin, proxy_to, connect):
    def handler(exchange):
        wire = exchange.take_over()
        exchange.send(SWITCHING, "first frame")
        wire.expect("answer")
        exchange.close()
    origin.on("/ws", handler)
    client = upgraded(connect(proxy_to(origin)))
    client.expect("first frame")
    client.send("answer")
    client.expect_end()


def test_bytes_sent_with_the_request_reach_the_tunnel(origin, proxy_to, connect):
    """An eager client does not wait for the 101."""
    origin.on("/ws", tunnel(lambda wire: wire.expect("eager").send("yes")))
    client = connect(proxy_to(origin))
    client.send("GET /ws HTTP/1.1\r\nHost: a\r\n", "".join(f"{k}: {v}\r\n" for k, v in UPGRADE.items()),
                "\r\neager")
    assert client.read_head().status == 101
    client.expect("yes").expect_end()


def test_the_client_may_half_close_the_tunnel(origin, proxy_to, connect):
    origin.on("/ws", tunnel(lambda wire: wire.expect("last words").expect_end().send("heard")))
    client = upgraded(connect(proxy_to(origin)))
    client.send("last words").half_close()
    client.expect("heard").expect_end()


def test_the_origin_may_half_close_the_tunnel(origin, proxy_to, connect):
    origin.on("/ws", tunnel(lambda wire: wire.send("last words").half_close().expect("heard")))
    client = upgraded(connect(proxy_to(origin)))
    client.expect("last words").expect_end()
    client.send("heard")


def test_a_tunnel_ends_when_the_origin_resets(origin, proxy_to, connect):
    origin.on("/ws", tunnel(lambda wire: wire.expect("x").reset()))
    client = upgraded(connect(proxy_to(origin)))
    client.send("x")
    assert client.read_to_close() == b""


def test_a_tunnel_ends_when_the_client_goes_away(origin, proxy_to, connect):
    gone = threading.Event()

    def script(wire):
        wire.expect_closed()
        gone.set()
    origin.on("/ws", tunnel(script))
    upgraded(connect(proxy_to(origin))).reset()
    assert gone.wait(5)


def test_a_tunnel_carries_much_both_ways(origin, proxy_to, connect):
    size = 8 << 20

    def script(wire):
        writer = threading.Thread(target=lambda: wire.send(b"o" * size))
        writer.start()
        assert wire.read_exactly(size) == b"c" * size
        writer.join()
    origin.on("/ws", tunnel(script))
    client = upgraded(connect(proxy_to(origin)))
    writer = threading.Thread(target=lambda: client.send(b"c" * size))
    writer.start()
    assert client.read_exactly(size) == b"o" * size
    writer.join()
    client.expect_end()


def test_the_origin_may_refuse_the_upgrade(origin, proxy_to, connect):
    origin.on("/ws", status=200, body=b"plain")
    client = connect(proxy_to(origin))
    response = client.get("/ws", UPGRADE)
    assert (response.status, response.body) == (200, b"plain")
    assert client.get("/after").status == 200, "the connection is an HTTP connection still"


def test_the_origin_may_demand_another_upgrade(origin, proxy_to, connect):
    origin.on("/ws", status=426, body=b"no", headers={"Upgrade": "TLS/1.0", "Connection": "Upgrade"})
    client = connect(proxy_to(origin))
    assert client.get("/ws", UPGRADE).status == 426
    assert client.get("/after").status == 200


def test_an_upgrade_that_connection_does_not_name_is_dropped(origin, proxy_to, connect):
    client = connect(proxy_to(origin))
    assert client.get("/", {"Upgrade": "websocket"}).status == 200
    assert "upgrade" not in origin.last.headers


def test_an_http_1_0_client_can_not_upgrade(origin, proxy_to, connect):
    client = connect(proxy_to(origin))
    assert client.get("/", UPGRADE, version="HTTP/1.0").status == 200
    assert "upgrade" not in origin.last.headers


def test_h2c_is_never_tunnelled(origin, proxy_to, connect):
    """An h2c upgrade would carry requests past every rule of the proxy."""
    client = connect(proxy_to(origin))
    response = client.get("/", {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c",
                                "HTTP2-Settings": "AAMAAABkAAQAoAAAAAIAAAAA"})
    assert response.status == 200
    assert not {"upgrade", "http2-settings", "connection"} & set(origin.last.headers.names())


def test_a_101_nobody_asked_for_is_a_bad_response(origin, proxy_to, connect):
    origin.on("/", lambda exchange: (exchange.send(SWITCHING), exchange.expect_gone()))
    response = connect(proxy_to(origin)).get("/")
    assert response.status == 502


@pytest.mark.parametrize("protocol", ["websocket", "my-protocol/1"])
def test_any_protocol_can_be_tunnelled(origin, proxy_to, connect, protocol):
    def handler(exchange):
        wire = exchange.take_over()
        assert exchange.request.headers.get("upgrade") == protocol
        exchange.send(f"HTTP/1.1 101 OK\r\nConnection: upgrade\r\nUpgrade: {protocol}\r\n\r\n")
        wire.expect("ping").send("pong")
        exchange.close()
    origin.on("/", handler)
    client = connect(proxy_to(origin))
    client.send_head("GET", "/", {"Connection": "upgrade", "Upgrade": protocol})
    assert client.read_head().headers.get("upgrade") == protocol
    client.send("ping").expect("pong").expect_end()


def test_a_tunnel_is_logged_when_it_ends(origin, proxy_to, connect):
    origin.on("/ws", tunnel(lambda wire: wire.expect("12345").send("1234567")))
    proxy = proxy_to(origin)
    client = upgraded(connect(proxy))
    client.send("12345").expect("1234567").expect_end()
    client.half_close_quietly()
    line = proxy.wait_for_access(status=101)
    assert (line["path"], line["bytes_in"], line["bytes_out"]) == ("/ws", 5, 7)
    assert "error" not in line
    assert proxy.metrics()("proxy_client_tunnels_active") == 0


def test_a_drain_waits_for_a_tunnel_and_ends_it_at_the_deadline(origin, proxy_to, connect):
    origin.on("/ws", tunnel(lambda wire: wire.expect("still here").send("yes").expect_closed()))
    proxy = proxy_to(origin, drain_timeout="500ms")
    client = upgraded(connect(proxy))
    proxy.signal(signal.SIGTERM)
    proxy.wait_for_log(message="draining")
    client.send("still here").expect("yes")
    assert proxy.wait_for_exit() == 0
    assert client.read_to_close() == b""


def exec_request(body_framing, body):
    return ("POST /exec HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
            f"{body_framing}\r\n\r\n{body}")


def exec_origin(exchange):
    """As docker's: it reads the body, then takes the connection over."""
    assert exchange.request.headers.get("upgrade") == "tcp"
    assert exchange.request.headers.get("connection").lower() == "upgrade"
    assert exchange.read_body() == b'{"Detach":false,"Tty":true}'
    wire = exchange.take_over()
    exchange.send("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
    wire.expect("stdin").send("stdout")
    exchange.close()


@pytest.mark.parametrize("framing,body", [
    ("Content-Length: 27", '{"Detach":false,"Tty":true}'),
    ("Transfer-Encoding: chunked", '5\r\n{"Det\r\n16\r\nach":false,"Tty":true}\r\n0\r\n\r\n'),
    ("Transfer-Encoding: chunked", '1b\r\n{"Detach":false,"Tty":true}\r\n0\r\nX-Sum: 1\r\n\r\n'),
], ids=["sized", "chunked", "trailers"])
@pytest.mark.parametrize("eager", [False, True], ids=["patient", "eager"])
def test_h4_a_tunnel_begins_behind_the_requests_body(origin, proxy_to, connect, framing, body, eager):
    origin.on("/exec", exec_origin)
    client = connect(proxy_to(origin, cluster={"retry": {"max_retries": 1}}))
    client.send(exec_request(framing, body), "stdin" if eager else "")
    head = client.read_head()
    assert (head.status, head.headers.get("upgrade")) == (101, "tcp")
    if not eager:
        client.send("stdin")
    client.expect("stdout").expect_end()


def test_h4_an_upgrade_with_a_body_that_the_origin_passes_over(origin, proxy_to, connect):
    origin.on("/exec", lambda exchange: exchange.reply(200, exchange.read_body()))
    client = connect(proxy_to(origin))
    client.send(exec_request("Content-Length: 4", "body"))
    assert client.response().body == b"body"
    assert client.get("/").status == 200


def test_h4_a_script_may_read_the_body_before_the_tunnel(origin, scripted, connect):
    origin.on("/exec", exec_origin)
    client = connect(scripted("function on_request(r) assert(#r:body() == 27) end", origin))
    client.send(exec_request("Content-Length: 27", '{"Detach":false,"Tty":true}'))
    assert client.read_head().status == 101
    client.send("stdin").expect("stdout").expect_end()


def test_h4_a_101_before_the_end_of_the_body_is_no_answer(origin, proxy_to, connect):
    def hasty(exchange):
        exchange.send("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        exchange.take_over().expect('{"Det')
        exchange.expect_gone()
    origin.on("/exec", hasty, may_break=True)
    client = connect(proxy_to(origin))
    client.send(exec_request("Content-Length: 27", '{"Det'))
    assert client.response().status == 502


def test_h4_an_origin_of_http_2_gets_the_request_without_the_upgrade(make_any_origin, proxy_to, connect):
    """Extended CONNECT has no body."""
    origin = make_any_origin("h2", settings={8: 1})
    origin.otherwise(lambda exchange: exchange.reply(200, exchange.read_body()))
    client = connect(proxy_to(origin, cluster={"protocol": "h2"}))
    client.send(exec_request("Content-Length: 4", "body"))
    assert client.response().body == b"body"
    assert ":protocol" not in origin.last.pseudo
