# SPDX-License-Identifier: Apache-2.0
"""Origins that fail, over HTTP/1 and HTTP/2: tests that use `protocol` run once for each; and clients of
either, for tests that use `client_protocol`."""
import functools

import pytest

from support import config_for
from support.h2 import H2Client


@pytest.fixture(params=["h1", "h2"])
def protocol(request):
    """Of the origins."""
    return request.param


@pytest.fixture
def make_origin(protocol, make_any_origin):
    return functools.partial(make_any_origin, protocol)


@pytest.fixture
def proxy_to(tidegate, protocol):
    def start(*origins, scripts=None, cluster=None, **kwargs):
        cluster = {"protocol": protocol, **(cluster or {})}
        return tidegate(config_for(*origins, cluster=cluster, **kwargs), scripts)
    return start


@pytest.fixture(params=["h1", "h2"])
def client_protocol(request):
    return request.param


@pytest.fixture
def client_to(client_protocol, connect):
    """A client of the protocol at hand: `client_to(proxy)`."""
    clients = []

    def open_client(proxy):
        if client_protocol == "h1":
            return connect(proxy)
        clients.append(H2Client(proxy.port()))
        return clients[-1]
    yield open_client
    for client in clients:
        client.close()
