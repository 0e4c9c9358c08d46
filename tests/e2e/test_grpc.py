# SPDX-License-Identifier: Apache-2.0
"""grpc-js in front and behind, over HTTP/2 in cleartext."""
import json
import pathlib

import pytest

HERE = pathlib.Path(__file__).parent
UNAVAILABLE, UNIMPLEMENTED, DEADLINE_EXCEEDED, CANCELLED, FAILED_PRECONDITION = 14, 12, 4, 1, 9


@pytest.fixture
def server(node_with_grpc):
    process = node_with_grpc.start(HERE / "grpc_server.js")
    process.url = f"http://127.0.0.1:{int(process.stdout.readline())}"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture
def proxy(server, proxy_to):
    return proxy_to(server.url, cluster={"protocol": "h2"})


@pytest.fixture
def call(node_with_grpc):
    def run(proxy, what):
        return json.loads(node_with_grpc(HERE / "grpc_client.js", proxy.port(), what).stdout)
    return run


def test_a_unary_call_with_metadata_and_trailers(call, proxy):
    assert call(proxy, "unary") == {"code": 0, "seen": "yes", "trailer": "after", "value": "hello world"}


def test_many_calls_at_once(call, proxy):
    assert call(proxy, "many") == {"good": 200}


def test_an_error_of_the_servers_own(call, proxy):
    assert call(proxy, "fail") == {"code": FAILED_PRECONDITION, "details": "not “now” 100%"}


def test_client_streaming(call, proxy):
    assert call(proxy, "collect") == {"value": "2000000"}


def test_server_streaming(call, proxy):
    assert call(proxy, "count") == {"code": 0, "count": 500, "last": "part 499"}


def test_bidirectional_streaming_answers_line_by_line(call, proxy):
    assert call(proxy, "chat") == {"code": 0, "heard": [f"re: line {i}" for i in range(5)]}


def test_a_call_given_up_is_given_up_behind_too(call, proxy, server):
    assert call(proxy, "cancel")["code"] == CANCELLED
    assert server.stdout.readline() == "cancelled\n"
    assert proxy.wait_for_access()["error"] == "client_closed"


def test_a_deadline_is_known_on_all_sides(call, proxy, server):
    """Client, proxy and server each have a clock, so any of them may be first; the proxy's own one is in
    integration/http2/test_grpc_errors.py."""
    assert call(proxy, "deadline")["code"] == DEADLINE_EXCEEDED
    assert server.stdout.readline() == "cancelled\n"
    # None: the server answered in time to say so itself.
    assert proxy.wait_for_access().get("error") in (None, "client_closed", "exchange_timeout")


def test_a_server_that_is_not_there_is_unavailable(call, proxy_to):
    result = call(proxy_to("http://127.0.0.1:1", cluster={"protocol": "h2"}), "unary")
    assert result["code"] == UNAVAILABLE


def test_a_route_that_is_not_there_is_unimplemented(call, server, proxy_to):
    proxy = proxy_to(server.url, cluster={"protocol": "h2"}, route={"match": {"path_prefix": "/x"}})
    assert call(proxy, "fail") == {"code": UNIMPLEMENTED, "details": "No route matches the request"}
