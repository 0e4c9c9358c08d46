# SPDX-License-Identifier: Apache-2.0
"""Origins that fail, in every way and at every stage, over HTTP/1 or HTTP/2.

    with FaultyOrigin("h2", "reset in body") as origin:
        origin.requests    # (method, body) of all that arrived whole
        origin.down(), origin.up()

A fault is a function of the peer (one connection, one thread, blocking) and of how many requests came
before on it; FAULTS names them all. Those in IN_UPLOAD come when the body has begun to arrive, the others
when the request is whole.
"""
import socket
import struct
import threading
import time

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import hpack
import hyperframe.frame

from . import http1
from .clock import scaled
from .wire import Closed, Wire

BODY = b"0123456789"


class Gone(Exception):
    """The connection is over, by whichever side."""


class Peer:
    """One connection of the proxy, seen from the origin."""

    pause = staticmethod(lambda: None)  # what a slow answer does half-way

    def __init__(self, sock):
        self.sock = sock
        sock.settimeout(scaled(10))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
        raise Gone

    def close(self):
        self.sock.shutdown(socket.SHUT_WR)
        self.hang()

    def hang(self):
        """Says nothing more, until the proxy ends the connection."""
        try:
            while self.sock.recv(65536):
                pass
        except OSError:
            pass
        raise Gone


