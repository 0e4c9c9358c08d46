# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 by ALPN: clients of others in front, and an origin that chooses for itself."""
import re

import pytest

from support.programs import module


@pytest.fixture
def proxy(python_server, proxy_to, authority):
    return proxy_to(python_server, listener={"tls": {"certificates": [authority.local.entry]}})


def test_curl_gets_http_2(curl, proxy, authority):
    url = f"https://localhost:{proxy.port()}/x"
    for options, version in ((["--http2"], "2"), (["--http1.1"], "1.1")):
        done = curl("-sS", "--fail", *options, "--cacert", authority.cert, "-w", "%{http_version}", url)
        assert done.stdout == f"GET /x\n{version}"


def test_httpx_gets_http_2(proxy, authority):
    httpx = module("httpx")
    with httpx.Client(http2=True, verify=str(authority.cert), trust_env=False) as client:
        response = client.post(f"https://localhost:{proxy.port()}/", content=b"y" * 300_000)
    assert (response.http_version, response.content) == ("HTTP/2", b"y" * 300_000)


def test_h2load_finishes_all(h2load, proxy):
    text = h2load("-n", "1000", "-c", "4", "-m", "10", f"https://localhost:{proxy.port()}/x").stdout
    assert re.search(r"1000 succeeded, 0 failed, 0 errored", text), text
    assert "Application protocol: h2" in text


@pytest.mark.parametrize("protocol, seen", [("auto", "HTTP/2"), ("h1", "HTTP/1.1")])
def test_an_origin_with_tls_chooses_http_2_unless_told(curl, python_server, proxy_to, authority, protocol, seen):
    """A second proxy is the origin: its access log tells which version came."""
    origin = proxy_to(python_server, listener={"tls": {"certificates": [authority.local.entry]}})
    front = proxy_to(f"https://localhost:{origin.port()}",
                     cluster={"protocol": protocol, "tls": {"ca": str(authority.cert)}})
    assert curl("-sS", "--fail", f"http://127.0.0.1:{front.port()}/x").stdout == "GET /x\n"
    assert origin.wait_for_access()["protocol"] == seen
