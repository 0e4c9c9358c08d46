# SPDX-License-Identifier: Apache-2.0
"""A cluster's limit that finds itself, before an origin that slows down under load."""
import threading
import time

from support import Client, scaled


def test_an_origin_with_few_hands_is_not_buried(origin, proxy_to):
    """It works on four at once, 10 ms each; 40 clients press. Without a limit each would wait 100 ms."""
    hands = threading.Semaphore(4)
    waits = []

    def work(exchange):
        begun = time.monotonic()
        with hands:
            waits.append((begun, time.monotonic() - begun))
            time.sleep(0.01)
        exchange.reply(200)

    origin.otherwise(work)
    adaptive = {"min": 2, "max": 100, "window": "100ms"}
    proxy = proxy_to(origin, cluster={"limits": {"adaptive_concurrency": adaptive}}, log={"access": "off"})
    statuses, stop = [], threading.Event()

    def press():
        with Client(proxy.port(), timeout=scaled(20)) as client:
            while not stop.is_set():
                status = client.get("/").status
                statuses.append(status)
                if status == 503:
                    time.sleep(0.005)

    team = [threading.Thread(target=press) for _ in range(40)]
    for thread in team:
        thread.start()
    time.sleep(3)
    stop.set()
    for thread in team:
        thread.join(scaled(20))
    assert set(statuses) == {200, 503}
    assert 2 <= proxy.metrics()("proxy_adaptive_concurrency_limit", cluster="origin") <= 100
    late = sorted(wait for begun, wait in waits if begun > waits[-1][0] - 1)
    assert late[len(late) // 2] < 0.05, late[len(late) // 2]
    assert len(late) > 100  # of some 400 that it could do in a second
