# SPDX-License-Identifier: Apache-2.0
"""SIGTERM while responses are on their way to clients that take their time: they get the whole of them, and
the drain ends once they have."""
import signal
import socket
import threading
import time

import pytest

from support import Client, scaled
from support.h2 import H2Client

SIZE = 8 * 1024 * 1024  # more than the kernel takes for a client that does not read
BUFFER = 64 * 1024
WINDOW = 1 << 30
LARGE = f"""
    local body = ('x'):rep({SIZE})
    function on_request(request)
      request:reply(200, request.path == '/large' and body or 'small')
    end"""
SLOWLY = 3  # seconds, more than a drain gives those that have nothing under way


@pytest.fixture
def large_answers(scripted):
    """Starts a proxy whose drain is not ended by its deadline."""
    def start(**listener):
        return scripted(LARGE, budget={"memory": "64MiB"}, config={
            "drain_timeout": "60s", "listener": listener, "route": {"echo": True}})
    return start


def drain(proxy, count):
    """SIGTERM when the answers to `count` requests have been made, and wait for their clients."""
    proxy.wait_for_access(count=count)
    proxy.signal(signal.SIGTERM)
    proxy.wait_for_log(message="draining")


def h1_client(proxy, tls):
    client = Client(proxy.port(), receive_buffer=BUFFER, tls=tls)
    client.send_request("GET", "/large")
    return client


def h2_client(proxy, tls):
    sock = None
    if tls:
        tls.set_alpn_protocols(["h2"])
        bare = socket.socket()
        bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        bare.settimeout(scaled(5))
        bare.connect(("127.0.0.1", proxy.port()))
        sock = tls.wrap_socket(bare, server_hostname="localhost")
    client = H2Client(proxy.port(), settings={4: WINDOW}, window=WINDOW, receive_buffer=BUFFER, sock=sock)
    client.start("GET", "/large", end=True)
    return client


def read_slowly(client):
    """A little at a time for longer than a drain's farewell, then all there is; gives the count of bytes."""
    if isinstance(client, H2Client):
        message = client.message(1)
        step, whole = client.read_once, lambda: message.ended
        count = lambda: len(message.body)  # noqa: E731
    else:
        got = [0]

        def step():
            part = client.sock.recv(BUFFER)
            got[0] += len(part)
            return part
        whole, count = (lambda: got[0] > SIZE), (lambda: got[0])  # a head stands before it
    end = time.monotonic() + SLOWLY
    while time.monotonic() < end and step():
        time.sleep(0.05)
    try:
        while not whole() and step():
            pass
    except OSError:
        pass
    return count()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_slow_clients_get_all_of_their_responses(large_answers, authority, tls):
    """Of HTTP/1.1 and HTTP/2, side by side; both leave their own side open."""
    proxy = large_answers(**({"tls": {"certificates": [authority.local.entry]}} if tls else {}))
    clients = [kind(proxy, authority.trust() if tls else None) for kind in (h1_client, h2_client)]
    drain(proxy, len(clients))
    counts = [None] * len(clients)

    def read(at):
        counts[at] = read_slowly(clients[at])
    threads = [threading.Thread(target=read, args=(at,)) for at in range(len(clients))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(scaled(30))
    assert counts[0] > SIZE and counts[1] == SIZE, counts
    assert proxy.wait_for_exit() == 0
    for client in clients:
        client.close()


def test_a_pipelined_request_behind_a_slow_response_is_large_answers(large_answers):
    proxy = large_answers()
    with Client(proxy.port(), receive_buffer=BUFFER) as client:
        client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\nGET /second HTTP/1.1\r\nHost: a\r\n\r\n")
        drain(proxy, 1)
        assert len(client.response().body) == SIZE
        second = client.response()
        assert (second.text, second.headers.get("connection")) == ("small", "close")
        client.expect_end()
        assert proxy.wait_for_exit() == 0


def test_an_empty_line_alone_does_not_keep_a_connection(scripted):
    """It is tolerated before a request (RFC 9112 2.2), and is none."""
    proxy = scripted(LARGE, budget={"memory": "64MiB"}, config={"listener": {"idle_timeout": "300ms"}, "route": {"echo": True}})
    with Client(proxy.port()) as client:
        client.send("\r\n")
        client.expect_end()
