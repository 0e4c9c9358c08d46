# SPDX-License-Identifier: Apache-2.0
"""What becomes of the origin's connection, and of its time, where a script reads or replaces a response."""
import signal
import threading

import pytest

from support import eventually

LARGE = 3_000_000


@pytest.mark.parametrize("idle_timeout", ["0s", "60s"])
@pytest.mark.parametrize("script", [
    "proxy.sleep(0.1) response:set_body('short')",
    "local t = os.clock() while os.clock() - t < 0.02 do end response:set_body('short')",
    "proxy.sleep(0.1) response:set_body('')",
], ids=["sleeps", "is sliced", "empties"])
def test_a_replaced_body_keeps_no_connection(make_origin, proxy_to, script, idle_timeout):
    """While the hook took its time the origin was told to wait; nobody would have told it to go on."""
    origin = make_origin()
    origin.otherwise(lambda exchange: exchange.reply(200, b"x" * LARGE), may_break=True)
    proxy = proxy_to(origin, scripts={"p.lua": f"function on_response(response) {script} end"},
                     policies={"p": {"script": "p.lua", "budget": {"cpu": "5s"}}},
                     route={"idle_timeout": idle_timeout},
                     cluster={"pool": {"max_connections": 2, "pending_timeout": "5s"}})
    for _ in range(5):
        assert proxy.get("/").status == 200
    proxy.signal(signal.SIGTERM)
    proxy.wait_for_exit(timeout=10)


def test_the_rest_of_a_replaced_body_is_not_waited_for_long(make_origin, proxy_to):
    """An origin that never ends its body holds neither its connection nor a drain."""
    origin = make_origin()
    over = threading.Event()

    def never_ends(exchange):
        exchange.start_chunked()
        exchange.chunk(b"some")
        over.wait(20)
    origin.otherwise(never_ends, may_break=True)
    proxy = proxy_to(origin, scripts={"p.lua": "function on_response(response) response:set_body('short') end"},
                     policies={"p": "p.lua"}, route={"idle_timeout": "0s"})
    assert proxy.get("/").body == b"short"
    eventually(lambda: proxy.metrics()("proxy_backend_connections_active", default=0) == 0)
    over.set()


@pytest.mark.parametrize("script", ["local body = response:body() proxy.sleep(1.2)",
                                    "proxy.sleep(0.1) local body = response:body() proxy.sleep(1.2)"])
def test_a_wait_after_the_body_is_no_idle_origin(make_origin, proxy_to, script):
    origin = make_origin()

    def in_two(exchange):
        exchange.start_chunked()
        exchange.chunk(b"first ")
        exchange.chunk(b"second")
        exchange.end_chunks()
    origin.otherwise(in_two)
    proxy = proxy_to(origin, scripts={"p.lua": f"function on_response(response) {script} end"},
                     policies={"p": "p.lua"}, route={"idle_timeout": "300ms"})
    response = proxy.get("/")
    assert (response.status, response.body) == (200, b"first second")


def test_an_origin_that_stalls_while_its_body_is_read_is_idle(make_origin, proxy_to):
    """So the test above can fail."""
    origin = make_origin()
    over = threading.Event()

    def stalls(exchange):
        exchange.start_chunked()
        exchange.chunk(b"first")
        over.wait(20)
    origin.otherwise(stalls, may_break=True)
    proxy = proxy_to(origin, scripts={"p.lua": "function on_response(response) response:body() end"},
                     policies={"p": "p.lua"}, route={"idle_timeout": "300ms"})
    assert proxy.get("/").status == 504
    over.set()
