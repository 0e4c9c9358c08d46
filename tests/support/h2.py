# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 clients and origins over python3-h2, with the vocabulary of Client and Origin. They check
what the proxy sends as strictly as h2 does: a breach of the protocol is an exception."""
import socket
import struct
import threading
import traceback

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import hyperframe.frame

from . import http1
from .clock import scaled
from .origin import Hangup

ErrorCodes = h2.errors.ErrorCodes
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def _pairs(headers):
    return list(headers.items() if isinstance(headers, dict) else headers)


class StreamReset(Exception):
    def __init__(self, code):
        super().__init__(f"stream reset: {code!r}")
        self.code = code


class Side:
    """What both ends share: a socket, an h2 connection, and messages by stream. Its lock allows one
    thread to read while others send."""

    def __init__(self, sock, client_side, settings=None, window=None, lax=False):
        self.sock = sock
        self.lock = threading.Condition(threading.RLock())
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=client_side, header_encoding="utf-8",
                                      validate_outbound_headers=not lax))
        # For h2 a GOAWAY is the end at once, for RFC 9113 streams go on.
        self.h2._frame_dispatch_table[hyperframe.frame.GoAwayFrame] = self._note_goaway
        if settings:  # from the first SETTINGS on, not as a change that waits for its acknowledgement
            values = {**dict(self.h2.local_settings), **settings}
            self.h2.local_settings = h2.settings.Settings(client=client_side, initial_values=values)
        self.messages = {}
        self.hold_windows = False   # True: what arrives is not acknowledged
        self.goaway = None
        self.last_stream = 0x7fffffff  # of the peer's that is taken
        self.pings = 0
        self.closed = False
        self.h2.initiate_connection()
        if window:
            self.h2.increment_flow_control_window(window)
        self.flush()

    def _note_goaway(self, frame):
        self.goaway = frame
        return [], []

    def send_goaway(self, last_stream, code=ErrorCodes.NO_ERROR):
        """GOAWAY; what runs goes on, what the peer began behind last_stream is not looked at."""
        with self.lock:
            self.flush()
            self.last_stream = last_stream
            self.sock.sendall(hyperframe.frame.GoAwayFrame(
                0, last_stream_id=last_stream, error_code=code).serialize())

    def ignore_pings(self):
        self.h2._frame_dispatch_table[hyperframe.frame.PingFrame] = lambda _: ([], [])

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.sock.sendall(data)

    def read_once(self):
        """Reads and digests what has arrived; False at the end of the connection."""
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        except socket.timeout as error:
            raise AssertionError(f"nothing arrived in {self.sock.gettimeout()} s") from error
        with self.lock:
            if not data:
                self.closed = True
            else:
                for event in self.h2.receive_data(data):
                    if getattr(event, "stream_id", None) is None or event.stream_id <= self.last_stream:
                        self.take(event)
                try:
                    self.flush()
                except OSError:
                    pass
            self.lock.notify_all()
        return bool(data)

    def new_message(self, stream):
        raise NotImplementedError

    def message(self, stream):
        if stream not in self.messages:
            self.messages[stream] = self.new_message(stream)
        return self.messages[stream]

    def take(self, event):
        if isinstance(event, h2.events.DataReceived):
            message = self.message(event.stream_id)
            if not message.body:
                message.body = bytearray()  # grows in place; bytes again at the end
            message.body += event.data
            if self.hold_windows:
                message.unacknowledged += event.flow_controlled_length
            elif event.flow_controlled_length:
                self.acknowledge(event.stream_id, event.flow_controlled_length)
        elif isinstance(event, h2.events.TrailersReceived):
            self.message(event.stream_id).trailers.extend(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            message = self.message(event.stream_id)
            message.body = bytes(message.body)
            message.ended = True
        elif isinstance(event, h2.events.StreamReset):
            self.message(event.stream_id).reset = ErrorCodes(event.error_code)
        elif isinstance(event, h2.events.PingReceived):
            self.pings += 1

    def acknowledge(self, stream, size):
        try:
            self.h2.acknowledge_received_data(size, stream)
        except (h2.exceptions.StreamClosedError, h2.exceptions.ProtocolError):
            pass

    def release_windows(self):
        """Acknowledges all that was held, and from now on everything at once."""
        with self.lock:
            self.hold_windows = False
            for stream, message in self.messages.items():
                if message.unacknowledged:
                    self.acknowledge(stream, message.unacknowledged)
                    message.unacknowledged = 0
            self.flush()

    def send_headers(self, stream, pairs, end=False):
        with self.lock:
            self.h2.send_headers(stream, pairs, end_stream=end)
            self.flush()

    def send_now(self, stream, data, end=False):
        """Sends what the windows allow at once; gives the rest."""
        with self.lock:
            room = min(self.h2.local_flow_control_window(stream), len(data))
            sent = 0
            while sent < room:
                size = min(room - sent, self.h2.max_outbound_frame_size)
                last = end and sent + size == len(data)
                self.h2.send_data(stream, data[sent:sent + size], end_stream=last)
                sent += size
            if end and not data:
                self.h2.send_data(stream, b"", end_stream=True)
            self.flush()
        return data[sent:]

    def reset_stream(self, stream, code=ErrorCodes.CANCEL):
        with self.lock:
            self.h2.reset_stream(stream, code)
            self.flush()


class H2Response(http1.Response):
    version = "HTTP/2"
    reason = ""

    def __init__(self):
        super().__init__()
        self.status = None
        self.ended = False
        self.reset = None
        self.unacknowledged = 0


class H2Client(Side):
    """A client with prior knowledge.

        with H2Client(proxy.port()) as client:
            assert client.get("/").status == 200
    """

    def __init__(self, port, host="127.0.0.1", settings=None, window=None, receive_buffer=None,
                 timeout=5, sock=None, lax=False):
        if sock is None:
            sock = socket.socket()
            if receive_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            sock.settimeout(scaled(timeout))
            sock.connect((host, port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.host = "test.example"
        self.pending = []  # streams whose responses were not asked for yet
        super().__init__(sock, True, settings, window, lax)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def reset(self):
        """Ends the connection with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def new_message(self, stream):
        return H2Response()

    def take(self, event):
        if isinstance(event, (h2.events.ResponseReceived, h2.events.InformationalResponseReceived)):
            message = self.message(event.stream_id)
            into = message
            if isinstance(event, h2.events.InformationalResponseReceived):
                into = H2Response()
                message.interim.append(into)
            for name, value in event.headers:
                if name == ":status":
                    into.status = int(value)
                else:
                    into.headers.append((name, value))
        else:
            super().take(event)

    # -- requests -------------------------------------------------------------------------------
    def head(self, method, target, headers=(), scheme="http"):
        authority, fields = self.host, []
        for name, value in _pairs(headers):
            if name.lower() == "host":
                authority = value
            else:
                fields.append((name.lower(), value))
        return [(":method", method), (":scheme", scheme), (":authority", authority),
                (":path", target), *fields]

    def start(self, method, target, headers=(), end=False):
        """Sends a head; gives the stream."""
        return self.start_raw(self.head(method, target, headers), end)

    def start_raw(self, pairs, end=False):
        with self.lock:
            stream = self.h2.get_next_available_stream_id()
            self.message(stream)
            self.send_headers(stream, pairs, end)
        self.pending.append(stream)
        return stream

    def send_data(self, stream, data, end=False):
        """Sends all of it, reading meanwhile so that windows open."""
        while True:
            data = self.send_now(stream, data, end)
            if not data:
                return
            message = self.message(stream)
            if message.reset is not None:
                raise StreamReset(message.reset)
            assert self.read_once(), "the connection ended in the middle of a body"

    def send_trailers(self, stream, trailers):
        self.send_headers(stream, _pairs(trailers), end=True)

    def send_request(self, method, target, headers=(), body=None, trailers=None):
        """A whole request; a body gets its content-length."""
        pairs = _pairs(headers)
        if body is not None and trailers is None:
            pairs.append(("content-length", str(len(body))))
        stream = self.start(method, target, pairs, end=body is None and trailers is None)
        if body is not None:
            self.send_data(stream, body, end=trailers is None)
        if trailers is not None:
            self.send_trailers(stream, trailers)
        return stream

    # -- responses ------------------------------------------------------------------------------
    def wait(self, condition, what="it"):
        while not condition():
            assert self.read_once() or condition(), f"the connection ended before {what}"

    def wait_head(self, stream):
        message = self.message(stream)
        self.wait(lambda: message.status or message.reset is not None, "the head")
        if message.status is None:
            raise StreamReset(message.reset)
        return message

    def wait_body(self, stream, size):
        message = self.message(stream)
        self.wait(lambda: len(message.body) >= size or message.ended or message.reset is not None,
                  f"{size} bytes")
        return message

    def response(self, to="GET", stream=None):
        """The whole response of the stream, of the oldest one by default."""
        stream = self.pending[0] if stream is None else stream
        self.pending.remove(stream)
        message = self.message(stream)
        self.wait(lambda: message.ended or message.reset is not None, "the response's end")
        if not message.ended:
            raise StreamReset(message.reset)
        return message

    def request(self, method, target, headers=(), body=None, trailers=None):
        return self.response(method, self.send_request(method, target, headers, body, trailers))

    def get(self, target, headers=(), **kwargs):
        return self.request("GET", target, headers, **kwargs)

    def post(self, target, body, headers=(), **kwargs):
        return self.request("POST", target, headers, body, **kwargs)

    def post_partly(self, target, part, length=None):
        """A POST that stays incomplete: of a body of `length` bytes, or of unknown length, only `part`."""
        stream = self.start("POST", target, {} if length is None else {"content-length": str(length)})
        self.send_data(stream, part)
        return stream

    def cancel(self, stream, code=ErrorCodes.CANCEL):
        self.reset_stream(stream, code)

    def expect_goaway(self, code=ErrorCodes.NO_ERROR):
        self.wait(lambda: self.goaway is not None, "GOAWAY")
        assert self.goaway.error_code == code, self.goaway
        return self.goaway

    def expect_end(self):
        while self.read_once():
            pass
        return self


