# SPDX-License-Identifier: Apache-2.0
"""Resident bytes per idle keep-alive client connection, and the time from exec to a first reply."""
import statistics
import time

import client
import process


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
