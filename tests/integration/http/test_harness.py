# SPDX-License-Identifier: Apache-2.0
"""The harness itself: an origin and a client without a proxy between them."""
import pytest

from support import Client, Metrics, Origin, ProtocolError


def test_a_client_reads_what_an_origin_says():
    with Origin() as origin, Client(origin.port) as client:
        origin.on("/a", status=201, body=b"made", headers={"X-A": "1"})
        response = client.post("/a?q=1", b"body", {"X-B": "2"})
        assert (response.status, response.body, response.headers.get("x-a")) == (201, b"made", "1")
        assert (origin.last.body, origin.last.target, origin.last.headers.get("x-b")) == (
            b"body", "/a?q=1", "2")


def test_a_chunked_body_with_trailers_is_read_on_both_sides():
    def echo(exchange):
        exchange.read_body()
        exchange.start_chunked()
        exchange.chunk(exchange.request.body)
        exchange.end_chunks(exchange.request.trailers)
    with Origin() as origin, Client(origin.port) as client:
        origin.on("/", echo)
        client.send_head("POST", "/", {"Transfer-Encoding": "chunked"})
        client.send("3\r\nabc\r\n0\r\nX-Sum: 6\r\n\r\n")
        response = client.response()
        assert (response.body, list(response.trailers)) == (b"abc", [("X-Sum", "6")])


def test_a_failure_inside_a_handler_fails_the_test():
    def broken(exchange):
        assert exchange.request.method == "PUT"
    with pytest.raises(AssertionError, match="PUT"):
        with Origin() as origin, Client(origin.port) as client:
            origin.on("/", broken)
            client.send_request("GET", "/")
            client.expect_closed()


@pytest.mark.parametrize("bad", [
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
])
def test_the_origin_takes_no_sloppy_request(bad):
    origin = Origin()
    with Client(origin.port) as client:
        client.send(bad)
        client.expect_closed()
    origin.close()
    with pytest.raises(AssertionError):
        origin.check()


def test_the_client_takes_no_sloppy_response():
    with Origin() as origin:
        origin.raw(lambda wire, number: (wire.read_until(b"\r\n\r\n"), wire.send("HTTP/1.1 200\r\n\r\n")))
        with Client(origin.port) as client, pytest.raises(ProtocolError):
            client.get("/")


@pytest.mark.parametrize("bad", [
    "a_total 1\n",
    "# TYPE a counter\na{x=1} 1\n",
    "# TYPE a counter\na 1\na 2\n",
    "# TYPE a counter\na 1",
    "# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n",
])
def test_the_metrics_reader_is_strict(bad):
    with pytest.raises((AssertionError, ValueError)):
        Metrics(bad)


def test_the_metrics_reader_sums_by_labels():
    metrics = Metrics('# HELP a b\n# TYPE a counter\na{x="1",y="1"} 1\na{x="1",y="2"} 2\na{x="2"} 4\n')
    assert (metrics("a"), metrics("a", x="1"), metrics("a", exact={"x": "2"})) == (7, 3, 4)
    with pytest.raises(AssertionError):
        metrics("a", x="3")
