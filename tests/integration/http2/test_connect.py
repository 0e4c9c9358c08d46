# SPDX-License-Identifier: Apache-2.0
"""CONNECT, by clients of either protocol: refused unless a route allows it, and then a tunnel to an
endpoint of the route's cluster, wherever the client wanted to go."""
import signal
import ssl
import subprocess
import threading

import pytest

from support.forward_proxy import ForwardProxy
from support.h2 import ErrorCodes

ALLOW = {"allow_connect": True}
AUTHORITY = "db.example:5432"


class H1Tunnel:
    """What both kinds of client see of a tunnel."""

    def __init__(self, client):
        self.client = client

    def open(self, authority=AUTHORITY, early=b""):
        self.client.send(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n", early)
        return self.client.response(to="CONNECT")

    def body(self):
        return self.client.response(to="GET")

    def send(self, data):
        self.client.send(data)
        return self

    def expect(self, data):
        self.client.expect(data)
        return self

    def read(self, size):
        return self.client.read_exactly(size)

    def half_close(self):
        self.client.half_close()
        return self

    def expect_end(self):
        self.client.expect_end()

    def expect_broken(self):
        self.client.expect_closed()

    def leave(self):
        self.client.reset()


class H2Tunnel:
    def __init__(self, client):
        self.client = client
        self.at = 0

    def open(self, authority=AUTHORITY, early=b""):
        self.stream = self.client.start_raw([(":method", "CONNECT"), (":authority", authority)])
        if early:
            self.client.send_data(self.stream, early)
        return self.client.wait_head(self.stream)

    def send(self, data):
        self.client.send_data(self.stream, data)
        return self

    def read(self, size):
        message = self.client.wait_body(self.stream, self.at + size)
        got = bytes(message.body[self.at:self.at + size])
        self.at += size
        return got

    def expect(self, data):
        assert self.read(len(data)) == data
        return self

    def half_close(self):
        self.client.send_data(self.stream, b"", end=True)
        return self

    def expect_end(self):
        message = self.client.message(self.stream)
        self.client.wait(lambda: message.ended or message.reset is not None, "the end")
        # RFC 9113 8.1: behind its end the proxy may say that it wants nothing more.
        assert message.ended and message.reset in (None, ErrorCodes.NO_ERROR)
        assert len(message.body) == self.at

    def expect_broken(self):
        message = self.client.message(self.stream)
        self.client.wait(lambda: message.reset is not None, "the reset")

    def leave(self):
        self.client.cancel(self.stream)


@pytest.fixture
def tunnel_to(client_protocol, client_to):
    def make(proxy):
        if client_protocol == "h2":
            return H2Tunnel(client_to(proxy, lax=True))
        return H1Tunnel(client_to(proxy))
    return make


@pytest.fixture
def bare(make_origin):
    """An origin that speaks no HTTP: `bare(script)`."""
    return lambda script, **kwargs: make_origin(**kwargs).raw(lambda wire, number: script(wire))


def test_connect_is_refused_unless_the_route_allows_it(make_origin, proxy_to, tunnel_to):
    origin = make_origin()
    proxy = proxy_to(origin)
    assert tunnel_to(proxy).open().status == 501
    assert proxy.wait_for_access()["error"] == "method_unsupported"
    assert origin.connections == 0


def test_bytes_pass_both_ways_as_they_are(bare, proxy_to, tunnel_to):
    origin = bare(lambda wire: wire.expect(b"\x00\xffGET / HTTP/1.1\r\n\r\n").send(b"\r\n\r\n220 hello\x00"))
    tunnel = tunnel_to(proxy_to(origin, route=ALLOW))
    response = tunnel.open()
    assert response.status == 200
    # RFC 9110 9.3.6
    assert not {"content-length", "transfer-encoding", "connection"} & set(response.headers.names())
    tunnel.send(b"\x00\xffGET / HTTP/1.1\r\n\r\n").expect(b"\r\n\r\n220 hello\x00").expect_end()


def test_the_origin_may_speak_first(bare, proxy_to, tunnel_to):
    tunnel = tunnel_to(proxy_to(bare(lambda wire: wire.send("SSH-2.0-x\r\n").expect("hi")), route=ALLOW))
    assert tunnel.open().status == 200
    tunnel.expect(b"SSH-2.0-x\r\n").send(b"hi").expect_end()


def test_an_eager_client_need_not_wait_for_the_answer(bare, proxy_to, tunnel_to):
    tunnel = tunnel_to(proxy_to(bare(lambda wire: wire.expect("eager").send("yes")), route=ALLOW))
    assert tunnel.open(early=b"eager").status == 200
    tunnel.expect(b"yes").expect_end()


def test_the_client_may_half_close(bare, proxy_to, tunnel_to):
    origin = bare(lambda wire: wire.expect("last words").expect_end().send("heard"))
    tunnel = tunnel_to(proxy_to(origin, route=ALLOW))
    assert tunnel.open().status == 200
    tunnel.send(b"last words").half_close().expect(b"heard").expect_end()


def test_the_origin_may_half_close(bare, proxy_to, tunnel_to):
    heard = threading.Event()

    def script(wire):
        wire.send("last words").half_close().expect("heard").expect_end()
        heard.set()
    tunnel = tunnel_to(proxy_to(bare(script), route=ALLOW))
    assert tunnel.open().status == 200
    tunnel.expect(b"last words").expect_end()
    tunnel.send(b"heard").half_close()
    assert heard.wait(5)


def test_much_passes_both_ways_at_once(bare, proxy_to, tunnel_to):
    size = 4 << 20

    def script(wire):
        writer = threading.Thread(target=lambda: wire.send(b"o" * size))
        writer.start()
        assert wire.read_exactly(size) == b"c" * size
        writer.join()
    tunnel = tunnel_to(proxy_to(bare(script), route=ALLOW))
    assert tunnel.open().status == 200
    if isinstance(tunnel, H1Tunnel):
        writer = threading.Thread(target=tunnel.send, args=(b"c" * size,))
        writer.start()
        assert tunnel.read(size) == b"o" * size
        writer.join()
    else:
        tunnel.send(b"c" * size)  # reads meanwhile
        assert tunnel.read(size) == b"o" * size
    tunnel.expect_end()


def test_a_client_that_leaves_ends_the_tunnel(bare, proxy_to, tunnel_to):
    gone = threading.Event()

    def script(wire):
        wire.expect_closed()
        gone.set()
    proxy = proxy_to(bare(script), route=ALLOW)
    tunnel = tunnel_to(proxy)
    assert tunnel.open().status == 200
    tunnel.leave()
    assert gone.wait(5)
    assert proxy.wait_for_access()["error"] == "client_closed"


def test_an_origin_that_resets_breaks_the_tunnel(bare, proxy_to, tunnel_to):
    tunnel = tunnel_to(proxy_to(bare(lambda wire: wire.expect("x").reset()), route=ALLOW))
    assert tunnel.open().status == 200
    tunnel.send(b"x").expect_broken()


def test_a_silent_tunnel_ends_after_the_idle_time_out(bare, proxy_to, tunnel_to):
    proxy = proxy_to(bare(lambda wire: wire.expect("x").expect_closed()),
                     route={**ALLOW, "idle_timeout": "200ms"})
    tunnel = tunnel_to(proxy)
    assert tunnel.open().status == 200
    tunnel.send(b"x").expect_broken()
    line = proxy.wait_for_access()
    assert (line["error"], line["bytes_in"]) == ("idle_timeout", 1)


def test_an_endpoint_that_is_not_there_is_a_bad_gateway(make_origin, proxy_to, tunnel_to):
    origin = make_origin()
    origin.stop_listening()
    response = tunnel_to(proxy_to(origin, route=ALLOW)).open()
    assert response.status == 502


def test_a_retry_takes_another_endpoint(make_origin, bare, proxy_to, tunnel_to):
    dead = make_origin()
    dead.stop_listening()
    origin = bare(lambda wire: wire.expect("x").send("y"))
    proxy = proxy_to(dead, origin, route=ALLOW,
                     cluster={"retry": {"max_retries": 1, "on": ["connect"], "budget_min": 3}})
    for _ in range(2):
        tunnel = tunnel_to(proxy)
        assert tunnel.open().status == 200
        tunnel.send(b"x").expect(b"y").expect_end()


def test_the_route_is_chosen_by_the_authoritys_host(make_origin, bare, tidegate, tunnel_to):
    """It decides where the tunnel goes; what the authority names never does."""
    origin, other = bare(lambda wire: wire.expect("x").send("right")), make_origin()
    endpoints = {"endpoints": [origin.url]}
    proxy = tidegate({
        "workers": 1, "listeners": [{"name": "public", "address": "127.0.0.1:0"}],
        "admin": {"address": "127.0.0.1:0"},
        "clusters": {"db": endpoints, "web": {"endpoints": [other.url]}},
        "routes": [{"match": {"hosts": ["db.example"]}, "cluster": "db", **ALLOW},
                   {"match": {"hosts": ["web.example"]}, "cluster": "web"}]})
    tunnel = tunnel_to(proxy)
    assert tunnel.open("db.example:1").status == 200
    tunnel.send(b"x").expect(b"right").expect_end()
    assert tunnel_to(proxy).open("web.example:443").status == 501
    assert tunnel_to(proxy).open(f"127.0.0.1:{other.port}").status == 501
    assert other.connections == 0


def test_requests_to_the_same_endpoint_go_on_beside_it(make_origin, proxy_to, tunnel_to, client_to):
    """A tunnel's connection is never one of those that carry requests, nor the other way round."""
    origin = make_origin()
    proxy = proxy_to(origin, route=ALLOW)
    client = client_to(proxy)
    assert client.get("/before").status == 200
    tunnel = tunnel_to(proxy)
    assert tunnel.open().status == 200
    tunnel.send(b"GET /inside HTTP/1.1\r\nHost: a\r\n\r\n")
    assert tunnel.read(12) == b"HTTP/1.1 200"
    assert client.get("/after").status == 200
    assert origin.connections == 2
    assert origin.paths() == ["/before", "/inside", "/after"]
    assert proxy.metrics()("proxy_client_tunnels_active") == 1


def test_tls_within_the_tunnel_is_the_clients(make_origin, authority, proxy_to, connect):
    """Also where the endpoint is https: the client's handshake is with the origin, not the proxy."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.local.cert, authority.local.key)
    origin = make_origin(tls=context)
    client = connect(proxy_to(origin, route=ALLOW))
    assert H1Tunnel(client).open("localhost:443").status == 200
    verify = ssl.create_default_context(cafile=str(authority.cert))
    client.sock = verify.wrap_socket(client.sock, server_hostname="localhost")
    assert client.get("/inside").status == 200
    assert origin.last.target == "/inside"


def test_a_tunnel_to_an_endpoint_behind_a_proxy_goes_through_it(make_origin, proxy_to, tunnel_to):
    """Although plain requests to it would go in absolute form."""
    origin = make_origin()
    with ForwardProxy() as via:
        tunnel = tunnel_to(proxy_to(origin, route=ALLOW, cluster={"outbound_proxy": via.url}))
        assert tunnel.open().status == 200
        tunnel.send(b"GET /inside HTTP/1.1\r\nHost: a\r\n\r\n")
        assert tunnel.read(12) == b"HTTP/1.1 200"
        assert via.seen == [f"CONNECT {origin.address}"]


def test_tunnels_heed_the_cap_on_connections(bare, proxy_to, tunnel_to):
    origin = bare(lambda wire: wire.send("hello").expect_closed())
    proxy = proxy_to(origin, route={**ALLOW, "timeout": "300ms"},
                     cluster={"pool": {"max_connections": 1}})
    first = tunnel_to(proxy)
    assert first.open().status == 200
    assert tunnel_to(proxy).open().status in (503, 504)
    first.expect(b"hello").leave()
    origin.wait_until_open(0)
    second = tunnel_to(proxy)
    assert second.open().status == 200
    second.leave()


POLICY = """
function on_request(request)
  request.vars.seen = request.method .. " " .. request.host .. " " .. request.path
  if request.headers["proxy-authorization"] ~= nil then error("hop by hop") end
  if request.host == "no.example" then request:reply(403, "no\\n") end
  if request.host == "method.example" then request.method = "GET" end
  if request.host == "body.example" then request:set_body("x") end
end
function on_response(response, request)
  if request.host == "status.example" then response.status = 403 end
  if request.host == "late.example" then request:reply(403, "too late\\n") end
  if request.host == "read.example" then proxy.log.info("read", {size = #response:body()}) end
end
function on_log(request, response)
  proxy.log.info("tunnel", {seen = request.vars.seen, status = response.status})
end
"""


@pytest.fixture
def with_policy(bare, scripted, tunnel_to):
    def start():
        proxy = scripted(POLICY, bare(lambda wire: wire.send("hello").expect_closed()),
                         config={"route": ALLOW})
        return proxy, tunnel_to(proxy)
    return start


def test_policies_see_a_connect_and_may_refuse_it(with_policy, tunnel_to):
    proxy, tunnel = with_policy()
    assert tunnel.open("no.example:1").status == 403
    assert tunnel_to(proxy).open("late.example:1").status == 403
    tunnel = tunnel_to(proxy)
    assert tunnel.open("yes.example:1").status == 200
    tunnel.expect(b"hello").half_close().expect_end()
    assert proxy.wait_for_log(message="tunnel", status=200)["seen"] == "CONNECT yes.example /"


@pytest.mark.parametrize("host", ["method", "body", "status"])
def test_policies_can_not_make_something_else_of_it(with_policy, host):
    proxy, tunnel = with_policy()
    assert tunnel.open(f"{host}.example:1").status == 500
    assert "tunnel" in proxy.wait_for_log(level="error")["detail"]


def test_a_tunnel_has_no_body_to_read(with_policy):
    proxy, tunnel = with_policy()
    assert tunnel.open("read.example:1").status == 200
    tunnel.expect(b"hello")
    assert proxy.wait_for_log(message="read")["size"] == 0


def test_a_reply_of_2xx_is_a_tunnel_that_ends_at_once(scripted, make_origin, tunnel_to):
    """There is no other way to read it (RFC 9110 9.3.6)."""
    origin = make_origin()
    tunnel = tunnel_to(scripted("function on_request(r) r:reply(200, 'bytes') end", origin,
                                config={"route": ALLOW}))
    response = tunnel.open()
    assert response.status == 200
    assert not {"content-length", "transfer-encoding"} & set(response.headers.names())
    tunnel.expect(b"bytes").expect_end()
    assert origin.connections == 0


def test_a_connect_with_a_body_is_refused(make_origin, proxy_to, connect):
    client = connect(proxy_to(make_origin(), route=ALLOW))
    client.send(f"CONNECT {AUTHORITY} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
    assert client.read_head().status == 400


@pytest.mark.parametrize("authority", ["db.example", "db.example:", "user@db.example:1", "/", "*"])
def test_a_connect_without_host_and_port_is_refused(make_origin, proxy_to, connect, authority):
    client = connect(proxy_to(make_origin(), route=ALLOW))
    client.send(f"CONNECT {authority} HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.read_head().status == 400


def test_a_drain_waits_for_a_tunnel(bare, proxy_to, tunnel_to):
    proxy = proxy_to(bare(lambda wire: wire.expect("still here").send("yes")), route=ALLOW)
    tunnel = tunnel_to(proxy)
    assert tunnel.open().status == 200
    proxy.signal(signal.SIGTERM)
    proxy.wait_for_log(message="draining")
    tunnel.send(b"still here").expect(b"yes").half_close().expect_end()
    tunnel.client.close()
    assert proxy.wait_for_exit() == 0


def test_curl_goes_through_the_tunnel(make_origin, proxy_to):
    origin = make_origin()
    origin.on("/x", body=b"through")
    proxy = proxy_to(origin, route=ALLOW)
    done = subprocess.run(["curl", "-sS", "--proxytunnel", "-x", f"http://127.0.0.1:{proxy.port()}",
                           "http://any.example/x"], capture_output=True, timeout=20, check=False)
    assert (done.stdout, done.stderr) == (b"through", b"")
