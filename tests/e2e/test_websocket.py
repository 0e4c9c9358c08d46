# SPDX-License-Identifier: Apache-2.0
"""WebSockets by the npm package ws, through the proxy."""
import json
import pathlib

import pytest

HERE = pathlib.Path(__file__).parent


@pytest.fixture
def ws_origin(node_with_packages):
    process = node_with_packages.start(HERE / "ws_server.js")
    yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture
def ask(node_with_packages):
    def run(proxy, what, path="/ws"):
        url = f"ws://127.0.0.1:{proxy.port()}{path}"
        return json.loads(node_with_packages(HERE / "ws_client.js", url, what).stdout)
    return run


def test_messages_come_back(ask, ws_origin, proxy_to):
    assert ask(proxy_to(ws_origin), "echo") == {"seen": ["hello unmarked", "one", "two", 4]}


def test_a_large_message_comes_back(ask, ws_origin, proxy_to):
    assert ask(proxy_to(ws_origin), "big") == {"same": True}


def test_many_messages_keep_their_order(ask, ws_origin, proxy_to):
    assert ask(proxy_to(ws_origin), "many") == {"ordered": True}


def test_ping_gets_its_pong(ask, ws_origin, proxy_to):
    assert ask(proxy_to(ws_origin), "ping") == {"pong": "are you there"}


def test_the_close_code_passes(ask, ws_origin, proxy_to):
    assert ask(proxy_to(ws_origin), "close") == {"code": 4001, "reason": "as you wish"}


def test_a_refusal_passes(ask, ws_origin, proxy_to):
    assert ask(proxy_to(ws_origin), "hello", "/refused") == {"refused": 401}


def test_a_script_sees_the_upgrade_and_may_edit_or_refuse_it(ask, ws_origin, scripted):
    proxy = scripted("""function on_request(request)
        if request.path == "/forbidden" then return request:reply(403, "no") end
        request.headers["x-mark"] = "marked"
      end""", ws_origin)
    assert ask(proxy, "hello") == {"hello": "hello marked"}
    assert ask(proxy, "hello", "/forbidden") == {"refused": 403}
