# SPDX-License-Identifier: Apache-2.0
"""What a listener can be bound to."""
from support import Client, config_for


def test_a_listener_may_be_ipv6(origin, tidegate):
    proxy = tidegate(config_for(origin, listener={"address": "[::1]:0"}))
    with Client(proxy.port(), host="::1") as client:
        assert client.get("/").status == 200
    assert origin.last.headers.get("x-forwarded-for") == "::1"


def test_several_listeners_serve_at_once(origin, tidegate):
    config = config_for(origin)
    config["listeners"] += [{"name": f"more-{n}", "address": "127.0.0.1:0"} for n in range(5)]
    proxy = tidegate(config)
    for name in ("public", *(f"more-{n}" for n in range(5))):
        with proxy.client(name) as client:
            assert client.get(f"/{name}").status == 200
    assert len(set(proxy.addresses().values())) == 7
