# SPDX-License-Identifier: Apache-2.0
"""Origins that fail, over HTTP/1 and HTTP/2: tests that use `protocol` run once for each."""
import pytest

from support import Origin, config_for
from support.h2 import H2Origin


@pytest.fixture(params=["h1", "h2"])
def protocol(request):
    """Of the origins."""
    return request.param


@pytest.fixture
def make_origin(protocol):
    made = []

    def make(name="origin", **kwargs):
        made.append((H2Origin if protocol == "h2" else Origin)(name, **kwargs))
        return made[-1]
    yield make
    for origin in made:
        origin.close()
    for origin in made:
        origin.check()


@pytest.fixture
def proxy_to(tidegate, protocol):
    def start(*origins, scripts=None, cluster=None, **kwargs):
        cluster = {"protocol": protocol, **(cluster or {})}
        return tidegate(config_for(*origins, cluster=cluster, **kwargs), scripts)
    return start
