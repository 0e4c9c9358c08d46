# SPDX-License-Identifier: Apache-2.0
"""A DNS server of the tests' own: UDP and TCP on one port, its answers changed while it runs."""
import ipaddress
import socket
import struct
import threading

A, CNAME, AAAA, SRV = 1, 5, 28, 33
NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5
MAX_UDP = 512


def _name(text):
    labels = [label for label in text.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"


def _read_name(message, at):
    labels = []
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode())
        at += 1 + message[at]
    return ".".join(labels).lower(), at + 1


class DnsServer:
    """Answers what it was told:

        with DnsServer() as dns:
            dns.set("users.test", a=["127.0.0.1"], ttl=1)
            dns.set("_http._tcp.test", srv=[(priority, weight, port, "target.test")])
            dns.fail("users.test", SERVFAIL)
            dns.silence("users.test")

    What it was not told of does not exist. `queries` are (name, type, "udp" or "tcp") in order.
    """

    def __init__(self):
        self.queries = []
        self.malformed = False
        self._answers = {}
        self._failures = {}
        self._changed = threading.Condition()
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._tcp = socket.socket()
        self._tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        while True:  # one port, free in both
            self._udp.bind(("127.0.0.1", 0))
            self.port = self._udp.getsockname()[1]
            try:
                self._tcp.bind(("127.0.0.1", self.port))
                break
            except OSError:
                self._udp.close()
                self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._tcp.listen(16)
        self.address = f"127.0.0.1:{self.port}"
        self._closing = False
        for serve in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=serve, daemon=True).start()

    # -- answers --------------------------------------------------------------------------------
    def set(self, name, a=(), aaaa=(), srv=(), ttl=60, alias=None):
        """The records of a name from now on; `alias` is (name, ttl) of a CNAME to it."""
        with self._changed:
            self._failures.pop(name, None)
            self._answers[name] = {A: [ipaddress.IPv4Address(x).packed for x in a],
                                   AAAA: [ipaddress.IPv6Address(x).packed for x in aaaa],
                                   SRV: [struct.pack(">HHH", p, w, port) + _name(target)
                                         for p, w, port, target in srv],
                                   "ttl": ttl}
            if alias:
                self._answers[alias[0]] = {CNAME: (name, alias[1])}
        return self

    def fail(self, name, code, types=(A, AAAA, SRV)):
        """The response code instead of records, for these types."""
        with self._changed:
            self._failures[name] = (code, types)

    def silence(self, name):
        self.fail(name, None)

    def wait_for_queries(self, count, name=None, timeout=10):
        def asked():
            return sum(name in (None, query[0]) for query in self.queries) >= count
        with self._changed:
            assert self._changed.wait_for(asked, timeout), self.queries

    def _answer(self, query, transport):
        name, at = _read_name(query, 12)
        kind = struct.unpack(">H", query[at:at + 2])[0]
        question = query[12:at + 4]
        with self._changed:
            self.queries.append((name, kind, transport))
            self._changed.notify_all()
            failure = self._failures.get(name)
            known = self._answers.get(name)
        if self.malformed:
            return query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + question + b"\xc0\xff"
        if failure and kind in failure[1]:
            return None if failure[0] is None else self._message(query, question, failure[0], [])
        if known is None:
            return self._message(query, question, NXDOMAIN, [])
        records = []
        if CNAME in known:
            target, ttl = known[CNAME]
            records.append(b"\xc0\x0c" + struct.pack(">HHIH", CNAME, 1, ttl, len(_name(target))) +
                           _name(target))
            name, known = target, self._answers[target]
        for data in known.get(kind, ()):
            records.append(_name(name) + struct.pack(">HHIH", kind, 1, known["ttl"], len(data)) + data)
        reply = self._message(query, question, NOERROR, records)
        if transport == "udp" and len(reply) > MAX_UDP:
            return self._message(query, question, NOERROR, [], flags=0x0200)  # truncated
        return reply

    @staticmethod
    def _message(query, question, code, records, flags=0):
        head = query[:2] + struct.pack(">HHHHH", 0x8180 | flags | code, 1, len(records), 0, 0)
        return head + question + b"".join(records)

    # -- sockets --------------------------------------------------------------------------------
    def _serve_udp(self):
        while True:
            try:
                query, peer = self._udp.recvfrom(4096)
                reply = self._answer(query, "udp")
                if reply is not None:
                    self._udp.sendto(reply, peer)
            except OSError:
                return

    def _serve_tcp(self):
        while True:
            try:
                wire, _ = self._tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_connection, args=(wire,), daemon=True).start()

    def _serve_connection(self, wire):
        with wire, wire.makefile("rb") as stream:
            while True:
                size = stream.read(2)
                if len(size) < 2:
                    return
                reply = self._answer(stream.read(struct.unpack(">H", size)[0]), "tcp")
                if reply is not None:
                    wire.sendall(struct.pack(">H", len(reply)) + reply)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._udp.close()
        try:
            self._tcp.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._tcp.close()
