# SPDX-License-Identifier: Apache-2.0
"""curl in front, Python's HTTP server behind."""
import hashlib

import pytest


@pytest.fixture
def url(python_server, proxy_to):
    return f"http://127.0.0.1:{proxy_to(python_server).port()}"


def test_curl_gets(curl, url):
    assert curl("-sS", "--fail", f"{url}/hello?x=1").stdout == "GET /hello?x=1\n"


def test_curl_sees_headers(curl, url):
    text = curl("-sSI", "--fail", f"{url}/hello").stdout
    assert text.startswith("HTTP/1.1 200") and "content-length" in text.lower()


def test_curl_posts(curl, url):
    assert curl("-sS", "--fail", "-d", "some form data", url).stdout == "some form data"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_curl_uses_other_methods(curl, url, method):
    assert curl("-sS", "--fail", "-X", method, f"{url}/x").stdout == f"{method} /x\n"


def test_curl_reuses_its_connection(curl, url):
    text = curl("-sS", "--fail", "-w", "new=%{num_connects} ", f"{url}/[1-10]").stdout
    assert text.count("new=1") == 1 and text.count("new=0") == 9


def test_curl_speaks_http_1_0(curl, url):
    assert curl("-sS", "--fail", "--http1.0", f"{url}/old").stdout == "GET /old\n"


def test_curl_uploads_a_large_file_with_an_expectation(curl, url, tmp_path):
    big = tmp_path / "big"
    big.write_bytes(bytes(range(256)) * 20_000)
    back = tmp_path / "back"
    curl("-sS", "--fail", "-T", big, "-H", "Expect: 100-continue", "--expect100-timeout", "5", "-o", back, url)
    assert hashlib.sha256(back.read_bytes()).digest() == hashlib.sha256(big.read_bytes()).digest()


def test_curl_uploads_in_chunks(curl, url, tmp_path):
    data = "line of text\n" * 50_000
    done = curl("-sS", "--fail", "-T", "-", "-H", "Transfer-Encoding: chunked", url, input=data)
    assert done.stdout == data


def test_curl_downloads_slowly(curl, url, tmp_path):
    back = tmp_path / "back"
    curl("-sS", "--fail", "--limit-rate", "4M", "-o", back, f"{url}/size/{8 << 20}")
    assert back.stat().st_size == 8 << 20


def test_curl_downloads_in_parallel(curl, url, tmp_path):
    curl("-sS", "--fail", "-Z", "--parallel-max", "20", "-o", tmp_path / "#1", f"{url}/size/[16000-16040]")
    sizes = {path.stat().st_size for path in tmp_path.iterdir()}
    assert len(list(tmp_path.iterdir())) == 41 and all(15984 <= size <= 16048 for size in sizes)


def test_curl_follows_a_redirect(curl, python_server, proxy_to):
    proxy = proxy_to(python_server, routes=[{"match": {"path_prefix": "/old"}, "redirect": "/new{path}"}])
    text = curl("-sSL", "--fail", f"http://127.0.0.1:{proxy.port()}/old/x").stdout
    assert text == "GET /new/old/x\n"


def test_curl_sees_a_scripts_edits(curl, python_server, scripted):
    proxy = scripted("""
        function on_request(request) request.path = "/edited" .. request.path end
        function on_response(response) response.headers["x-edited"] = "yes" end""", python_server)
    text = curl("-sSi", "--fail", f"http://127.0.0.1:{proxy.port()}/x").stdout
    assert "x-edited: yes" in text.lower() and text.endswith("GET /edited/x\n")


def test_curl_is_told_of_a_dead_origin(curl, make_origin, proxy_to):
    origin = make_origin()
    origin.stop_listening()
    done = curl("-sS", "-w", "%{http_code} %{content_type}", "-o", "/dev/null",
                f"http://127.0.0.1:{proxy_to(origin).port()}/")
    assert done.stdout == "502 application/problem+json"


def test_curl_reads_the_metrics(curl, proxy_to):
    proxy = proxy_to(route={"echo": True})
    assert "proxy_requests_active 0" in curl("-sS", "--fail", f"http://127.0.0.1:{proxy.port('admin')}/metrics").stdout
