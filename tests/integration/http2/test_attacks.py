# SPDX-License-Identifier: Apache-2.0
"""Peers that cost more than they pay (design: ENHANCE_YOUR_CALM): each attack ends its connection soon,
takes no memory with it, and other clients are served meanwhile."""
import pathlib
import select
import struct
import threading
import time

import pytest

from support import Client, Origin, Proxy, config_for
from support import h2frames as h2
from support.clock import scaled
from support.h2frames import (CONTINUATION, DATA, END_HEADERS, END_STREAM, GET, GOAWAY, HEADERS, PING,
                              POST, PRIORITY, SETTINGS, RawH2, frame, headers, literals, rst_stream, window_update)

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
# More streams than were announced, in one read, are an error of their own, and which comes first is chance.
MANY_STREAMS = "resets that the proxy is made to send", "malformed requests"


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
    """Another client, that asks all the time; how long it waited at most. One that is not served fails
    the test."""

    def __init__(self, port):
        self.worst = 0.0
        self._failure = None
        self._stop = threading.Event()
        self._client = Client(port)
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, kind, *_):
        self._stop.set()
        self._thread.join()
        self._client.close()
        if self._failure and kind is None:
            raise self._failure

    def _run(self):
        try:
            while True:
                start = time.monotonic()
                assert self._client.get("/").body == b"fine"
                self.worst = max(self.worst, time.monotonic() - start)
                if self._stop.is_set():
                    return
        except Exception as failure:  # noqa: BLE001, whatever it is, it fails the test
            self._failure = failure


class Growth:
    """By how much the process was larger at its largest than now, in KiB."""

    def __init__(self, proxy):
        self._proxy = proxy
        pathlib.Path(f"/proc/{proxy.process.pid}/clear_refs").write_text("5")  # forgets the peak so far
        self._before = proxy.memory_kib("VmHWM")

    def __call__(self):
        return self._proxy.memory_kib("VmHWM") - self._before


@pytest.mark.parametrize("what", ATTACKS)
def test_an_attack_ends_its_own_connection_and_nothing_else(proxy, what):
    growth = Growth(proxy)
    with Bystander(proxy.port()) as bystander:
        sent, code = attack(proxy.port(), what)
    assert sent < MOST_BYTES
    assert code in (h2.ENHANCE_YOUR_CALM, *([h2.PROTOCOL_ERROR] if what in MANY_STREAMS else []))
    assert growth() < MOST_MEMORY
    assert bystander.worst < scaled(1)


@pytest.fixture
def impatient(make_origin, proxy_to):
    """A proxy that waits 300 ms for heads and for bodies, and much longer for all else."""
    origin = make_origin().otherwise(body=b"fine", may_break=True)
    return proxy_to(origin, listener={"head_timeout": "300ms", "body_timeout": "300ms", "idle_timeout": "60s"})


def drip(client, drop, wanted):
    """Sends `drop` after each 50 ms of silence until a frame of the type `wanted` has come; gives that."""
    deadline = time.monotonic() + scaled(5)
    while time.monotonic() < deadline:
        if not client.wire.buffer and not select.select([client.wire.sock], [], [], 0.05)[0]:
            client.send(drop)
            continue
        got = client.read()
        assert got is not None, "the connection ended"
        if got[0] == wanted:
            return got
    raise AssertionError("the client was waited for")


@pytest.mark.parametrize("drop", [b"", frame(CONTINUATION, 0, 1, literals(("x", "y")))],
                         ids=["standing still", "dripping"])
def test_a_slow_head_is_given_up(impatient, drop):
    with Bystander(impatient.port()) as bystander, RawH2(impatient.port()) as client:
        client.send(frame(HEADERS, 0, 1, literals(*GET)))
        begin = time.monotonic()
        payload = drip(client, drop, GOAWAY)[3]
        assert 0.25 < time.monotonic() - begin < scaled(3)
        assert payload[:8] == struct.pack("!II", 1, h2.NO_ERROR)
        assert client.until([HEADERS])[2] == 1
        assert client.until([]) is None, "no further request can come after half a head"
    assert impatient.wait_for_access(status=408)["error"] == "request_timeout"
    assert bystander.worst < scaled(1)


@pytest.mark.parametrize("drop", [b"", frame(DATA, 0, 1), frame(PING, 0, 0, b"12345678")],
                         ids=["standing still", "empty DATA", "PING"])
def test_a_body_that_stalls_is_given_up(impatient, drop):
    with Bystander(impatient.port()) as bystander, RawH2(impatient.port()) as client:
        client.send(headers(1, *POST, end=False), frame(DATA, 0, 1, b"some"))
        begin = time.monotonic()
        drip(client, drop, HEADERS)
        assert 0.25 < time.monotonic() - begin < scaled(3)
        assert impatient.wait_for_access(status=408)["error"] == "request_timeout"
        client.send(headers(3, *GET))
        while client.until([HEADERS])[2] != 3:
            pass  # the connection's other streams live on
    assert bystander.worst < scaled(1)


def test_each_header_block_has_its_own_time(make_origin, proxy_to):
    """Trailers that came in two frames leave nothing of theirs to those of the next stream."""
    origin = make_origin().otherwise(body=b"fine", may_break=True)
    proxy = proxy_to(origin, listener={"head_timeout": "600ms", "idle_timeout": "60s"})
    trailers = literals(("x", "y"))
    with RawH2(proxy.port()) as client:
        client.send(headers(1, *POST, end=False), headers(3, *POST, end=False),
                    frame(HEADERS, END_STREAM, 1, trailers))
        time.sleep(0.02)  # so that both frames are not read at once
        client.send(frame(CONTINUATION, END_HEADERS, 1, trailers))
        assert client.until([HEADERS])[2] == 1
        time.sleep(0.45)
        client.send(frame(HEADERS, END_STREAM, 3, trailers))
        begin = time.monotonic()
        assert client.until([GOAWAY]) is not None
        assert time.monotonic() - begin > 0.4


def test_a_client_that_reads_no_acknowledgements_binds_no_memory(proxy):
    growth = Growth(proxy)
    with RawH2(proxy.port()) as client:
        client.wire.set_timeout(0.5)
        sent = 0
        try:
            while sent < 64 << 20 and client.send(frame(PING, 0, 0, b"12345678") * 1000):
                sent += 17000
        except OSError:
            pass  # it is not read from any more, or it was told to go
        assert growth() < MOST_MEMORY
    assert Client(proxy.port()).get("/").body == b"fine"


def test_shut_windows_bind_bounded_memory(proxy):
    with RawH2(proxy.port()) as client:
        client.send(frame(SETTINGS, 0, 0, struct.pack("!HI", 4, 0)))
        growth = Growth(proxy)
        client.send(b"".join(headers(odd(n), *GET[:3], (":path", "/large")) for n in range(100)))
        for _ in range(100):
            assert client.until([HEADERS]) is not None
        assert Client(proxy.port()).get("/").body == b"fine"
        # A hundred responses of a megabyte each.
        assert growth() < 100 * 600
