# SPDX-License-Identifier: Apache-2.0
"""What a client does not read waits at the origin, however many streams it opens."""
import threading

from support import eventually
from support.clock import SANITIZER

STREAMS = 100
EACH = 2 << 20


def test_a_hundred_streams_that_nobody_reads_hold_little(make_any_origin, h2_front, h2_client):
    origin = make_any_origin("h2")
    waiting = threading.Semaphore(0)

    def handler(exchange):
        exchange.start_chunked(200)
        waiting.release()
        exchange.chunk(b"x" * EACH, end=True)
    origin.otherwise(handler, may_break=True)
    proxy = h2_front(origin)
    client = h2_client(proxy)
    other = h2_client(proxy)
    assert other.get("/warm").status == 200
    before = proxy.memory_kib()
    client.hold_windows = True
    streams = [client.start("GET", f"/{i}", end=True) for i in range(STREAMS)]
    for stream in streams:
        client.wait_head(stream)
    for _ in range(STREAMS):
        assert waiting.acquire(timeout=20)
    # An origin's window of 256 KiB and a read for each, at most.
    assert other.get("/other").status == 200
    if SANITIZER is None:
        assert proxy.memory_kib() - before < STREAMS * 400
    for stream in streams:
        client.cancel(stream)
    eventually(lambda: all(r.ended or r.reset is not None for r in origin.requests))
    assert other.get("/again").status == 200
