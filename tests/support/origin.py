# SPDX-License-Identifier: Apache-2.0
"""A scripted origin: a thread per connection, so that a script reads straight down."""
import socket
import ssl
import threading
import traceback

from . import http1
from .clock import scaled
from .wire import Closed, Wire


class Hangup(Exception):
    """Raised by an exchange's close() and reset(): the connection is over, on purpose."""


class OriginExchange:
    """One request at the origin, and the means to answer it, byte by byte where a test wants so."""

    def __init__(self, origin, wire, request, connection):
        self.origin = origin
        self.wire = wire
        self.request = request
        self.connection = connection  # number of the connection, from 0
        self.answered = False
        self._body_read = False

    def read_body(self):
        """Reads the request's body (and trailers) into the request."""
        if not self._body_read:
            self._body_read = True
            http1.read_body(self.wire, self.request)
        return self.request.body

    def take_over(self):
        """The bare connection from after the request's head on: a tunnel, or a body read by hand."""
        self._body_read = True
        return self.wire

    def read_chunk(self):
        return http1.read_chunk(self.take_over(), self.request.trailers)

    def send(self, *parts):
        self.answered = True
        self.wire.send(*parts)

    def interim(self, status, headers=()):
        self.wire.send(f"HTTP/1.1 {status} Interim\r\n{http1.fields(headers)}\r\n")

    def reply(self, status=200, body=b"", headers=(), reason="Reason"):
        """A whole response with Content-Length."""
        self.read_body()
        self._send_reply(status, body, headers, reason)

    def reply_early(self, status=200, body=b"", headers=(), reason="Reason"):
        """As reply, but without reading the request's body first."""
        self._send_reply(status, body, headers, reason)

    def _send_reply(self, status, body, headers, reason):
        body = body.encode() if isinstance(body, str) else body
        text = http1.fields(headers)
        if status not in (204, 304) and "content-length:" not in text.lower():
            text += f"Content-Length: {len(body)}\r\n"
        if self.request.method == "HEAD":
            body = b""
        self.send(f"HTTP/1.1 {status} {reason}\r\n{text}\r\n", body)

    def start_chunked(self, status=200, headers=()):
        self.send(f"HTTP/1.1 {status} OK\r\n{http1.fields(headers)}Transfer-Encoding: chunked\r\n\r\n")

    def chunk(self, data):
        data = data.encode() if isinstance(data, str) else data
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def end_chunks(self, trailers=()):
        self.send("0\r\n", http1.fields(trailers), "\r\n")

    def wait(self, event, timeout=5):
        """Waits for a threading.Event of the test."""
        assert event.wait(scaled(timeout)), "the test never set the event the origin waits for"

    def expect_gone(self):
        """The proxy ends this connection."""
        self.wire.expect_closed()
        raise Hangup

    def close(self):
        self.wire.close()
        raise Hangup

    def reset(self):
        self.wire.reset()
        raise Hangup


def _ok(exchange):
    exchange.reply(200, b"ok")