class H2Request(http1.Request):
    version = "HTTP/2"

    @property
    def length(self):
        """Without the field, what has come: HTTP/2 needs none."""
        announced = super().length
        return len(self.body) if announced is None else announced

    def __init__(self):
        super().__init__()
        self.pseudo = {}
        self.ended = False
        self.reset = None
        self.unacknowledged = 0


class H2OriginExchange:
    """One request at the origin; the functions are those of OriginExchange."""

    def __init__(self, origin, side, stream, connection):
        self.origin = origin
        self.side = side
        self.stream = stream
        self.connection = connection  # number of the connection, from 0
        self.request = side.message(stream)

    def _await(self, condition, what):
        with self.side.lock:
            assert self.side.lock.wait_for(
                lambda: condition() or self.request.reset is not None or self.side.closed,
                scaled(10)), f"the origin never saw {what}"
            if not condition():
                raise StreamReset(self.request.reset)

    def read_body(self):
        self._await(lambda: self.request.ended, "the request's end")
        return self.request.body

    def read_some(self, size):
        self._await(lambda: len(self.request.body) >= size, f"{size} bytes")
        return self.request.body

    def interim(self, status, headers=()):
        self._headers(status, headers, False)

    def _headers(self, status, headers, end):
        fields = [(name.lower(), value) for name, value in _pairs(headers)]
        self.side.send_headers(self.stream, [(":status", str(status)), *fields], end)

    def reply(self, status=200, body=b"", headers=(), reason=None, trailers=None):
        self.read_body()
        self.reply_early(status, body, headers, reason, trailers)

    def reply_early(self, status=200, body=b"", headers=(), reason=None, trailers=None):
        body = body.encode() if isinstance(body, str) else body
        pairs = _pairs(headers)
        if status not in (204, 304) and not any(n.lower() == "content-length" for n, _ in pairs):
            pairs.append(("content-length", str(len(body))))
        if self.request.method == "HEAD":
            body = b""
        self._headers(status, pairs, not body and not trailers)
        if body:
            self.chunk(body, end=not trailers)
        if trailers:
            self.side.send_headers(self.stream, _pairs(trailers), True)

    def start_chunked(self, status=200, headers=()):
        self._headers(status, headers, False)

    def chunk(self, data, end=False):
        data = data.encode() if isinstance(data, str) else data
        while True:
            with self.side.lock:
                data = self.side.send_now(self.stream, data, end)
                if not data:
                    return
                assert self.side.lock.wait_for(
                    lambda: self.request.reset is not None or self.side.closed
                    or self.side.h2.local_flow_control_window(self.stream) > 0, scaled(20)), (
                        "the window never opened")
                if self.request.reset is not None or self.side.closed:
                    raise StreamReset(self.request.reset)

    def end_chunks(self, trailers=()):
        if trailers:
            self.side.send_headers(self.stream, _pairs(trailers), True)
        else:
            self.chunk(b"", end=True)

    def wait(self, event, timeout=5):
        assert event.wait(scaled(timeout)), "the test never set the event the origin waits for"

    def expect_gone(self):
        """The proxy resets this stream."""
        try:
            self._await(lambda: False, "a reset")
        except StreamReset:
            raise Hangup from None

    def reset(self, code=ErrorCodes.INTERNAL_ERROR):
        self.side.reset_stream(self.stream, code)
        raise Hangup

    def close(self):
        """Ends the whole connection."""
        self.side.sock.shutdown(socket.SHUT_RDWR)
        raise Hangup


