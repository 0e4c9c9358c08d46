# SPDX-License-Identifier: Apache-2.0
"""Sessions are resumed by ticket, at any worker, and not where others would be let in."""
import ssl
import time

import pytest

from support import config_for


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def context(request, authority):
    made = authority.trust()
    made.maximum_version = request.param
    return made


def with_tls(pair, **tls):
    return {"tls": {"certificates": [pair.entry], **tls}}


def session_of(connect, proxy, context, **kwargs):
    client = connect(proxy, tls=context, **kwargs)
    client.get("/")  # in TLS 1.3 the ticket comes after the handshake
    assert not client.sock.session_reused
    return client.sock.session


@pytest.mark.workers
def test_a_session_is_resumed_by_every_worker(proxy_to, authority, origin, connect, context):
    proxy = proxy_to(origin, workers=2, listener=with_tls(authority.local))
    session = session_of(connect, proxy, context)
    for _ in range(20):
        client = connect(proxy, tls=(context, {"session": session}))
        assert client.get("/").text == "ok"
        assert client.sock.session_reused
        if context.maximum_version == ssl.TLSVersion.TLSv1_3:
            session = client.sock.session  # a ticket is for one use, and its use gives the next


def test_a_session_outlives_a_reload(proxy_to, authority, origin, connect, context):
    proxy = proxy_to(origin, listener=with_tls(authority.local))
    session = session_of(connect, proxy, context)
    since = len(proxy.log_lines)
    proxy.signal(1)
    proxy.wait_for_log(message="configuration loaded", since=since)
    client = connect(proxy, tls=(context, {"session": session}))
    client.get("/")
    assert client.sock.session_reused


def test_a_session_of_one_listener_is_not_resumed_at_one_that_asks_for_certificates(
        tidegate, authority, origin, connect, context):
    config = config_for(origin, listener=with_tls(authority.local))
    config["listeners"].append({
        "name": "strict", "address": "127.0.0.1:0",
        **with_tls(authority.local, client_ca=str(authority.cert), client_verify="optional")})
    proxy = tidegate(config)
    session = session_of(connect, proxy, context)
    client = connect(proxy, listener="strict", tls=(context, {"session": session}))
    assert client.get("/").text == "ok"
    assert not client.sock.session_reused


@pytest.mark.slow
def test_a_client_certificate_that_has_expired_is_not_resumed_on(
        proxy_to, authority, origin, connect, tmp_path):
    client = authority.issue("brief", "DNS:brief.example", seconds=4)
    proxy = proxy_to(origin, listener=with_tls(authority.local, client_ca=str(authority.cert)))
    context = authority.trust(client)
    session = session_of(connect, proxy, context)
    again = connect(proxy, tls=(context, {"session": session}))
    assert again.get("/").status == 200
    assert again.sock.session_reused
    time.sleep(max(0, client.ends_at + 1 - time.time()))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        late = connect(proxy, tls=(context, {"session": again.sock.session}))
        late.get("/")
