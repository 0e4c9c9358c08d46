# SPDX-License-Identifier: Apache-2.0
"""Origins that fail, over HTTP/1 and HTTP/2: tests that use `protocol` run once for each."""
import functools

import pytest

from support import config_for


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
