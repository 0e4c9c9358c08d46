# SPDX-License-Identifier: Apache-2.0
"""node's HTTP agent in front, its HTTP server behind."""
import json
import pathlib

import pytest

HERE = pathlib.Path(__file__).parent


@pytest.fixture
def node_server(node):
    process = node.start(HERE / "server.js")
    yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    process.kill()
    process.wait()
    process.stdout.close()


def test_an_agent_keeps_its_sockets(node, python_server, proxy_to):
    proxy = proxy_to(python_server)
    result = json.loads(node(HERE / "agent.js", proxy.port(), 100, 5).stdout)
    assert result == {"good": 100, "sockets": 5}


def test_node_behind_and_in_front(node, node_server, proxy_to):
    proxy = proxy_to(node_server)
    result = json.loads(node(HERE / "agent.js", proxy.port(), 60, 10).stdout)
    assert result["sockets"] == 10 and result["good"] >= 59, result


def test_trailers_of_node_reach_the_client(node_server, proxy_to, connect):
    response = connect(proxy_to(node_server)).get("/trailers", {"TE": "trailers"})
    assert (response.body, response.trailers.get("x-sum")) == (b"streamed body", "42")


def test_early_hints_of_node_reach_the_client(node_server, proxy_to, connect):
    response = connect(proxy_to(node_server)).get("/hints")
    assert [interim.status for interim in response.interim] == [103]
    assert response.body == b"after hints"


def test_node_asks_for_a_body(curl, node_server, proxy_to):
    proxy = proxy_to(node_server)
    done = curl("-sSv", "--fail", "-H", "Expect: 100-continue", "--expect100-timeout", "5", "-d", "the body",
                f"http://127.0.0.1:{proxy.port()}/")
    assert done.stdout == "the body" and "100 Continue" in done.stderr


def test_node_refuses_a_body(curl, node_server, proxy_to):
    proxy = proxy_to(node_server)
    done = curl("-sS", "-H", "Expect: 100-continue", "--expect100-timeout", "5", "-d", "the body",
                "-w", " %{http_code} %{size_upload}", f"http://127.0.0.1:{proxy.port()}/refuse")
    assert done.stdout == "refused 417 0"


def test_node_answers_early(curl, node_server, proxy_to, tmp_path):
    big = tmp_path / "big"
    big.write_bytes(b"x" * (4 << 20))
    done = curl("-sS", "-T", big, "-H", "Expect:", "-w", " %{http_code}",
                f"http://127.0.0.1:{proxy_to(node_server).port()}/early")
    assert done.stdout == "no 403"
