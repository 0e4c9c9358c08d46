# SPDX-License-Identifier: Apache-2.0
"""A forward proxy of the tests' own: CONNECT and absolute-form, with Basic auth if wanted."""
import base64
import socket
import threading

from . import http1
from .wire import Closed, Wire


class ForwardProxy:
    """Passes on what it is asked to; `seen` are the request lines, in order.

    `hosts` are addresses for names, ("origin.test", 80): port; `refuse` is a status to answer all with,
    `interim` what goes before the answer to a CONNECT.
    """

    def __init__(self, hosts=None, user=None, refuse=None, interim=""):
        self.seen = []
        self.heads = []
        self.hosts = hosts or {}
        self.refuse = refuse
        self.interim = interim
        self._expected = user and "Basic " + base64.b64encode(user.encode()).decode()
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(64)
        self.port = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"http://{user + '@' if user else ''}{self.address}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(Wire(sock, timeout=20),), daemon=True).start()

    def _serve(self, wire):
        try:
            while self._serve_one(wire):
                pass
        except (Closed, OSError, AssertionError):
            pass
        finally:
            wire.close()

    def _serve_one(self, wire):
        request = http1.read_request_head(wire)
        if request is None:
            return False
        self.seen.append(f"{request.method} {request.target}")
        self.heads.append(request.head)
        status = self.refuse
        if self._expected and request.headers.get("proxy-authorization") != self._expected:
            status = 407
        if status:
            wire.send(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n")
            return True
        if request.method == "CONNECT":
            self._tunnel(wire, request.target)
            return False
        rest = request.target.removeprefix("http://")
        authority, slash, path = rest.partition("/")
        with self._connect(authority) as origin:
            head = request.head.replace(request.target.encode(), (slash + path or "*").encode(), 1)
            origin.sendall(head + b"" if head.endswith(b"\r\n\r\n") else head + b"\r\n\r\n")
            reply = Wire(origin)
            response = http1.read_body(reply, http1.read_response_head(reply), until_close=True)
        wire.send(f"HTTP/1.1 {response.status} OK\r\nContent-Length: {len(response.body)}\r\n\r\n",
                  response.body)
        return True

    def _connect(self, authority):
        host, _, port = authority.rpartition(":") if ":" in authority else (authority, "", "80")
        port = int(port)
        return socket.create_connection(self.hosts.get((host, port), (host, port)))

    def _tunnel(self, wire, target):
        with self._connect(target) as origin:
            wire.send(self.interim + "HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=self._copy, args=(origin, wire.sock), daemon=True)
            back.start()
            self._copy(wire.sock, origin)
            back.join()

    @staticmethod
    def _copy(source, to):
        try:
            while data := source.recv(65536):
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
