# SPDX-License-Identifier: Apache-2.0
"""SIGTERM: accept nothing new, finish what runs, lose nothing; a second one stops at once."""
import shutil
import signal
import socket
import ssl
import threading
import time

import pytest

from support import Client, config_for, eventually, scaled


def refused(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except (ConnectionRefusedError, ConnectionResetError):  # the latter: just as it closes
        return True
    return False


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@pytest.fixture
def slow_origin(origin):
    origin.release = threading.Event()
    origin.on("/slow", lambda exchange: (exchange.wait(origin.release, 20), exchange.reply(body=b"finished")))
    return origin


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_proxy_stops_at_once(proxy_to, number):
    proxy = proxy_to(route={"echo": True})
    begin = time.monotonic()
    proxy.signal(number)
    assert proxy.wait_for_exit() == 0
    assert time.monotonic() - begin < scaled(3)
    proxy.check_exit()


def test_what_runs_is_finished(slow_origin, proxy_to, connect):
    proxy = proxy_to(slow_origin)
    client = connect(proxy)
    client.send_request("GET", "/slow")
    slow_origin.wait_for_requests(1)
    proxy.signal(signal.SIGTERM)
    eventually(lambda: refused(proxy.port()), what="new connections are refused")
    client.expect_silence(0.1)
    assert proxy.process.poll() is None
    slow_origin.release.set()
    response = client.response()
    assert (response.body, response.headers.get("connection")) == (b"finished", "close")
    client.expect_end()
    assert proxy.wait_for_exit() == 0
    assert proxy.access_lines[-1]["path"] == "/slow"
    proxy.check_exit()


def test_idle_connections_are_closed(slow_origin, proxy_to, connect):
    proxy = proxy_to(slow_origin)
    idle, busy = connect(proxy), connect(proxy)
    assert idle.get("/").status == 200
    busy.send_request("GET", "/slow")
    slow_origin.wait_for_requests(2)
    proxy.signal(signal.SIGTERM)
    idle.expect_end()
    slow_origin.release.set()
    assert busy.response().status == 200


def test_a_request_that_the_kernel_holds_is_served(origin, proxy_to, connect):
    """The proxy has not read it when it learns that it is to stop."""
    proxy = proxy_to(origin)
    clients = [connect(proxy) for _ in range(8)]
    for client in clients:
        assert client.get("/before").status == 200
    proxy.signal(signal.SIGSTOP)
    for client in clients:
        client.send_request("GET", "/unread")
    proxy.signal(signal.SIGTERM)
    proxy.signal(signal.SIGCONT)
    for client in clients:
        assert client.response().status == 200
    assert proxy.wait_for_exit() == 0


def test_handshakes_that_the_kernel_holds_are_ended_and_their_requests_served(
        origin, proxy_to, authority):
    """More of them than begin in one turn of the loop."""
    proxy = proxy_to(origin, listener={"tls": {"certificates": [authority.local.entry]}})
    sockets = [socket.create_connection(("127.0.0.1", proxy.port()), scaled(5)) for _ in range(20)]
    eventually(lambda: proxy.metrics()("proxy_client_connections_active") == 20)
    proxy.signal(signal.SIGSTOP)
    eventually(proxy.stopped)
    clients = []
    for sock in sockets:
        sock.settimeout(0)
        client = authority.trust().wrap_socket(sock, server_hostname="localhost",
                                               do_handshake_on_connect=False)
        with pytest.raises(ssl.SSLWantReadError):  # ClientHello is on its way
            client.do_handshake()
        client.settimeout(scaled(5))
        clients.append(client)
    proxy.signal(signal.SIGTERM)
    proxy.signal(signal.SIGCONT)
    for client in clients:
        client.do_handshake()
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.1 200"
        client.close()
    assert proxy.wait_for_exit() == 0


def test_a_request_that_is_arriving_is_still_served(slow_origin, proxy_to, connect):
    proxy = proxy_to(slow_origin)
    busy, arriving = connect(proxy), connect(proxy)
    assert arriving.get("/before").status == 200, "it has been accepted"
    arriving.send("GET /arriving HTTP/1.1\r\n")
    busy.send_request("GET", "/slow")
    slow_origin.wait_for_requests(2)
    proxy.signal(signal.SIGTERM)
    eventually(lambda: refused(proxy.port()))
    arriving.send("Host: a\r\n\r\n")
    response = arriving.response()
    assert (response.status, response.headers.get("connection")) == (200, "close")
    slow_origin.release.set()
    assert busy.response().status == 200


def test_a_body_that_streams_is_finished(origin, proxy_to, connect):
    release = threading.Event()

    def streams(exchange):
        exchange.start_chunked()
        exchange.chunk("begin ")
        exchange.wait(release)
        exchange.chunk("end")
        exchange.end_chunks()
    origin.on("/", streams)
    proxy = proxy_to(origin)
    client = connect(proxy)
    client.send_request("GET", "/")
    assert client.read_head().status == 200
    assert client.read_chunk() == b"begin "
    proxy.signal(signal.SIGTERM)
    eventually(lambda: refused(proxy.port()))
    release.set()
    assert client.read_chunk() == b"end"
    assert client.read_chunk() == b""
    client.expect_end()
    assert proxy.wait_for_exit() == 0
    proxy.check_exit()


def test_pipelined_requests_already_received_are_answered(slow_origin, proxy_to, connect):
    proxy = proxy_to(slow_origin)
    client = connect(proxy)
    client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET /second HTTP/1.1\r\nHost: a\r\n\r\n")
    slow_origin.wait_for_requests(1)
    proxy.signal(signal.SIGTERM)
    eventually(lambda: refused(proxy.port()))
    slow_origin.release.set()
    first = client.response()
    assert first.body == b"finished"
    if first.headers.get("connection") == "close":
        client.expect_closed()  # the client knows that the second was not processed (RFC 9112 9.6)
        assert slow_origin.paths() == ["/slow"]
    else:
        assert client.response().status == 200


def test_a_sleeping_script_is_waited_for(scripted, connect):
    proxy = scripted("function on_request(r) proxy.sleep(0.5) r:reply(200, 'slept') end",
                     config={"route": {"echo": True}})
    client = connect(proxy)
    client.send_request("GET", "/")
    eventually(lambda: proxy.metrics()("proxy_requests_active") == 1)
    proxy.signal(signal.SIGTERM)
    assert client.response().text == "slept"
    assert proxy.wait_for_exit() == 0
    proxy.check_exit()


def test_the_drain_has_a_deadline(slow_origin, proxy_to, connect):
    slow_origin.on("/slow", lambda exchange: exchange.expect_gone())
    proxy = proxy_to(slow_origin, drain_timeout="300ms")
    client = connect(proxy)
    client.send_request("GET", "/slow")
    slow_origin.wait_for_requests(1)
    begin = time.monotonic()
    proxy.signal(signal.SIGTERM)
    proxy.wait_for_exit()
    assert 0.25 < time.monotonic() - begin < scaled(3)
    client.read_to_close()
    proxy.check_exit()


@pytest.mark.parametrize("first,second", [
    (signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGINT), (signal.SIGQUIT, signal.SIGQUIT),
    (signal.SIGQUIT, signal.SIGTERM), (signal.SIGTERM, signal.SIGQUIT)])
def test_a_second_signal_stops_at_once(slow_origin, proxy_to, connect, first, second):
    slow_origin.on("/slow", lambda exchange: exchange.expect_gone())
    proxy = proxy_to(slow_origin)
    client = connect(proxy)
    client.send_request("GET", "/slow")
    slow_origin.wait_for_requests(1)
    proxy.signal(first)
    eventually(lambda: refused(proxy.port()))
    begin = time.monotonic()
    proxy.signal(second)
    proxy.wait_for_exit()
    assert time.monotonic() - begin < scaled(2)
    client.read_to_close()
    proxy.expect_exit = proxy.exit_code if proxy.exit_code in (0, 1) else 0
    proxy.check_exit()


def test_the_admin_address_answers_while_draining(slow_origin, proxy_to, connect):
    proxy = proxy_to(slow_origin)
    client = connect(proxy)
    client.send_request("GET", "/slow")
    slow_origin.wait_for_requests(1)
    proxy.signal(signal.SIGTERM)
    eventually(lambda: refused(proxy.port()))
    assert proxy.metrics()("proxy_requests_active") == 1
    slow_origin.release.set()
    assert client.response().status == 200


def readiness(path):
    """A GET on a connection of its own, to a port or to a unix socket's file; the head's first line."""
    with socket.socket(socket.AF_UNIX if isinstance(path, str) else socket.AF_INET) as sock:
        sock.connect(path if isinstance(path, str) else ("127.0.0.1", path))
        sock.sendall(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return sock.makefile("rb").readline()


@pytest.mark.parametrize("admin", ["tcp", "localhost", "unix"])
def test_a_successor_takes_the_addresses_of_a_proxy_that_drains(slow_origin, tidegate, connect, tmp_path, admin):
    """Until one starts, readiness and metrics are to be had of the proxy that drains."""
    config = config_for(slow_origin, listener={"address": f"127.0.0.1:{free_port()}"})
    port = free_port()
    address = {"tcp": f"127.0.0.1:{port}", "localhost": f"localhost:{port}", "unix": f"unix:{tmp_path}/a.sock"}
    config["admin"] = {"address": address[admin]}
    where = f"{tmp_path}/a.sock" if admin == "unix" else port
    first = tidegate(config)
    client = connect(first)
    client.send_request("GET", "/slow")
    slow_origin.wait_for_requests(1)
    first.signal(signal.SIGTERM)
    eventually(lambda: refused(first.port()))
    assert b" 503 " in readiness(where)
    second = tidegate(config)
    first.wait_for_log(message="admin address given up to a successor")
    second.wait_for_log(message="admin address taken over from a process that drains")
    eventually(lambda: b" 200 " in readiness(where))
    for _ in range(5):
        assert b" 200 " in readiness(where)
    assert connect(second).get("/").status == 200
    slow_origin.release.set()
    assert client.response().text == "finished"
    assert first.wait_for_exit() == 0
    assert b" 200 " in readiness(where)


def test_each_successor_takes_over_from_the_one_before(slow_origin, tidegate, connect):
    config = config_for(slow_origin, listener={"address": f"127.0.0.1:{free_port()}"},
                        admin={"address": f"127.0.0.1:{free_port()}"})
    clients = []
    for number in range(3):
        proxy = tidegate(config)
        eventually(lambda: proxy.admin("/ready").status == 200)
        clients.append(connect(proxy))
        clients[-1].send_request("GET", "/slow")
        slow_origin.wait_for_requests(number + 1)
        proxy.signal(signal.SIGTERM)
        eventually(lambda: refused(proxy.port()))
    slow_origin.release.set()
    assert [client.response().text for client in clients] == ["finished"] * 3


@pytest.mark.workers
def test_a_drain_under_load_loses_nothing(origin, proxy_to):
    """Whoever got a connection and sent a request gets an answer, or an end before any byte of one."""
    proxy = proxy_to(origin, workers=4)
    failures, served = [], [0]

    def load():
        try:
            while True:
                with Client(proxy.port()) as client:
                    for _ in range(20):
                        client.send_request("GET", "/")
                        response = client.response()
                        assert response.status == 200
                        served[0] += 1
                        if response.headers.get("connection") == "close":
                            break
        except ConnectionRefusedError:
            return
        except Exception as error:  # noqa: BLE001, judged below
            failures.append(error)
    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    origin.wait_for_requests(50, timeout=10)
    proxy.signal(signal.SIGTERM)
    for thread in threads:
        thread.join(scaled(20))
    assert proxy.wait_for_exit() == 0
    # An idle keep-alive connection may close as the client sends on it (RFC 9112 9.5): no answer at
    # all is legal there, half an answer never is.
    torn = [error for error in failures if getattr(error, "buffered", b"x")
            and not isinstance(error, (ConnectionResetError, BrokenPipeError))]
    assert not torn, torn
    assert served[0] >= 50
    proxy.check_exit()


CHANGES_ON_DISK = ["certificate", "script", "endpoint file", "config and SIGHUP"]
CHANGES_BY_ADMIN = ["/reload", "/policies/policy/reload"]


class Draining:
    """A proxy with eight requests under way that has been told to end."""

    def __init__(self, tidegate, origin, folder, authority, connect):
        self.files = {name: folder / name for name in ("cert.pem", "key.pem", "endpoints.yaml")}
        self.renew(authority.local)
        self.files["endpoints.yaml"].write_text(f"- {origin.url}\n")
        config = config_for(listener={"tls": {"certificates": [
            {"cert": str(self.files["cert.pem"]), "key": str(self.files["key.pem"])}]}},
            route={"cluster": "origin"}, policies={"policy": "policy.lua"},
            clusters={"origin": {"file": str(self.files["endpoints.yaml"])}})
        self.proxy = tidegate(config, {"policy.lua": "function on_request() end"})
        self.clients = [connect(self.proxy, tls=authority.trust()) for _ in range(8)]
        for client in self.clients:
            client.send_request("GET", "/slow")
        origin.wait_for_requests(8)
        self.proxy.signal(signal.SIGTERM)
        eventually(lambda: refused(self.proxy.port()))

    def renew(self, pair):
        for source, to in ((pair.cert, "cert.pem"), (pair.key, "key.pem")):
            shutil.copy(source, self.files[to].with_suffix(".new"))
            self.files[to].with_suffix(".new").rename(self.files[to])

    def change(self, what, authority):
        if what == "certificate":
            self.renew(authority.issue("renewed", "DNS:localhost", "IP:127.0.0.1"))
        elif what == "script":
            self.proxy.write_script("policy.lua", "function on_response(r) r.headers['x-new'] = '1' end")
        elif what == "endpoint file":
            self.files["endpoints.yaml"].write_text("- http://127.0.0.1:1\n")
        elif what == "config and SIGHUP":
            self.proxy.write_config(config_for(route={"echo": True}))
            self.proxy.signal(signal.SIGHUP)
            self.proxy.wait_for_log(message="reload ignored: the proxy is draining")
        else:
            reply = self.proxy.admin(what, "POST")
            assert (reply.status, reply.json()["errors"]) == (422, ["the proxy is draining"])


@pytest.mark.parametrize("what", CHANGES_ON_DISK + CHANGES_BY_ADMIN)
def test_o1_nothing_changes_once_the_proxy_drains(slow_origin, tidegate, tmp_path, authority, connect, what):
    """A worker that drains has no listeners that a new configuration could find again."""
    draining = Draining(tidegate, slow_origin, tmp_path, authority, connect)
    lines = len(draining.proxy.log_lines)
    draining.change(what, authority)
    time.sleep(0.2)  # longer than changes of files take to settle; nothing tells that nothing happens
    slow_origin.release.set()
    for client in draining.clients:
        response = client.response()
        assert (response.status, response.headers.get("x-new")) == (200, None)
    assert draining.proxy.wait_for_exit() == 0
    said = {line["message"] for line in draining.proxy.log_lines[lines:]}
    assert said <= {"draining", "drained", "reload ignored: the proxy is draining"}, said
    draining.proxy.check_exit()
