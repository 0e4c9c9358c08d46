# SPDX-License-Identifier: Apache-2.0
"""A client that sends exactly what a test says and reads strictly."""
import re
import socket

from . import http1
from .clock import scaled
from .wire import Wire


class Client(Wire):
    """One connection to a listener.

        with Client(proxy.port()) as client:
            assert client.get("/").status == 200

    Instead of a port it takes the path of a unix socket. `tls` is an ssl.SSLContext, or keywords of
    its wrap_socket beside it: `tls=(context, {"server_hostname": "a.example"})`.
    """

    def __init__(self, port, host="127.0.0.1", source=None, receive_buffer=None, timeout=5,
                 tls=None):
        if isinstance(port, int):
            family, address = (socket.AF_INET6 if ":" in host else socket.AF_INET), (host, port)
        else:
            family, address = socket.AF_UNIX, str(port)
        sock = socket.socket(family)
        if receive_buffer:  # before connect, so that the TCP window stays small
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(scaled(timeout))
        if source:
            sock.bind((source, 0))
        sock.connect(address)
        if tls:
            context, options = tls if isinstance(tls, tuple) else (tls, {})
            options = {"server_hostname": "localhost", "suppress_ragged_eofs": False, **options}
            try:
                sock = context.wrap_socket(sock, **options)
            except BaseException:
                sock.close()
                raise
        super().__init__(sock, timeout)
        self.host = "test.example"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send_head(self, method, target, headers=(), version="HTTP/1.1"):
        """Request line and fields; Host is added unless given."""
        return self.send(self._head(method, target, headers, version))

    def _head(self, method, target, headers, version):
        text = http1.fields(headers)
        if version == "HTTP/1.1" and not re.search(r"^host:", text, re.I | re.M):
            text = f"Host: {self.host}\r\n" + text
        return f"{method} {target} {version}\r\n{text}\r\n"

    def send_request(self, method, target, headers=(), body=None, version="HTTP/1.1"):
        """A whole request; a body gets its Content-Length."""
        pairs = list(headers.items() if isinstance(headers, dict) else headers)
        if body is not None:
            pairs.append(("Content-Length", str(len(body))))
        return self.send(self._head(method, target, pairs, version), body or b"")

    def read_head(self):
        """The next response head, interim ones too."""
        return http1.read_response_head(self)

    def response(self, to="GET"):
        """The next final response with its body; `to` is the request's method. Interim responses
        before it stand in `.interim`."""
        interim = []
        while True:
            response = http1.read_response_head(self)
            if response.status >= 200 or response.status == 101:
                break
            interim.append(response)
        response.interim = interim
        if response.status == 101 or response.status in (204, 304) or to == "HEAD":
            return response
        if to == "CONNECT" and response.status < 300:
            return response
        return http1.read_body(self, response, until_close=True)

    def request(self, method, target, headers=(), body=None, version="HTTP/1.1"):
        self.send_request(method, target, headers, body, version)
        return self.response(to=method)

    def get(self, target, headers=(), **kwargs):
        return self.request("GET", target, headers, **kwargs)

    def post(self, target, body, headers=(), **kwargs):
        return self.request("POST", target, headers, body, **kwargs)

    def post_partly(self, target, part, length=None):
        """A POST that stays incomplete: of a body of `length` bytes, or of unknown length, only `part`."""
        if length is not None:
            return self.send_head("POST", target, {"Content-Length": str(length)}).send(part)
        self.send_head("POST", target, {"Transfer-Encoding": "chunked"})
        return self.send(b"%x\r\n%s\r\n" % (len(part), part))

    def read_chunk(self):
        """The next chunk of a chunked body; b"" for the last."""
        return http1.read_chunk(self, http1.Headers())
