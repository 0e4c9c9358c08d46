# SPDX-License-Identifier: Apache-2.0
"""Clients of others that speak HTTP/2 in cleartext: curl, nghttp, h2load, httpx; and nghttpd behind."""
import re

import pytest

from support.programs import module


@pytest.fixture
def url(python_server, proxy_to):
    return f"http://127.0.0.1:{proxy_to(python_server).port()}"


@pytest.fixture
def nghttpd_url(nghttpd, proxy_to):
    """The proxy in front of nghttpd."""
    return f"http://127.0.0.1:{proxy_to(nghttpd, cluster={'protocol': 'h2'}).port()}"


def test_curl_with_prior_knowledge(curl, url):
    text = curl("-sS", "--fail", "--http2-prior-knowledge", "-w", "%{http_version}", f"{url}/x").stdout
    assert text == "GET /x\n2"


def test_curl_posts_over_http_2(curl, url):
    done = curl("-sS", "--fail", "--http2-prior-knowledge", "-d", "@-", url, input="x" * 1_000_000)
    assert done.stdout == "x" * 1_000_000


def test_curl_that_offers_an_upgrade_to_h2c_gets_http_1(curl, url):
    text = curl("-sS", "--fail", "--http2", "-w", "%{http_version}", f"{url}/x").stdout
    assert text == "GET /x\n1.1"


def test_nghttp_gets(nghttp, url):
    done = nghttp("-v", f"{url}/hello")
    assert "GET /hello" in done.stdout and ":status: 200" in done.stdout


def test_h2load_finishes_all(h2load, url):
    text = h2load("-n", "2000", "-c", "4", "-m", "10", f"{url}/x").stdout
    assert re.search(r"2000 succeeded, 0 failed, 0 errored", text), text


def test_httpx_speaks_http_2(url):
    httpx = module("httpx")
    with httpx.Client(http1=False, http2=True, trust_env=False) as client:
        response = client.get(f"{url}/x")
        assert (response.http_version, response.text) == ("HTTP/2", "GET /x\n")
        assert client.post(url, content=b"y" * 300_000).content == b"y" * 300_000
        assert client.head(f"{url}/size/1600").headers["content-length"] == "1600"


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_nghttpd_behind(curl, nghttpd_url, tmp_path, version):
    assert curl("-sS", "--fail", version, f"{nghttpd_url}/small").stdout == "small file\n"
    back = tmp_path / "back"
    curl("-sS", "--fail", version, "-o", back, f"{nghttpd_url}/big")
    assert back.read_bytes() == (tmp_path / "big").read_bytes()


def test_h2load_against_nghttpd(h2load, nghttpd_url):
    for arguments in (["-m", "20"], ["--h1"]):
        text = h2load("-n", "2000", "-c", "4", *arguments, f"{nghttpd_url}/small").stdout
        assert re.search(r"2000 succeeded, 0 failed, 0 errored", text), text