class _OriginSide(Side):
    def __init__(self, origin, sock, number):
        self.origin = origin
        self.number = number
        super().__init__(sock, False, origin.settings, origin.window)
        self.hold_windows = origin.hold_windows

    def new_message(self, stream):
        return H2Request()

    def take(self, event):
        if isinstance(event, h2.events.RequestReceived):
            message = self.message(event.stream_id)
            for name, value in event.headers:
                if name.startswith(":"):
                    message.pseudo[name] = value
                else:
                    message.headers.append((name, value))
            message.method = message.pseudo[":method"]
            message.target = message.pseudo.get(":path", "")
            if ":authority" in message.pseudo:  # so that tests may ask for it as on HTTP/1
                message.headers.insert(0, ("host", message.pseudo[":authority"]))
            self.origin.begin(self, event.stream_id)
        else:
            super().take(event)


class H2Origin:
    """An HTTP/2 origin with prior knowledge: a thread reads each connection, another one runs each
    request's handler. `on`, `otherwise`, `requests` and so on as in Origin."""

    scheme = "http"

    def __init__(self, name="origin", settings=None, window=None, hold_windows=False):
        self.name = name
        self.settings = settings
        self.window = window
        self.hold_windows = hold_windows
        self.requests = []
        self.connections = 0
        self.open = 0
        self.sides = []
        self.failures = []
        self.on_stream = None  # on_stream(side, stream): refuses streams, before any handler
        self._routes = {}
        self._otherwise = (lambda exchange: exchange.reply(200, b"ok"), False)
        self._threads = []
        self._changed = threading.Condition()
        self._closing = False
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(256)
        self.port = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.address}"
        threading.Thread(target=self._accept, daemon=True, name=name).start()

    def on(self, path, handler=None, *, may_break=False, **reply):
        self._routes[path] = (handler or (lambda exchange: exchange.reply(**reply)), may_break)
        return self

    def otherwise(self, handler=None, *, may_break=False, **reply):
        self._otherwise = (handler or (lambda exchange: exchange.reply(**reply)), may_break)
        return self

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
        return self._wait(lambda: self.open == count, timeout, f"{count} open connections")

    def _wait(self, condition, timeout, what):
        with self._changed:
            assert self._changed.wait_for(condition, scaled(timeout)), (
                f"{self.name} never saw {what}: {len(self.requests)} requests, "
                f"{self.connections} connections, {self.open} open; failures: {self.failures}")
        return self

    def check(self):
        assert not self.failures, f"{self.name}:\n" + "\n".join(self.failures)

    def stop_listening(self):
        self._closing = True
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()

    def close(self):
        self.stop_listening()
        for side in list(self.sides):
            try:
                side.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in list(self._threads):
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
                self._changed.notify_all()
            self._run(self._serve, sock, number)

    def _run(self, target, *args):
        thread = threading.Thread(target=target, args=args, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _serve(self, sock, number):
        sock.settimeout(scaled(20))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            side = _OriginSide(self, sock, number)
            self.sides.append(side)
            while side.read_once():
                pass
        except Exception:  # noqa: BLE001
            if not self._closing:
                self.failures.append(traceback.format_exc())
        finally:
            sock.close()
            with self._changed:
                self.open -= 1
                self._changed.notify_all()

    def begin(self, side, stream):
        if self.on_stream is not None and self.on_stream(side, stream):
            return
        with self._changed:
            self.requests.append(side.message(stream))
            self._changed.notify_all()
        self._run(self._handle, side, stream)

    def _handle(self, side, stream):
        exchange = H2OriginExchange(self, side, stream, side.number)
        handler, may_break = self._routes.get(exchange.request.path, self._otherwise)
        try:
            handler(exchange)
        except Hangup:
            pass
        except (StreamReset, OSError, h2.exceptions.StreamClosedError,
                h2.exceptions.ProtocolError):
            if not may_break and not self._closing:
                self.failures.append(traceback.format_exc())
        except Exception:  # noqa: BLE001
            if not self._closing:
                self.failures.append(traceback.format_exc())
