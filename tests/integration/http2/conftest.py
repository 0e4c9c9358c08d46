# SPDX-License-Identifier: Apache-2.0
"""The four pairings: a client of HTTP/1 or 2, an origin of HTTP/1 or 2. Tests that use `client_to`
and `origin` run once for each."""
import pytest

from support.h2 import H2Client


@pytest.fixture(params=["h1", "h2"])
def client_protocol(request):
    return request.param


@pytest.fixture(params=["h1", "h2"])
def origin_protocol(request):
    return request.param


@pytest.fixture
def origin(origin_protocol, make_any_origin):
    return make_any_origin(origin_protocol)


@pytest.fixture
def front(origin_protocol, origin, proxy_to):
    """The proxy in front of `origin`, whichever its protocol: `front(route={...})`."""
    def start(cluster=None, **kwargs):
        return proxy_to(origin, cluster={"protocol": origin_protocol, **(cluster or {})}, **kwargs)
    return start


@pytest.fixture
def h2_front(proxy_to):
    """The proxy in front of an HTTP/2 origin: `h2_front(origin, route={...})`."""
    def start(*origins, cluster=None, **kwargs):
        return proxy_to(*origins, cluster={"protocol": "h2", **(cluster or {})}, **kwargs)
    return start


@pytest.fixture
def h2_client(tidegate):
    clients = []

    def open_client(proxy, **kwargs):
        clients.append(H2Client(proxy.port(), **kwargs))
        return clients[-1]
    yield open_client
    for client in clients:
        client.close()


@pytest.fixture
def client_to(client_protocol, h2_client, connect):
    """A client of the protocol at hand: `client_to(proxy)`."""
    return h2_client if client_protocol == "h2" else connect