class Http1Peer(Peer):
    def __init__(self, sock):
        super().__init__(sock)
        self.wire = Wire(sock, timeout=10)

    def read(self, whole=True):
        """The next request; if it need not be whole, as far as its body's first bytes."""
        try:
            request = http1.read_request_head(self.wire)
            if request is None or not whole and not self.wire.buffer and not self.wire.fill():
                raise Gone
            if whole:
                http1.read_body(self.wire, request)
        except (Closed, OSError) as error:
            raise Gone from error
        return request.method, request.body

    def send(self, data):
        self.sock.sendall(data)

    def half_a_head(self):
        self.send(b"HTTP/1.1 200 OK\r\nContent-Le")

    def head(self):
        self.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY))

    def half_a_body(self):
        self.head()
        self.send(BODY[:4])

    def answer(self, status=200):
        self.send(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(BODY), BODY))

    def garbage(self):
        self.send(b"\x16\x03\x01 SSH-2.0-OpenSSH_9.2\r\n\r\n\x00\xff\r\n")

    def trickle(self):
        """A whole answer, a byte at a time, with pauses in head and body."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)
        for part in (head[:10], head[10:] + BODY[:4], BODY[4:]):
            for byte in part:
                self.send(bytes([byte]))
                time.sleep(0.0001)
            if part != BODY[4:]:
                self.pause()

    def stall(self):
        self.hang()

    def leave_with_a_request_on_its_way(self):
        """Closes what it may have kept alive just when it is used again."""
        self.close()


class Http2Peer(Peer):
    def __init__(self, sock):
        super().__init__(sock)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.flush()
        self.bodies = {}
        self.methods = {}
        self.whole = []  # streams whose request is all there
        self.stream = 0

    def flush(self):
        self.sock.sendall(self.h2.data_to_send())

    def read(self, whole=True):
        try:
            while not self.whole and (whole or not any(self.bodies.values())):
                data = self.sock.recv(65536)
                if not data:
                    raise Gone
                for event in self.h2.receive_data(data):
                    self.take(event)
                self.flush()
        except (OSError, h2.exceptions.ProtocolError) as error:
            raise Gone from error
        self.stream = self.whole.pop(0) if whole else max(self.bodies)
        return self.methods[self.stream], self.bodies[self.stream]

    def take(self, event):
        if isinstance(event, h2.events.RequestReceived):
            self.methods[event.stream_id] = dict(event.headers)[":method"]
            self.bodies[event.stream_id] = b""
        elif isinstance(event, h2.events.DataReceived):
            self.bodies[event.stream_id] += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self.whole.append(event.stream_id)

    def half_a_head(self):
        """HEADERS without END_HEADERS: the rest would follow in CONTINUATION."""
        block = hpack.Encoder().encode([(":status", "200")], huffman=False)
        self.sock.sendall(hyperframe.frame.HeadersFrame(self.stream, block).serialize())

    def head(self):
        self.h2.send_headers(self.stream, [(":status", "200"), ("content-length", str(len(BODY)))])
        self.flush()

    def half_a_body(self):
        self.head()
        self.h2.send_data(self.stream, BODY[:4])
        self.flush()

    def answer(self, status=200):
        self.h2.send_headers(self.stream, [(":status", str(status)), ("content-length", str(len(BODY)))])
        self.h2.send_data(self.stream, BODY, end_stream=True)
        self.flush()

    def garbage(self):
        self.sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 3)

    def trickle(self):
        self.h2.send_headers(self.stream, [(":status", "200"), ("content-length", str(len(BODY)))])
        head = self.h2.data_to_send()
        for i in range(len(BODY)):
            self.h2.send_data(self.stream, BODY[i:i + 1], end_stream=i + 1 == len(BODY))
        body = self.h2.data_to_send()
        for part in (head[:5], head[5:] + body[:25], body[25:]):
            for byte in part:
                self.sock.sendall(bytes([byte]))
                time.sleep(0.0001)
            if part != body[25:]:
                self.pause()

    def stall(self):
        """Says nothing more on this stream; on others, and to pings, it does."""

    def leave_with_a_request_on_its_way(self):
        """GOAWAY says which stream was the last that it looked at, then the connection closes."""
        goaway = hyperframe.frame.GoAwayFrame(0, last_stream_id=max(self.stream - 2, 0))
        self.sock.sendall(goaway.serialize())
        self.close()

    def reset_stream(self, code=h2.errors.ErrorCodes.INTERNAL_ERROR):
        self.h2.reset_stream(self.stream, code)
        self.flush()


PEERS = {"h1": Http1Peer, "h2": Http2Peer}


# -- the faults ---------------------------------------------------------------------------------------
def healthy(peer, before):
    peer.answer()


def _stage(stage, then):
    def fault(peer, before):
        if stage == "head":
            peer.half_a_head()
        elif stage == "body":
            peer.half_a_body()
        then(peer)
    return fault


def _garbage(peer, before):
    peer.garbage()
    peer.hang()


def _keep_alive(peer, before):
    if before == 0:
        return peer.answer()
    return peer.leave_with_a_request_on_its_way()


def _stream(stage):
    def fault(peer, before):
        if stage == "body":
            peer.half_a_body()
        peer.reset_stream()
    return fault


FAULTS = {
    "healthy": healthy,
    "reset before head": _stage("", lambda peer: peer.reset()),
    "reset in head": _stage("head", lambda peer: peer.reset()),
    "reset in body": _stage("body", lambda peer: peer.reset()),
    "close before head": _stage("", lambda peer: peer.close()),
    "close in head": _stage("head", lambda peer: peer.close()),
    "close in body": _stage("body", lambda peer: peer.close()),
    "reset stream before head": _stream(""),
    "reset stream in body": _stream("body"),
    "refuse stream": lambda peer, before: peer.reset_stream(h2.errors.ErrorCodes.REFUSED_STREAM),
    "hang before head": _stage("", lambda peer: peer.stall()),
    "hang in head": _stage("head", lambda peer: peer.hang()),
    "hang in body": _stage("body", lambda peer: peer.stall()),
    "garbage": _garbage,
    "close keep-alive in use": _keep_alive,
    "slow down": lambda peer, before: peer.trickle(),
    "reset in upload": _stage("", lambda peer: peer.reset()),
}
IN_UPLOAD = {"reset in upload"}


class FaultyOrigin:
    """Listens on one port of the system's choice, which it keeps over down() and up()."""

    def __init__(self, protocol="h1", fault="healthy"):
        self.protocol = protocol
        self.fault = FAULTS[fault]
        self.whole = fault not in IN_UPLOAD
        self.requests = []     # (method, body) of those that arrived whole
        self.parts = threading.Semaphore(0)   # released for each that arrived in part
        self.paused = threading.Semaphore(0)  # released when a slow answer has come half-way, twice each
        self.go_on = threading.Semaphore(0)   # release it, and that answer goes on
        self.connections = 0   # accepted so far
        self.failures = []
        self.port = 0
        self._listener = None
        self._socks = set()
        self._threads = []
        self._lock = threading.Lock()
        self.up()
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.address}"

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.down()
        assert kind is not None or not self.failures, self.failures

    def up(self):
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self.port))
        self._listener.listen(64)
        self.port = self._listener.getsockname()[1]
        self._run(self._accept, self._listener)
        return self

    def down(self):
        """Refuses connections, and resets those that there are."""
        try:
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept()
        except OSError:
            pass
        self._listener.close()
        with self._lock:
            socks = list(self._socks)
        for sock in socks:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads:
            thread.join(scaled(5))
        self._threads.clear()
        return self

    def count(self, method):
        return sum(seen == method for seen, _ in self.requests)

    def _run(self, target, *args):
        thread = threading.Thread(target=target, args=args, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._socks.add(sock)
            self._run(self._serve, sock)

    def _pause(self):
        self.paused.release()
        assert self.go_on.acquire(timeout=scaled(10)), "the test never let the slow answer go on"

    def _serve(self, sock):
        try:
            peer = PEERS[self.protocol](sock)
            peer.pause = self._pause
            before = 0
            while True:
                if self.whole:
                    self.requests.append(peer.read())
                else:
                    peer.read(whole=False)
                    self.parts.release()
                self.fault(peer, before)
                before += 1
        except (Gone, OSError):
            pass
        except Exception as error:  # noqa: BLE001, whatever it is, it fails the test
            self.failures.append(repr(error))
        finally:
            with self._lock:
                self._socks.discard(sock)
            sock.close()


class Blackhole:
    """An address that never answers a connection attempt: a listener whose queue is full, so that the
    kernel drops what else comes."""

    def __init__(self):
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = f"http://{self.address}"
        self._fillers = []
        while not self._full():
            pass

    def _full(self):
        filler = socket.socket()
        self._fillers.append(filler)
        filler.settimeout(0.05)
        try:
            filler.connect(self._listener.getsockname())
        except socket.timeout:
            return True
        return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for filler in self._fillers:
            filler.close()
        self._listener.close()
