# SPDX-License-Identifier: Apache-2.0
"""Peers that vanish without a word: the kernel asks after those that no time limit would find out."""
import contextlib
import pathlib
import threading

import pytest

from support import eventually
from support.h2 import H2Client, H2Origin

UPGRADE = {"Connection": "Upgrade", "Upgrade": "echo"}
FOREVER = {"idle_timeout": "0s", "timeout": "0s", "allow_connect": True}
KEEP_ALIVE_TIMER = 2  # of /proc/net/tcp: the kernel will ask the peer


def sockets_of(proxy, port):
    """The proxy's established connections with that port on the other side: (timer, seconds to go)."""
    inodes = set()
    for link in pathlib.Path(f"/proc/{proxy.process.pid}/fd").iterdir():
        try:
            name = str(link.readlink())
        except FileNotFoundError:
            continue
        if name.startswith("socket:["):
            inodes.add(name[8:-1])
    found = []
    for line in pathlib.Path(f"/proc/{proxy.process.pid}/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        local, remote, state, timer, inode = words[1], words[2], words[3], words[5], words[9]
        if state == "01" and inode in inodes and int(remote.rsplit(":", 1)[1], 16) == port:
            kind, ticks = timer.split(":")
            found.append((int(kind, 16), int(ticks, 16) / 100))
    return found


def port_of(client):
    return client.sock.getsockname()[1]


def asked_after(proxy, port):
    """All of them will be asked after within a minute or so. A timer of another kind runs while
    something has just been sent."""
    def only_keep_alive():
        timers = sockets_of(proxy, port)
        return timers and all(kind == KEEP_ALIVE_TIMER and 40 < left <= 60 for kind, left in timers)
    eventually(only_keep_alive, what=lambda: sockets_of(proxy, port))


def by_upgrade(client, origin):
    client.send_head("GET", "/", UPGRADE)
    assert client.read_head().status == 101


def by_connect(client, origin):
    client.send("CONNECT db.example:5432 HTTP/1.1\r\nHost: db.example:5432\r\n\r\n")
    assert client.response(to="CONNECT").status == 200


def by_endless_stream(client, origin):
    client.send_request("GET", "/stream")
    assert client.read_head().status == 200


@pytest.mark.parametrize("open_one", [by_upgrade, by_connect, by_endless_stream])
def test_o29_a_tunnel_without_a_time_limit_asks_after_both_sides(make_origin, proxy_to, connect, open_one):
    release = threading.Event()

    def handle(exchange):
        if exchange.request.headers.get("upgrade"):
            exchange.take_over()
            exchange.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        else:
            exchange.start_chunked()
        exchange.wait(release, 30)
        exchange.close()

    origin = make_origin()
    if open_one is by_connect:
        origin.raw(lambda wire, number: release.wait(30))
    else:
        origin.otherwise(handle, may_break=True)
    proxy = proxy_to(origin, route=FOREVER)
    client = connect(proxy)
    open_one(client, origin)
    asked_after(proxy, port_of(client))
    asked_after(proxy, origin.port)
    client.reset()
    release.set()


def test_o29_connections_of_http2_are_asked_after_too(proxy_to):
    release = threading.Event()

    def handle(exchange):
        exchange.wait(release)
        exchange.reply(200)

    with contextlib.closing(H2Origin()) as origin:
        origin.otherwise(handle)
        proxy = proxy_to(origin, route=FOREVER, cluster={"protocol": "h2"})
        with H2Client(proxy.port()) as client:
            client.start("GET", "/", end=True)
            origin.wait_for_requests(1)
            asked_after(proxy, port_of(client))
            asked_after(proxy, origin.port)
            release.set()
            assert client.response().status == 200