class Origin:
    """Listens on a port of the system's choice from construction on.

        with Origin() as origin:
            origin.on("/users", lambda exchange: exchange.reply(200, b"alice"))

    `on(path, handler)` answers by path, `otherwise(handler)` all else (200 "ok" unless told);
    `raw(script)` takes over whole connections: script(wire, number). What handlers raise fails the
    test when the origin closes, and so does a proxy that ends a connection in the middle of an
    exchange, unless the handler says `may_break=True`. With `tls`, an ssl.SSLContext, it is an https
    origin; handshakes that fail are counted in `refused`.
    """

    def __init__(self, name="origin", backlog=256, host="127.0.0.1", port=0, path=None, tls=None):
        self.name = name
        self.requests = []     # in order of their heads' arrival
        self.connections = 0   # accepted so far
        self.open = 0          # open now
        self.failures = []
        self._routes = {}
        self._otherwise = (_ok, False)
        self._raw = None
        self._wires = set()
        self._threads = []
        self._changed = threading.Condition()
        self._closing = False
        self._listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        if path:
            self._listener.bind(str(path))
            self.address = f"unix:{path}"
        else:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind((host, port))
            self.port = self._listener.getsockname()[1]
            self.address = f"{host}:{self.port}"
        self._listener.listen(backlog)
        self.tls = tls
        self.refused = 0       # handshakes that failed
        self.url = f"{'https' if tls else 'http'}://{self.address}"
        threading.Thread(target=self._accept, daemon=True, name=name).start()

    # -- script ---------------------------------------------------------------------------------
    def on(self, path, handler=None, *, may_break=False, **reply):
        """Answers requests for `path` (without query) by `handler(exchange)` or by a fixed reply."""
        self._routes[path] = (handler or (lambda exchange: exchange.reply(**reply)), may_break)
        return self

    def otherwise(self, handler=None, *, may_break=False, **reply):
        self._otherwise = (handler or (lambda exchange: exchange.reply(**reply)), may_break)
        return self

    def raw(self, script):
        """`script(wire, number)` runs each connection; it may raise Closed when told to expect it."""
        self._raw = script
        return self

    # -- what was seen --------------------------------------------------------------------------
    @property
    def last(self):
        return self.requests[-1]

    def paths(self):
        return [request.target for request in self.requests]

    def wait_for_requests(self, count, timeout=5):
        return self._wait(lambda: len(self.requests) >= count, timeout, f"{count} requests")

    def wait_for_connections(self, count, timeout=5):
        return self._wait(lambda: self.connections >= count, timeout, f"{count} connections")

    def wait_until_open(self, count, timeout=5):
        """Exactly `count` connections are open."""
        return self._wait(lambda: self.open == count, timeout, f"{count} open connections")

    def _wait(self, condition, timeout, what):
        with self._changed:
            assert self._changed.wait_for(condition, scaled(timeout)), (
                f"{self.name} never saw {what}: {len(self.requests)} requests, "
                f"{self.connections} connections, {self.open} open; failures: {self.failures}")
        return self

    # -- life -----------------------------------------------------------------------------------
    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.close()
        if kind is None:
            self.check()

    def check(self):
        """Fails with what went wrong inside."""
        assert not self.failures, f"{self.name}:\n" + "\n".join(self.failures)

    def stop_listening(self):
        """New connections are refused from now on; those that exist go on."""
        if self._closing:
            return
        self._closing = True
        try:
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept()
        except OSError:
            pass
        self._listener.close()

    def close(self):
        self.stop_listening()
        with self._changed:
            wires = list(self._wires)
        for wire in wires:
            try:
                wire.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads:
            thread.join(scaled(5))

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._changed:
                number = self.connections
                self.connections += 1
                self.open += 1
                wire = Wire(sock, timeout=20)
                self._wires.add(wire)
                self._changed.notify_all()
            thread = threading.Thread(target=self._serve, args=(wire, number), daemon=True)
            thread.start()
            self._threads.append(thread)  # not before: who closes the origin joins all of them

    def _secure(self, wire):
        """The handshake, in the connection's thread. False: it failed, maybe on purpose."""
        try:
            wire.sock = self.tls.wrap_socket(wire.sock, server_side=True,
                                             suppress_ragged_eofs=False)
            return True
        except (ssl.SSLError, OSError):
            with self._changed:
                self.refused += 1
                self._changed.notify_all()
            return False

    def _serve(self, wire, number):
        try:
            if self.tls and not self._secure(wire):
                return
            if self._raw:
                self._raw(wire, number)
            else:
                while self._serve_one(wire, number):
                    pass
        except Hangup:
            pass
        except Exception:  # noqa: BLE001, whatever it is, it fails the test
            if not self._closing:
                self.failures.append(traceback.format_exc())
        finally:
            wire.close()
            with self._changed:
                self._wires.discard(wire)
                self.open -= 1
                self._changed.notify_all()

    def _serve_one(self, wire, number):
        try:
            request = http1.read_request_head(wire)
        except Closed as closed:
            if closed.buffered:
                raise
            return False
        except http1.ProtocolError:
            raise
        except (AssertionError, OSError):
            if wire.buffer:
                raise
            return False  # idle for long, or closed under us
        if request is None:
            return False
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
        handler, may_break = self._routes.get(request.path, self._otherwise)
        exchange = OriginExchange(self, wire, request, number)
        try:
            handler(exchange)
            exchange.read_body()
        except (Closed, OSError):
            if not may_break:
                raise
            return False
        return True
