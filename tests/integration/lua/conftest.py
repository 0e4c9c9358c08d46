# SPDX-License-Identifier: Apache-2.0
"""Scripts see one world: the tests of these files run once for each pairing of HTTP versions, with
the same scripts and the same words."""
import functools
import inspect

import pytest

from support import Client, config_for
from support.h2 import H2Client

ONE_WORLD = {"test_request_handle", "test_response_handle", "test_hooks", "test_bodies", "test_trailers",
             "test_select_backend", "test_waiting"}


BY_HAND = ("send_head(", "read_head(", "client.send(")  # a test that speaks HTTP/1 by hand is one for its clients only


def pytest_generate_tests(metafunc):
    if metafunc.module.__name__.rpartition(".")[2] not in ONE_WORLD:
        return
    by_hand = any(call in inspect.getsource(metafunc.function) for call in BY_HAND)
    clients = ["h1"] if by_hand else ["h1", "h2"]
    worlds = [f"{client}-{origin}" for origin in ("h1", "h2") for client in clients]
    metafunc.parametrize("world", worlds, indirect=True)


@pytest.fixture(autouse=True)
def world(request):
    """CLIENT-ORIGIN."""
    return getattr(request, "param", "h1-h1")


@pytest.fixture
def make_origin(world, make_any_origin):
    return functools.partial(make_any_origin, world.rpartition("-")[2])


@pytest.fixture
def proxy_to(tidegate, world):
    def start(*origins, scripts=None, env=None, cluster=None, **kwargs):
        if origins and world.endswith("h2"):
            cluster = {"protocol": "h2", **(cluster or {})}
        if world.endswith("h2"):
            for other in kwargs.get("clusters", {}).values():
                other.setdefault("protocol", "h2")
        return tidegate(config_for(*origins, cluster=cluster, **kwargs), scripts, env=env)
    return start


@pytest.fixture
def connect(tidegate, world):
    clients = []

    def open_client(proxy, listener="public", tls=None, **kwargs):
        kind = H2Client if world.startswith("h2") else Client
        if tls is not None:
            tls.set_alpn_protocols(["h2" if kind is H2Client else "http/1.1"])
            kwargs["tls" if kind is Client else "sock"] = (
                tls if kind is Client else Client(proxy.port(listener), tls=tls).sock)
        clients.append(kind(proxy.port(listener), **kwargs))
        return clients[-1]
    yield open_client
    for client in clients:
        client.close()
