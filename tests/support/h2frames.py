# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 frames made by hand, so that a client can send what no library would."""
import socket
import struct

from .clock import scaled
from .wire import Closed, Wire

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS = 1, 1, 4
NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR = 0, 1, 3, 5, 6
REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 7, 8, 9, 11
MAGIC = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def literals(*fields):
    """A header block that touches no compression table; names and values below 127 bytes."""
    return b"".join(b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
                    for name, value in fields)


GET = (":method", "GET"), (":scheme", "http"), (":authority", "example.com"), (":path", "/")
POST = ((":method", "POST"),) + GET[1:]


def headers(stream, *fields, end=True):
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, literals(*fields))


def window_update(stream, by):
    return frame(WINDOW_UPDATE, 0, stream, struct.pack("!I", by))


def rst_stream(stream, code=CANCEL):
    return frame(RST_STREAM, 0, stream, struct.pack("!I", code))


class FrameWire:
    """A connection, frame by frame."""

    def __init__(self, wire):
        self.wire = wire

    def send(self, *frames):
        """False: the proxy has closed the connection."""
        try:
            self.wire.send(*frames)
        except Closed:
            return False
        return True

    def read(self):
        """The next frame as (type, flags, stream, payload); None at the connection's end."""
        try:
            head = self.wire.read_exactly(9)
            size = int.from_bytes(head[:3], "big")
            kind, flags, stream = struct.unpack("!BBI", head[3:])
            return kind, flags, stream, self.wire.read_exactly(size)
        except Closed:
            return None

    def until(self, wanted):
        """Reads up to a frame of one of the types `wanted`; None at the connection's end."""
        while True:
            got = self.read()
            if got is None or got[0] in wanted:
                return got

    def goaway(self):
        """The code of the GOAWAY that ends the connection; None: it ended without one."""
        got = self.until([GOAWAY])
        if got is None:
            return None
        code = struct.unpack("!I", got[3][4:8])[0]
        assert self.until([]) is None
        return code


class RawH2(FrameWire):
    """A client connection; with `acknowledged` it has agreed to the proxy's settings."""

    def __init__(self, port, acknowledged=True):
        super().__init__(Wire(socket.create_connection(("127.0.0.1", port), timeout=scaled(5))))
        self.wire.send(MAGIC, frame(SETTINGS), frame(SETTINGS, ACK) if acknowledged else b"")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.wire.close()


class RawH2Origin(FrameWire):
    """An origin's end of a connection, which it has agreed to."""

    def __init__(self, wire):
        super().__init__(wire)
        assert wire.read_exactly(len(MAGIC)) == MAGIC
        wire.send(frame(SETTINGS), frame(SETTINGS, ACK))
