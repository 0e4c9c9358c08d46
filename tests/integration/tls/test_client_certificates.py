# SPDX-License-Identifier: Apache-2.0
"""mTLS: who must show a certificate, and what scripts and origins get to know of it."""
import ssl

import pytest

from support import Closed, eventually
from support.certificates import Authority

IDENTITY = """
function on_request(request)
  local tls = request.tls
  if not tls then return request:reply(200, "cleartext") end
  local client = tls.client
  if client then
    request.headers["x-client-subject"] = client.subject
    request.headers["x-client-sans"] = table.concat(client.sans, ",")
    request.headers["x-client-fingerprint"] = client.fingerprint
    request.headers["x-client-verified"] = tostring(client.verified)
  end
  request.headers["x-tls"] = tls.version .. " " .. tls.cipher .. " " .. tostring(tls.sni) .. " "
    .. tostring(tls.alpn)
end
"""


@pytest.fixture(scope="module")
def alice(authority):
    return authority.issue("alice", "URI:spiffe://test/alice", "email:alice@test.example",
                           "IP:10.1.2.3", subject="/O=Example, Inc./CN=alice")


@pytest.fixture
def guarded(scripted, authority, origin):
    def start(client_verify=None, **tls):
        tls = {"certificates": [authority.local.entry], "client_ca": str(authority.cert), **tls}
        if client_verify:
            tls["client_verify"] = client_verify
        return scripted(IDENTITY, origin, config={"listener": {"tls": tls}})
    return start


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def trusting(request, authority):
    def make(client=None):
        context = authority.trust(client)
        context.maximum_version = request.param
        return context
    return make


def refused(connect, proxy, context):
    """TLS 1.2 refuses in the handshake; in 1.3 the client learns it with its first read."""
    with pytest.raises((ssl.SSLError, Closed, ConnectionResetError)):
        connect(proxy, tls=context).get("/")
    return True


@pytest.mark.parametrize("mode", [None, "require"])
def test_a_client_without_certificate_is_refused(guarded, origin, connect, trusting, mode):
    assert refused(connect, guarded(mode), trusting())
    assert not origin.requests


@pytest.mark.parametrize("mode", ["require", "optional"])
def test_a_certificate_of_another_ca_is_refused(guarded, origin, connect, trusting, tmp_path, mode):
    mallory = Authority(tmp_path / "other").issue("mallory")
    assert refused(connect, guarded(mode), trusting(mallory))
    assert not origin.requests


def test_an_expired_certificate_is_refused(guarded, authority, connect, trusting):
    assert refused(connect, guarded(), trusting(authority.issue("late", expired=True)))


@pytest.mark.parametrize("mode", ["require", "optional"])
def test_scripts_see_and_forward_who_the_client_is(guarded, origin, connect, trusting, alice, mode):
    client = connect(guarded(mode), tls=trusting(alice))
    assert client.get("/").status == 200
    headers = origin.last.headers
    assert headers.get("x-client-subject") == "CN=alice,O=Example\\, Inc."
    assert headers.get("x-client-sans") == (
        "URI:spiffe://test/alice,email:alice@test.example,IP:10.1.2.3")
    assert headers.get("x-client-fingerprint") == alice.fingerprint
    assert headers.get("x-client-verified") == "true"


def test_optional_serves_a_client_without_certificate(guarded, origin, connect, trusting):
    assert connect(guarded("optional"), tls=trusting()).get("/").status == 200
    assert origin.last.headers.get("x-client-subject") is None
    assert origin.last.headers.get("x-tls").startswith("TLSv1.")


def test_scripts_see_version_cipher_name_and_alpn(guarded, origin, connect, authority, alice):
    context = authority.trust(alice)
    context.set_alpn_protocols(["http/1.1"])
    client = connect(guarded(), tls=context)
    client.get("/")
    assert origin.last.headers.get("x-tls") == (
        f"TLSv1.3 {client.sock.cipher()[0]} localhost http/1.1")


def test_request_tls_is_nil_on_cleartext(scripted, origin, connect):
    assert connect(scripted(IDENTITY, origin)).get("/").text == "cleartext"


def test_request_tls_is_known_in_on_log_when_the_client_has_gone(scripted, authority, origin, connect,
                                                                 alice):
    proxy = scripted("""
        function on_log(request) log = request.tls.client.subject; proxy.log.info("seen " .. log) end
        """, origin, config={"listener": {"tls": {"certificates": [authority.local.entry],
                                                  "client_ca": str(authority.cert)}}})
    origin.on("/hang", lambda exchange: exchange.expect_gone(), may_break=True)
    client = connect(proxy, tls=authority.trust(alice))
    client.send_request("GET", "/hang")
    origin.wait_for_requests(1)
    client.close()
    proxy.wait_for_log(message="seen CN=alice,O=Example\\, Inc.")


def test_every_request_of_a_connection_knows_the_client_in_on_log_too(scripted, authority, origin,
                                                                      connect, alice):
    proxy = scripted("""
        function on_log(request) proxy.log.info("seen", {by = request.tls.client.subject}) end
        """, origin, config={"listener": {"tls": {"certificates": [authority.local.entry],
                                                  "client_ca": str(authority.cert)}}})
    for _ in range(2):
        client = connect(proxy, tls=authority.trust(alice))
        for _ in range(3):
            assert client.get("/").status == 200
    def logged():
        lines = [line for line in proxy.log_lines if line["message"] == "seen"]
        return lines if len(lines) == 6 else None
    seen = eventually(logged)
    assert {line["by"] for line in seen} == {"CN=alice,O=Example\\, Inc."}


def test_a_resumed_session_still_tells_who_the_client_is(guarded, origin, connect, trusting, alice):
    proxy = guarded()
    context = trusting(alice)
    first = connect(proxy, tls=context)
    first.get("/")
    again = connect(proxy, tls=(context, {"session": first.sock.session}))
    again.get("/")
    assert again.sock.session_reused
    assert origin.last.headers.get("x-client-fingerprint") == alice.fingerprint
