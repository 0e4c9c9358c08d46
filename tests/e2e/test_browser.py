# SPDX-License-Identifier: Apache-2.0
"""A page in Chromium over HTTPS and HTTP/2: fetch, server-sent events, a WebSocket by extended CONNECT,
uploads and aborts, to an origin of HTTP/1 and one of HTTP/2."""
import base64
import hashlib
import html
import json
import pathlib
import re
import struct
import threading

import h2.settings
import pytest

from support import Origin
from support.h2 import H2Origin

HERE = pathlib.Path(__file__).parent
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE = 1, 8


@pytest.fixture
def browse(chromium, tmp_path):
    """What Chromium makes of a page, once its load event has come."""
    def run(url):
        done = chromium("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                        "--no-proxy-server", "--disable-background-networking",
                        "--disable-component-update", "--no-first-run",
                        f"--user-data-dir={tmp_path / 'profile'}", "--ignore-certificate-errors",
                        "--dump-dom", url, timeout=40)
        return done.stdout
    return run


class Bytes:
    """The far end of a tunnel, over an origin of either version."""

    def __init__(self, exchange):
        self.exchange = exchange
        self.read_so_far = 0
        headers = {"Sec-WebSocket-Protocol": "chat"}
        if isinstance(exchange.origin, H2Origin):
            assert exchange.request.pseudo[":protocol"] == "websocket"
            exchange.start_chunked(200, headers)
            return
        key = exchange.request.headers.get("sec-websocket-key").encode()
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        self.wire = exchange.take_over()
        exchange.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                      f"Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: chat\r\n\r\n")

    def read(self, size):
        if not isinstance(self.exchange.origin, H2Origin):
            return self.wire.read_exactly(size)
        start = self.read_so_far
        self.read_so_far += size
        return bytes(self.exchange.read_some(self.read_so_far)[start:self.read_so_far])

    def write(self, data):
        if isinstance(self.exchange.origin, H2Origin):
            self.exchange.chunk(data)
        else:
            self.wire.send(data)

    def end(self):
        if isinstance(self.exchange.origin, H2Origin):
            self.exchange.end_chunks()
        else:
            self.exchange.close()


def read_frame(peer):
    first, second = peer.read(2)
    size = second & 0x7f
    if size == 126:
        size, = struct.unpack(">H", peer.read(2))
    elif size == 127:
        size, = struct.unpack(">Q", peer.read(8))
    assert second & 0x80, "a client masks"
    mask = peer.read(4) * (size // 4 + 1)
    masked = peer.read(size)
    return first & 0x0f, (int.from_bytes(masked, "big") ^ int.from_bytes(mask[:size], "big")).to_bytes(size, "big")


def frame(kind, payload):
    size = len(payload)
    head = struct.pack(">BB", 0x80 | kind, size) if size < 126 else (
        struct.pack(">BBH", 0x80 | kind, 126, size) if size < 65536 else
        struct.pack(">BBQ", 0x80 | kind, 127, size))
    return head + payload


def echo_messages(exchange):
    peer = Bytes(exchange)
    while True:
        kind, payload = read_frame(peer)
        peer.write(frame(kind, payload))
        if kind == CLOSE:
            return peer.end()
        assert kind == TEXT


class Site:
    """The origin's side of browser.html."""

    def __init__(self, origin):
        self.finished, self.gone = threading.Event(), threading.Event()
        self.seen = [threading.Event() for _ in range(3)]
        origin.on("/", body=(HERE / "browser.html").read_bytes(), headers={"Content-Type": "text/html"})
        origin.on("/text", lambda exchange: exchange.reply(200, exchange.request.target.partition("?")[2]))
        origin.on("/echo", lambda exchange: exchange.reply(200, exchange.read_body()))
        origin.on("/events", self.send_events, may_break=True)
        origin.on("/seen", self.note_seen)
        origin.on("/ws", echo_messages)
        origin.on("/endless", self.never_end, may_break=True)
        origin.on("/aborted", lambda exchange: (exchange.wait(self.gone), exchange.reply(200, "heard")))
        origin.on("/finished", lambda exchange: (exchange.reply(204), self.finished.set()))
        origin.on("/done", lambda exchange: (exchange.wait(self.finished, 20), exchange.reply(204)))
        origin.otherwise(lambda exchange: exchange.reply(404))  # the favicon

    def send_events(self, exchange):
        exchange.start_chunked(200, {"Content-Type": "text/event-stream"})
        for number, seen in enumerate(self.seen):
            exchange.chunk(f"data: {number}\n\n")
            exchange.wait(seen)
        exchange.expect_gone()  # the page has seen enough

    def note_seen(self, exchange):
        self.seen[int(exchange.request.target.partition("?")[2])].set()
        exchange.reply(204)

    def never_end(self, exchange):
        exchange.start_chunked(200)
        exchange.chunk("some")
        try:
            exchange.expect_gone()
        finally:
            self.gone.set()


@pytest.fixture(params=["h1", "h2"])
def origin(request):
    tunnels = {h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL: 1}
    made = H2Origin(settings=tunnels) if request.param == "h2" else Origin()
    made.protocol = request.param
    yield made
    made.close()
    made.check()


def test_a_page_does_all_it_may_over_http_2(browse, origin, authority, proxy_to):
    site = Site(origin)
    proxy = proxy_to(origin, cluster={"protocol": origin.protocol},
                     listener={"tls": {"certificates": [authority.local.entry]}})
    dom = browse(f"https://localhost:{proxy.port()}/")
    seen = json.loads(html.unescape(re.search(r'<pre id="seen">(.*?)</pre>', dom, re.S).group(1)))
    assert seen == {
        "texts": " ".join(str(number) for number in range(20)),
        "uploaded": 1 << 20,
        "events": ["0", "1", "2"],
        "messages": ["one", 100000, "chat", 4001, "as you wish"],
        "aborted": "heard",
        "protocols": ["h2"],
    }
    assert site.finished.is_set()
    lines = {line["path"]: line for line in proxy.wait_for_access(count=30)}
    assert {line["protocol"] for line in lines.values()} == {"HTTP/2"}
    assert lines["/ws"]["status"] == 101, "the WebSocket is a stream of the same connection"
    assert lines["/endless"]["error"] == "client_closed"
    metrics = proxy.metrics()
    assert metrics("proxy_client_connections_by_protocol_total", protocol="http/1.1") == 0
