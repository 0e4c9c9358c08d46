# SPDX-License-Identifier: Apache-2.0
"""Every request has an id, and everything about it says the same one."""
import pytest


def test_every_request_gets_an_id_of_its_own(origin, proxy_to, connect):
    client = connect(proxy_to(origin))
    for _ in range(10):
        client.get("/")
    ids = [request.headers.get("x-request-id") for request in origin.requests]
    assert len(set(ids)) == 10 and all(ids)


def test_an_untrusted_clients_id_is_replaced(origin, proxy_to, connect):
    connect(proxy_to(origin)).get("/", {"X-Request-Id": "mine"})
    assert origin.last.headers.get("x-request-id") not in (None, "mine")


def test_a_trusted_peers_id_is_kept(origin, proxy_to, connect):
    proxy = proxy_to(origin, listener={"trusted_proxies": ["127.0.0.1/32"]})
    connect(proxy).get("/", {"X-Request-Id": "from-the-edge-1"})
    assert origin.last.headers.get("x-request-id") == "from-the-edge-1"
    assert proxy.wait_for_access(count=1)[0]["request_id"] == "from-the-edge-1"


@pytest.mark.parametrize("unsound", ["", "with space", "x" * 129, "\xe9"], ids=["empty", "space", "long", "high"])
def test_an_unsound_id_of_a_trusted_peer_is_replaced(origin, proxy_to, connect, unsound):
    proxy = proxy_to(origin, listener={"trusted_proxies": ["127.0.0.1/32"]})
    connect(proxy).get("/", {"X-Request-Id": unsound})
    assert origin.last.headers.get("x-request-id") not in (None, unsound)


def test_log_origin_script_and_error_agree_on_the_id(make_origin, proxy_to, connect):
    proxy = proxy_to(scripts={"policy.lua": "function on_request(r) r.headers['x-id'] = r.id end"},
                     policies={"policy": "policy.lua"}, route={"echo": True})
    client = connect(proxy)
    echoed = client.get("/").text.lower()
    logged = proxy.wait_for_access(count=1)[0]["request_id"]
    assert echoed.count(logged) == 2, f"x-request-id and x-id in {echoed}"


def test_a_local_error_names_the_id(proxy_to, connect):
    proxy = proxy_to(routes=[{"match": {"path": "/x"}, "echo": True}])
    body = connect(proxy).get("/nowhere").json()
    assert body["request_id"] == proxy.wait_for_access(count=1)[0]["request_id"]
