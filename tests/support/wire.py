# SPDX-License-Identifier: Apache-2.0
"""A connected socket, read with a buffer; no read waits for ever."""
import socket
import ssl
import struct

from .clock import scaled


class Closed(Exception):
    """The peer ended the connection where bytes were expected."""

    def __init__(self, how, buffered):
        super().__init__(f"connection {how} by peer after {buffered[-200:]!r}")
        self.how = how
        self.buffered = buffered


class Wire:
    """One connection, as bytes."""

    def __init__(self, sock, timeout=5):
        self.sock = sock
        self.buffer = b""
        self.eof = False
        self.set_timeout(timeout)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def set_timeout(self, seconds):
        """Seconds that one read or write may take, scaled for sanitizers."""
        self.sock.settimeout(scaled(seconds))

    # -- out ------------------------------------------------------------------------------------
    def send(self, *parts):
        """Sends the bytes (texts are latin-1) in one write."""
        data = b"".join(p.encode("latin-1") if isinstance(p, str) else bytes(p) for p in parts)
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError) as error:
            raise Closed("reset", self.buffer) from error
        return self

    def send_quietly(self, *parts):
        """As send, but a peer that has closed already is no error."""
        try:
            self.send(*parts)
        except Closed:
            pass
        return self

    def half_close(self):
        """Sends FIN; the other direction stays open. With TLS only close_notify, in `unwrap`, is an
        orderly end, and Python's ssl can not read after it: tests use openssl s_client for that."""
        self.sock.shutdown(socket.SHUT_WR)
        return self

    def half_close_quietly(self):
        """As half_close, but a peer that has closed already is no error."""
        try:
            self.half_close()
        except OSError:
            pass
        return self

    def close(self):
        self.sock.close()

    def reset(self):
        """Ends the connection with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    # -- in -------------------------------------------------------------------------------------
    def fill(self, size=65536):
        """Reads once into the buffer; False at the end of the stream."""
        try:
            data = self.sock.recv(size)
        except (ConnectionResetError, ssl.SSLEOFError) as error:
            raise Closed("reset", self.buffer) from error
        except socket.timeout as error:
            raise AssertionError(
                f"nothing arrived in {self.sock.gettimeout()} s; unread: {self.buffer[-300:]!r}"
            ) from error
        if not data:
            self.eof = True
            return False
        self.buffer += data
        return True

    def need(self):
        if not self.fill():
            raise Closed("closed", self.buffer)

    def take(self, count):
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def read_exactly(self, count):
        while len(self.buffer) < count:
            self.need()
        return self.take(count)

    def read_until(self, marker, limit=1 << 20):
        """Bytes up to and including `marker`."""
        while True:
            at = self.buffer.find(marker)
            if at >= 0:
                return self.take(at + len(marker))
            assert len(self.buffer) < limit, f"no {marker!r} within {limit} bytes"
            self.need()

    def read_some(self):
        """What has arrived, at least one byte; b"" at the end of the stream."""
        if not self.buffer and not self.fill():
            return b""
        return self.take(len(self.buffer))

    def read_to_end(self):
        while self.fill():
            pass
        return self.take(len(self.buffer))

    def read_to_close(self):
        """As read_to_end, but a reset counts as an end."""
        try:
            return self.read_to_end()
        except Closed as closed:
            self.buffer = b""
            return closed.buffered

    def discard(self, count, size=1 << 18):
        """Reads `count` bytes and forgets them; returns their number (all, or fewer at the end)."""
        seen = min(count, len(self.buffer))
        self.take(seen)
        view = memoryview(bytearray(size))
        while seen < count:
            got = self.sock.recv_into(view, min(size, count - seen))
            if got == 0:
                break
            seen += got
        return seen

    # -- expectations ---------------------------------------------------------------------------
    def expect(self, expected):
        """The next bytes are exactly these."""
        expected = expected.encode("latin-1") if isinstance(expected, str) else expected
        got = b""
        while len(got) < len(expected):
            if not self.buffer and not self.fill():
                break
            got += self.take(len(expected) - len(got))
            if not expected.startswith(got):
                break
        assert got == expected, f"expected {expected!r}, got {got + self.buffer!r}"
        return self

    def expect_end(self):
        """Nothing more comes, in an orderly end of the stream."""
        rest = self.read_to_end()
        assert rest == b"", f"expected the end of the stream, got {rest[:300]!r}"
        return self

    def expect_closed(self):
        """Nothing more comes; the peer closed or reset."""
        try:
            return self.expect_end()
        except Closed as closed:
            assert closed.buffered == b"", f"expected no more bytes, got {closed.buffered[:300]!r}"
            return self

    def expect_silence(self, seconds):
        """No byte and no end for this long; for what must not happen there is no event to await."""
        before = self.sock.gettimeout()
        self.sock.settimeout(seconds)
        try:
            data = self.sock.recv(1, socket.MSG_PEEK)
        except socket.timeout:
            return self
        finally:
            self.sock.settimeout(before)
        raise AssertionError(f"expected silence, got {data!r} (b'' is an end)")
