# SPDX-License-Identifier: Apache-2.0
"""Python's http.client and urllib in front, its HTTP server behind."""
import http.client
import urllib.error
import urllib.request

import pytest


@pytest.fixture
def proxy(python_server, proxy_to):
    return proxy_to(python_server)


def test_http_client_keeps_its_connection(proxy):
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port(), timeout=10)
    connection.connect()
    sock = connection.sock
    for number in range(20):
        connection.request("GET", f"/{number}")
        assert connection.getresponse().read() == f"GET /{number}\n".encode()
    assert connection.sock is sock, "it was never opened anew"
    connection.close()


def test_http_client_sends_an_iterable_in_chunks(proxy):
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port(), timeout=10)
    connection.request("POST", "/", body=iter([b"one ", b"two ", b"three"]), encode_chunked=True,
                       headers={"Transfer-Encoding": "chunked"})
    assert connection.getresponse().read() == b"one two three"
    connection.close()


def test_urllib_reads_answers_and_errors(proxy, make_origin, proxy_to):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{proxy.port()}/x", timeout=10) as response:
        assert response.read() == b"GET /x\n"
    origin = make_origin()
    origin.stop_listening()
    with pytest.raises(urllib.error.HTTPError) as error:
        opener.open(f"http://127.0.0.1:{proxy_to(origin).port()}/", timeout=10)
    assert error.value.code == 502


def test_the_origin_sees_the_host_asked_for(proxy):
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port(), timeout=10)
    connection.request("GET", "/", headers={"Host": "shop.example"})
    assert connection.getresponse().headers["x-seen-host"] == "shop.example"
    connection.close()
