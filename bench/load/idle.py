# SPDX-License-Identifier: Apache-2.0
"""Resident bytes per idle keep-alive client connection, and the time from exec to a first reply."""
import socket
import ssl
import statistics
import time

import client
import process
import protocols

HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"   # and empty SETTINGS
# HEADERS with END_STREAM and END_HEADERS on stream 1: GET, https, /, and a literal :authority.
HTTP2_FIELDS = b"\x82\x87\x84\x41\x0abench.test"
HTTP2_REQUEST = len(HTTP2_FIELDS).to_bytes(3, "big") + b"\x01\x05\0\0\0\x01" + HTTP2_FIELDS


def bytes_per_connection(peer, wanted=10000):
    """(bytes, connections): every client made one request, then all stay open and silent."""
    process.raise_descriptor_limit()
    count = min(wanted, process.descriptor_limit() - 500)
    peer.start()
    try:
        client.Clients(peer.port, 64).close()
        time.sleep(0.5)
        before = process.resident_bytes(peer.process.pid)
        clients = client.Clients(peer.port, count)
        time.sleep(0.5)
        after = process.resident_bytes(peer.process.pid)
        clients.close()
    finally:
        peer.stop()
    return (after - before) / count, count


def startup_milliseconds(peer, times=20):
    """Median from exec to the first 200."""
    samples = []
    for _ in range(times):
        began = time.monotonic()
        peer.start()
        samples.append((time.monotonic() - began) * 1e3)
        peer.stop()
    return statistics.median(samples)


def read_http2_reply(connection):
    """Until the frame that ends stream 1."""
    data = b""
    while True:
        while len(data) >= 9:
            size, flags, stream = int.from_bytes(data[:3], "big"), data[4], int.from_bytes(data[5:9], "big")
            if len(data) < 9 + size:
                break
            if data[3] in (0, 1) and stream == 1 and flags & 1:
                return
            data = data[9 + size:]
        more = connection.recv(65536)
        if not more:
            raise ConnectionError(f"connection closed after {data!r}")
        data += more


def secure_clients(port, protocol, count):
    """Connections over TLS that each made one request."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([protocol])
    connections = []
    for _ in range(count):
        plain = socket.create_connection(("127.0.0.1", port), timeout=30)
        connection = context.wrap_socket(plain, server_hostname="bench.test")
        connections.append(connection)
        if protocol == "h2":
            connection.sendall(HTTP2_PREFACE + HTTP2_REQUEST)
            read_http2_reply(connection)
        else:
            connection.sendall(client.request_bytes())
            client.read_reply(connection)
    return connections


def by_protocol(origin, only, say, count=2000):
    """{kind: {peer: bytes}} for idle TLS connections with HTTP/1.1 and with HTTP/2."""
    grpc_origin = protocols.GrpcOrigin()
    process.raise_descriptor_limit()
    results = {}
    try:
        for kind, protocol in (("TLS, HTTP/1.1", "http/1.1"), ("TLS, HTTP/2", "h2")):
            for peer in protocols.prepared(origin, grpc_origin, only):
                peer.start()
                try:
                    for connection in secure_clients(peer.more["TLS_PORT"], protocol, 64):
                        connection.close()
                    time.sleep(0.5)
                    before = process.resident_bytes(peer.process.pid)
                    connections = secure_clients(peer.more["TLS_PORT"], protocol, count)
                    time.sleep(0.5)
                    after = process.resident_bytes(peer.process.pid)
                    results.setdefault(kind, {})[peer.name] = (after - before) / count
                    say(f"idle {kind}: {peer.name} {(after - before) / count:,.0f} bytes")
                    for connection in connections:
                        connection.close()
                finally:
                    peer.stop()
    finally:
        grpc_origin.stop()
    return results
