# SPDX-License-Identifier: Apache-2.0
"""A body larger than any buffer: the proxy's memory stays what it was."""
import os
import threading

import pytest

from support import scaled
from support.proxy import MEASURES_MEMORY

GIB = 1 << 30
BLOCK = bytes(1 << 18)
MOST_MEMORY_KIB = 50 * 1024


def _amount():
    """1 GiB as a rule; TIDEGATE_HUGE_BODY=10 gives ten; sanitizers get less."""
    gib = int(os.environ.get("TIDEGATE_HUGE_BODY", 1))
    return gib * GIB if MEASURES_MEMORY else 64 << 20


def _push(send, total):
    sent = 0
    while sent < total:
        send(BLOCK)
        sent += len(BLOCK)


@pytest.mark.slow
def test_a_huge_response_passes_in_little_memory(origin, proxy_to, connect):
    total = _amount()

    def pushes(exchange):
        exchange.send(f"HTTP/1.1 200 OK\r\nContent-Length: {total}\r\n\r\n")
        _push(exchange.send, total)
    origin.on("/", pushes)
    proxy = proxy_to(origin)
    client = connect(proxy)
    client.send_request("GET", "/")
    assert client.read_head().length == total
    assert client.discard(total) == total
    if MEASURES_MEMORY:
        assert proxy.memory_kib("VmHWM") < MOST_MEMORY_KIB
    assert client.get("/small").status == 200


@pytest.mark.slow
def test_a_huge_chunked_response_passes_in_little_memory(origin, proxy_to, connect):
    total = _amount()

    def pushes(exchange):
        exchange.start_chunked()
        _push(exchange.chunk, total)
        exchange.end_chunks()
    origin.on("/", pushes)
    proxy = proxy_to(origin)
    client = connect(proxy)
    client.send_request("GET", "/")
    assert client.read_head().chunked
    # Chunk by chunk in Python would measure Python; the framing costs a few bytes a chunk.
    assert client.discard(total) == total
    client.read_until(b"\r\n0\r\n\r\n", limit=total)
    if MEASURES_MEMORY:
        assert proxy.memory_kib("VmHWM") < MOST_MEMORY_KIB


@pytest.mark.slow
def test_a_huge_request_passes_in_little_memory(origin, proxy_to, connect):
    total = _amount()

    def reads(exchange):
        assert exchange.take_over().discard(total) == total
        exchange.reply(body=b"all here")
    origin.on("/", reads)
    proxy = proxy_to(origin)
    client = connect(proxy)
    client.send_head("POST", "/", {"Content-Length": str(total)})
    sender = threading.Thread(target=_push, args=(client.send, total))
    sender.start()
    client.set_timeout(120)
    assert client.response().body == b"all here"
    sender.join(scaled(5))
    if MEASURES_MEMORY:
        assert proxy.memory_kib("VmHWM") < MOST_MEMORY_KIB
