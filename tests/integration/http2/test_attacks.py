# SPDX-License-Identifier: Apache-2.0
"""Peers that cost more than they pay (design: ENHANCE_YOUR_CALM): each attack ends its connection soon,
takes no memory with it, and other clients are served meanwhile."""
import struct
import threading
import time

import pytest

from support import Client, Origin, Proxy, config_for
from support import h2frames as h2
from support.clock import scaled
from support.h2frames import (CONTINUATION, DATA, GET, HEADERS, PING, POST, PRIORITY, SETTINGS, RawH2, frame,
                              headers, literals, rst_stream, window_update)

MOST_MEMORY = 24 * 1024  # KiB that the process may grow by
MOST_BYTES = 32 << 20    # that an attack hands to the kernel before it is ended; its buffers hold ten million alone


@pytest.fixture(scope="module")
def proxy():
    origin = Origin()
    origin.otherwise(body=b"fine", may_break=True)
    origin.on("/large", body=b"x" * (1 << 20), may_break=True)
    with Proxy(config_for(origin)) as running:
        yield running
    origin.close()


def odd(n):
    return 2 * n + 1


BOMB = b"\x40\x01b\x7f" + b"\xa1\x1e" + b"x" * 4000  # one table entry of 4000 bytes
ATTACKS = {
    "rapid reset": lambda n: headers(odd(n), *GET) + rst_stream(odd(n)),
    "resets that the proxy is made to send": lambda n: headers(odd(n), *POST, end=False) +
    window_update(odd(n), 0x7fffffff),
    "malformed requests": lambda n: headers(odd(n), *GET[1:]),
    "SETTINGS": lambda n: frame(SETTINGS) * 100,
    "PING": lambda n: frame(PING, 0, 0, b"12345678") * 100,
    "PRIORITY": lambda n: frame(PRIORITY, 0, odd(n), b"\0\0\0\0\x10") * 100,
    "WINDOW_UPDATE": lambda n: window_update(0, 1) * 100,
    "empty DATA": lambda n: headers(1, *POST, end=False) if n == 0 else frame(DATA, 0, 1) * 100,
    "CONTINUATIONs without an end": lambda n: frame(HEADERS, 0, 1, literals(*GET)) if n == 0 else
    frame(CONTINUATION, 0, 1, literals(("x", "y" * 100)) * 100),
    "an HPACK bomb": lambda n: frame(HEADERS, 5, odd(n), literals(*GET) + (BOMB if n == 0 else b"\xbe" * 16000)),
    "header bombs": lambda n: frame(HEADERS, 5, odd(n), literals(*GET) + literals(("a", "")) * 3000),
    "unknown frames": lambda n: frame(0x42, 0, 0, b"x" * 16000),
}


def attack(port, what):
    """Runs one attack to its end; gives the bytes it got through and the GOAWAY's code."""
    sent = 0
    with RawH2(port) as client:
        # It does read, as fast as a thread can, so that nothing but the limits ends it.
        codes = []
        reader = threading.Thread(target=lambda: codes.append(client.goaway()))
        reader.start()
        n = 0
        while sent < MOST_BYTES and reader.is_alive():
            batch = b"".join(ATTACKS[what](n + i) for i in range(50))
            n += 50
            sent += len(batch)
            if not client.send(batch):
                break
        reader.join(scaled(10))
        assert not reader.is_alive(), "the connection did not end"
        return sent, codes[0] if codes else None


class Bystander:
    """Another client, that asks all the time; how long it waited at most."""

    def __init__(self, port):
        self.worst = 0.0
        self.answers = 0
        self._stop = threading.Event()
        self._client = Client(port)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._stop.is_set():
            start = time.monotonic()
            assert self._client.get("/").body == b"fine"
            self.worst = max(self.worst, time.monotonic() - start)
            self.answers += 1

    def stop(self):
        self._stop.set()
        self._thread.join()
        self._client.close()


def memory(proxy):
    with open(f"/proc/{proxy.process.pid}/status", encoding="ascii") as status:
        return int(next(line.split()[1] for line in status if line.startswith("VmRSS")))


@pytest.mark.parametrize("what", ATTACKS)
def test_an_attack_ends_its_own_connection_and_nothing_else(proxy, what):
    bystander = Bystander(proxy.port())
    before = memory(proxy)
    try:
        sent, code = attack(proxy.port(), what)
    finally:
        bystander.stop()
    assert sent < MOST_BYTES
    # More streams than were announced, in one read, are an error of their own; and the GOAWAY may be
    # lost to the reset that answers bytes still under way.
    assert code in (h2.ENHANCE_YOUR_CALM, h2.PROTOCOL_ERROR, None)
    assert memory(proxy) - before < MOST_MEMORY
    assert bystander.answers > 0
    assert bystander.worst < scaled(1)


def test_a_client_that_reads_no_acknowledgements_binds_no_memory(proxy):
    before = memory(proxy)
    with RawH2(proxy.port()) as client:
        client.wire.set_timeout(0.5)
        sent = 0
        try:
            while sent < 64 << 20 and client.send(frame(PING, 0, 0, b"12345678") * 1000):
                sent += 17000
        except OSError:
            pass  # it is not read from any more, or it was told to go
        assert memory(proxy) - before < MOST_MEMORY
    assert Client(proxy.port()).get("/").body == b"fine"


def test_shut_windows_bind_bounded_memory(proxy):
    with RawH2(proxy.port()) as client:
        client.send(frame(SETTINGS, 0, 0, struct.pack("!HI", 4, 0)))
        before = memory(proxy)
        client.send(b"".join(headers(odd(n), *GET[:3], (":path", "/large")) for n in range(100)))
        for _ in range(100):
            assert client.until([HEADERS]) is not None
        assert Client(proxy.port()).get("/").body == b"fine"
        # A hundred responses of a megabyte each.
        assert memory(proxy) - before < 100 * 600
