# SPDX-License-Identifier: Apache-2.0
"""RFC 9113 over the wire. The whole table stands in tests/unit/http2, where each case also runs split
at every byte; here is one of each kind, to see that the connection does what its codec says."""
import struct

import pytest

from support import Origin, Proxy, config_for
from support import h2frames as h2
from support.h2frames import (CONTINUATION, DATA, GET, HEADERS, PING, POST, PRIORITY, RST_STREAM, SETTINGS,
                              WINDOW_UPDATE, RawH2, frame, headers, literals, rst_stream, window_update)

CONNECTION_ERRORS = [
    ("4.2 a frame over the maximum", frame(DATA, 0, 1, b"x" * 16385), h2.FRAME_SIZE_ERROR),
    ("4.3 a block that can not be decompressed", frame(HEADERS, 5, 1, b"\xff" * 8), h2.COMPRESSION_ERROR),
    ("5.1 DATA on an idle stream", frame(DATA, 0, 1, b"x"), h2.PROTOCOL_ERROR),
    ("5.1.1 an even stream", headers(2, *GET), h2.PROTOCOL_ERROR),
    ("6.1 DATA on the connection", frame(DATA, 0, 0, b"x"), h2.PROTOCOL_ERROR),
    ("6.2 padding longer than the payload", frame(HEADERS, 0xd, 1, b"\xffab"), h2.PROTOCOL_ERROR),
    ("6.3 PRIORITY on the connection", frame(PRIORITY, 0, 0, b"\0" * 5), h2.PROTOCOL_ERROR),
    ("6.4 RST_STREAM on the connection", rst_stream(0), h2.PROTOCOL_ERROR),
    ("6.5 SETTINGS of a broken size", frame(SETTINGS, 0, 0, b"abcde"), h2.FRAME_SIZE_ERROR),
    ("6.5.2 a window over 2^31 - 1", frame(SETTINGS, 0, 0, struct.pack("!HI", 4, 1 << 31)),
     h2.FLOW_CONTROL_ERROR),
    ("6.7 PING of a broken size", frame(PING, 0, 0, b"1234567"), h2.FRAME_SIZE_ERROR),
    ("6.9 WINDOW_UPDATE by nothing", window_update(0, 0), h2.PROTOCOL_ERROR),
    ("6.9.1 a window that overflows", window_update(0, 0x7fffffff), h2.FLOW_CONTROL_ERROR),
    ("6.10 a frame within a header block", frame(HEADERS, 1, 1, literals(*GET)) + frame(PING, 0, 0, b"x" * 8),
     h2.PROTOCOL_ERROR),
    ("6.10 CONTINUATION of nothing", frame(CONTINUATION, 4, 1, literals(*GET)), h2.PROTOCOL_ERROR),
]


@pytest.fixture(scope="module")
def proxy():
    origin = Origin()
    origin.otherwise(body=b"fine", may_break=True)
    with Proxy(config_for(origin)) as running:
        yield running
    origin.close()


@pytest.mark.parametrize("what,sent,code", CONNECTION_ERRORS, ids=[case[0] for case in CONNECTION_ERRORS])
def test_a_connection_error_is_named_and_ends_the_connection(proxy, what, sent, code):
    with RawH2(proxy.port()) as client:
        client.send(sent)
        assert client.goaway() == code


STREAM_ERRORS = [
    ("8.1.1 a length that is not reached", headers(1, *POST, ("content-length", "5"), end=False) +
     frame(DATA, 1, 1, b"x")),
    ("8.2.1 an upper-case name", headers(1, *GET, ("X-Own", "1"))),
    ("8.2.1 a line feed in a value", headers(1, *GET, ("x", "a\nb: c"))),
    ("8.2.2 a connection field", headers(1, *GET, ("transfer-encoding", "chunked"))),
    ("8.3 a pseudo-header behind a field", headers(1, ("x", "y"), *GET)),
    ("8.3.1 no :path", headers(1, *GET[:3])),
    ("8.3.1 Host that says something else", headers(1, *GET, ("host", "other.com"))),
]


@pytest.mark.parametrize("what,sent", STREAM_ERRORS, ids=[case[0] for case in STREAM_ERRORS])
def test_a_malformed_request_is_refused_and_the_connection_goes_on(proxy, what, sent):
    with RawH2(proxy.port()) as client:
        client.send(sent)
        kind, _, stream, payload = client.until([RST_STREAM])
        assert (stream, payload) == (1, struct.pack("!I", h2.PROTOCOL_ERROR))
        client.send(headers(3, *GET))
        kind, _, stream, payload = client.until([DATA])
        assert (stream, payload) == (3, b"fine")


def test_every_byte_may_come_by_itself(proxy):
    block = literals(*GET)
    sent = (frame(HEADERS, 1, 1, block[:9]) + frame(CONTINUATION, 0, 1, block[9:20]) +
            frame(CONTINUATION, 4, 1, block[20:]))
    with RawH2(proxy.port()) as client:
        for i in range(len(sent)):
            client.send(sent[i:i + 1])
        assert client.until([DATA])[3] == b"fine"
