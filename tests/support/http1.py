# SPDX-License-Identifier: Apache-2.0
"""A small strict reader of HTTP/1.x messages: what a correct proxy never sends is an error here."""
import json
import re

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*\Z")
REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e\x80-\xff]+) (HTTP/1\.[01])\Z")
STATUS_LINE = re.compile(rb"(HTTP/1\.[01]) ([1-5][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)\Z")


class ProtocolError(AssertionError):
    """The peer sent what HTTP/1.1 does not allow."""


class Headers(list):
    """Fields in order, as (name, value) texts; look-up ignores case."""

    def all(self, name):
        return [value for key, value in self if key.lower() == name.lower()]

    def get(self, name, default=None):
        """The only value; more than one field of the name is an error."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} occurs {len(values)} times: {values}"
        return values[0] if values else default

    def __contains__(self, name):
        return bool(self.all(name))

    def lowered(self):
        """All pairs, names in lower case: their case means nothing."""
        return [(key.lower(), value) for key, value in self]

    def names(self):
        return [key.lower() for key, _ in self]


class Message:
    version = "HTTP/1.1"

    def __init__(self):
        self.headers = Headers()
        self.body = b""
        self.trailers = Headers()
        self.head = b""  # as received

    @property
    def text(self):
        return self.body.decode("utf-8")

    def json(self):
        return json.loads(self.body)

    @property
    def chunked(self):
        return self.headers.get("transfer-encoding") == "chunked"

    @property
    def length(self):
        value = self.headers.get("content-length")
        return None if value is None else int(value)


class Request(Message):
    method = target = ""

    @property
    def path(self):
        return self.target.partition("?")[0]

    def __repr__(self):
        return f"<{self.method} {self.target} {list(self.headers)}>"


class Response(Message):
    status = 0
    reason = ""

    def __init__(self):
        super().__init__()
        self.interim = []  # responses before this one, of status 1xx

    def __repr__(self):
        return f"<{self.status} {list(self.headers)} {self.body[:200]!r}>"


def _fields(lines, headers):
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not TOKEN.match(name) or not VALUE.match(value):
            raise ProtocolError(f"bad field line {line!r}")
        headers.append((name.decode("latin-1"), value.strip(b" \t").decode("latin-1")))


def _head(wire, message):
    raw = wire.read_until(b"\r\n\r\n")
    message.head = raw
    lines = raw[:-4].split(b"\r\n")
    if any(b"\r" in line or b"\n" in line for line in lines):
        raise ProtocolError(f"bare CR or LF in {raw!r}")
    _fields(lines[1:], message.headers)
    lengths, codings = message.headers.all("content-length"), message.headers.all("transfer-encoding")
    if len(lengths) + len(codings) > 1:
        raise ProtocolError(f"ambiguous framing in {raw!r}")
    if lengths and not lengths[0].isdigit():
        raise ProtocolError(f"bad content-length in {raw!r}")
    if codings and codings[0] != "chunked":
        raise ProtocolError(f"transfer-encoding is not chunked in {raw!r}")
    return lines[0]


def read_request_head(wire):
    """The next request's head, or None when the connection ends before its first byte."""
    if not wire.buffer and not wire.fill():
        return None
    request = Request()
    line = _head(wire, request)
    match = REQUEST_LINE.match(line)
    if not match:
        raise ProtocolError(f"bad request line {line!r}")
    request.method, request.target, request.version = (g.decode("latin-1") for g in match.groups())
    if request.version == "HTTP/1.1" and len(request.headers.all("host")) != 1:
        raise ProtocolError(f"one Host field expected in {request.head!r}")
    return request


def read_response_head(wire):
    response = Response()
    line = _head(wire, response)
    match = STATUS_LINE.match(line)
    if not match:
        raise ProtocolError(f"bad status line {line!r}")
    version, status, reason = (g.decode("latin-1") for g in match.groups())
    response.version, response.status, response.reason = version, int(status), reason
    return response


def read_chunk(wire, trailers):
    """One chunk's data; b"" for the last one, whose trailers are appended to `trailers`."""
    line = wire.read_until(b"\r\n")[:-2]
    if not re.match(rb"[0-9A-Fa-f]{1,16}\Z", line):
        raise ProtocolError(f"bad chunk size line {line!r}")
    size = int(line, 16)
    if size == 0:
        while True:
            field = wire.read_until(b"\r\n")[:-2]
            if not field:
                return b""
            _fields([field], trailers)
    data = wire.read_exactly(size)
    end = wire.read_exactly(2)
    if end != b"\r\n":
        raise ProtocolError(f"chunk data not followed by CRLF but {end!r}")
    return data


def read_body(wire, message, until_close=False):
    """Reads the body that the head announces into the message."""
    if message.chunked:
        parts = []
        while True:
            data = read_chunk(wire, message.trailers)
            if not data:
                break
            parts.append(data)
        message.body = b"".join(parts)
    elif message.length is not None:
        message.body = wire.read_exactly(message.length)
    elif until_close:
        message.body = wire.read_to_end()
    return message


def chunked(*parts, trailers=()):
    """The bytes of a chunked body."""
    out = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts if p)
    fields = b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in trailers)
    return out + b"0\r\n" + fields + b"\r\n"


def fields(headers):
    """Header lines of a dict or a list of pairs."""
    pairs = headers.items() if isinstance(headers, dict) else headers
    return "".join(f"{name}: {value}\r\n" for name, value in pairs)
