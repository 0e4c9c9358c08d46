# SPDX-License-Identifier: Apache-2.0
"""A keep-alive client whose requests can be counted; wrk's can only be timed."""
import selectors
import socket

REQUEST_HEADERS = {"X-Tenant": "blue", "X-Debug": "1"}


def request_bytes(path="/", headers=None):
    lines = [f"GET {path} HTTP/1.1", "Host: bench.test"]
    chosen = REQUEST_HEADERS if headers is None else headers
    lines += [f"{name}: {value}" for name, value in chosen.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def reply_size(data):
    """Bytes of the first reply in data, or 0 while its head is incomplete."""
    head_end = data.find(b"\r\n\r\n")
    if head_end < 0:
        return 0
    for line in data[:head_end].split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return head_end + 4 + int(value)
    raise RuntimeError(f"a reply without Content-Length: {bytes(data[:200])!r}")


def read_reply(connection):
    data = b""
    while not 0 < reply_size(data) <= len(data):
        more = connection.recv(65536)
        if not more:
            raise ConnectionError(f"connection closed after {data!r}")
        data += more
    return data


def fetch(port, path="/", headers=None):
    """One request on a connection of its own; the whole reply."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request_bytes(path, headers))
        return read_reply(connection)


class Clients:
    """Open keep-alive connections, each of which made one request."""

    def __init__(self, port, count):
        self.connections = []
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", port), timeout=30)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections.append(connection)
            connection.sendall(request_bytes())
            if not read_reply(connection).startswith(b"HTTP/1.1 200"):
                raise RuntimeError("a first request failed")

    def run(self, total):
        """Sends `total` requests over all connections, one at a time on each."""
        selector = selectors.DefaultSelector()
        request, started, done, buffers = request_bytes(), 0, 0, {}
        for connection in self.connections:
            selector.register(connection, selectors.EVENT_READ)
            buffers[connection] = b""
            connection.sendall(request)
            started += 1
        while done < total:
            for key, _ in selector.select(60):
                connection = key.fileobj
                data = buffers[connection] + connection.recv(65536)
                if not 0 < reply_size(data) <= len(data):
                    buffers[connection] = data
                    continue
                if not data.startswith(b"HTTP/1.1 200"):
                    raise RuntimeError(f"a request failed: {data[:80]!r}")
                done += 1
                buffers[connection] = b""
                if started < total:
                    connection.sendall(request)
                    started += 1
        selector.close()

    def close(self):
        for connection in self.connections:
            connection.close()
