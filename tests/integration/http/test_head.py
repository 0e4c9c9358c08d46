# SPDX-License-Identifier: Apache-2.0
"""HEAD: the head of a GET's answer, and never a body."""


def test_head_passes_the_length_without_the_body(origin, proxy_to, connect):
    origin.on("/", body=b"x" * 1000)
    client = connect(proxy_to(origin))
    response = client.request("HEAD", "/")
    assert (response.status, response.length) == (200, 1000)
    assert origin.last.method == "HEAD"
    assert client.get("/").body == b"x" * 1000, "the next answer begins where it should"
    assert origin.connections == 1


def test_head_of_a_chunked_answer_has_no_body(origin, proxy_to, connect):
    origin.on("/", lambda exchange: exchange.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))
    client = connect(proxy_to(origin))
    assert client.request("HEAD", "/").status == 200
    assert client.request("HEAD", "/").status == 200
    assert origin.connections == 1


def test_head_of_an_answer_that_would_end_by_close_has_no_body(origin, proxy_to, connect):
    origin.on("/", lambda exchange: exchange.send("HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n"))
    client = connect(proxy_to(origin))
    assert client.request("HEAD", "/").headers.get("x-a") == "1"
    assert client.request("HEAD", "/").status == 200


def test_head_of_a_local_reply_has_no_body(proxy_to, connect):
    client = connect(proxy_to(route={"respond": {"status": 200, "body": "four"}}))
    response = client.request("HEAD", "/")
    assert (response.status, response.length) == (200, 4)
    assert client.get("/").body == b"four"


def test_head_of_an_error_has_no_body(proxy_to, connect):
    client = connect(proxy_to(routes=[{"match": {"path": "/here"}, "echo": True}]))
    assert client.request("HEAD", "/nowhere").status == 404
    assert client.get("/nowhere").json()["status"] == 404


def test_a_304_may_name_the_length_it_does_not_send(origin, proxy_to, connect):
    origin.on("/", lambda exchange: exchange.send(
        'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 500\r\n\r\n'))
    client = connect(proxy_to(origin))
    assert client.get("/").headers.get("etag") == '"a"'
    assert client.get("/").status == 304
    assert origin.connections == 1
