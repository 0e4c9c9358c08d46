# SPDX-License-Identifier: Apache-2.0
"""Fixtures: everything a test starts is ended, and checked, when the test is over."""
import functools

import pytest

from .certificates import Authority
from .client import Client
from .clock import BINARY
from .config import config_for
from .h2 import H2Origin
from .origin import Origin
from .proxy import Proxy


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than a few seconds")
    config.addinivalue_line("markers", "workers: more than one worker; what ThreadSanitizer is run on")


def pytest_sessionstart(session):
    if not BINARY.exists():
        raise pytest.UsageError(f"no binary at {BINARY}; build it or set TIDEGATE_BINARY")


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "report_" + call.when, outcome.get_result())


def _failed(request):
    report = getattr(request.node, "report_call", None)
    return report is None or report.failed


@pytest.fixture
def make_any_origin():
    """Origins of either protocol: `make_any_origin("h2", settings={...})`."""
    made = []

    def make(protocol="h2", *args, **kwargs):
        made.append((H2Origin if protocol == "h2" else Origin)(*args, **kwargs))
        return made[-1]
    yield make
    for origin in made:
        origin.close()
    for origin in made:
        origin.check()


@pytest.fixture
def make_origin(make_any_origin):
    """Origins of one's own: `make_origin("b")`."""
    return functools.partial(make_any_origin, "h1")


@pytest.fixture
def origin(make_origin):
    return make_origin()


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """A CA whose certificate for localhost and 127.0.0.1 is `authority.local`."""
    made = Authority(tmp_path_factory.mktemp("certificates"))
    made.local = made.issue("local", "DNS:localhost", "IP:127.0.0.1")
    return made


@pytest.fixture
def tidegate(request, make_origin):  # after the origins in set-up, so before them in tear-down
    """Starts the proxy: `tidegate(config, scripts={...})`."""
    running = []

    def start(config=None, scripts=None, **kwargs):
        proxy = Proxy(config, scripts, **kwargs)
        running.append(proxy)
        return proxy.start()
    yield start
    for proxy in running:
        if _failed(request):
            proxy.abandon()
        elif proxy.exit_code is None:
            proxy.stop()


@pytest.fixture
def proxy_to(tidegate):
    """The proxy in front of origins: `proxy_to(origin, route={"timeout": "1s"})`."""
    def start(*origins, scripts=None, env=None, **kwargs):
        return tidegate(config_for(*origins, **kwargs), scripts, env=env)
    return start


@pytest.fixture
def scripted(proxy_to):
    """The proxy with one policy of this Lua text: `scripted(lua, origin, budget={...})`; other
    policy keys as keywords, further parts of the config in `config`."""
    def start(lua, *origins, config=None, **policy):
        return proxy_to(*origins, scripts={"policy.lua": lua},
                        policies={"policy": {"script": "policy.lua", **policy}}, **(config or {}))
    return start


@pytest.fixture
def connect(tidegate):  # after the proxy in set-up, so closed before it
    """Clients that are closed after the test: `connect(proxy)`."""
    clients = []

    def open_client(proxy, listener="public", **kwargs):
        clients.append(Client(proxy.port(listener), **kwargs))
        return clients[-1]
    yield open_client
    for client in clients:
        client.close()
