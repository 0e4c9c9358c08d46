# SPDX-License-Identifier: Apache-2.0
"""Responses whose framing is ambiguous or malformed become 502, and their connection is not used
again."""
import datetime
import email.utils

import pytest

from support import scaled

OK = "HTTP/1.1 200 OK\r\n"

REFUSED = {
    "content-length with transfer-encoding": OK + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two content-lengths that differ": OK + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    "two content-lengths that agree": OK + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nab",
    "a list of content-lengths": OK + "Content-Length: 2, 2\r\n\r\nab",
    "a signed content-length": OK + "Content-Length: +2\r\n\r\nab",
    "a negative content-length": OK + "Content-Length: -1\r\n\r\n",
    "a content-length over 64 bits": OK + "Content-Length: 18446744073709551620\r\n\r\n",
    "chunked not last": OK + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "two transfer-encodings": OK + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "an unknown transfer-encoding": OK + "Transfer-Encoding: cow\r\n\r\n0\r\n\r\n",
    "transfer-encoding in HTTP/1.0": "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bare line feeds": "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "a bare carriage return": OK + "X-A: a\rb\r\nContent-Length: 0\r\n\r\n",
    "a space before the colon": OK + "X-A : b\r\nContent-Length: 0\r\n\r\n",
    "a folded field": OK + "X-A: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "a field without colon": OK + "NoColon\r\nContent-Length: 0\r\n\r\n",
    "a NUL in a value": OK + "X-A: a\0b\r\nContent-Length: 0\r\n\r\n",
    "a status of two digits": "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "a status of four digits": "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "a status out of range": "HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n",
    "another protocol": "SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "another version": "HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "garbage": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "two leading empty lines": "\r\n\r\n" + OK + "Content-Length: 0\r\n\r\n",
    "a leading bare line feed": "\n" + OK + "Content-Length: 0\r\n\r\n",
}


def answer_with(data):
    """A connection script: any request gets these bytes."""
    def script(wire, _):
        wire.read_until(b"\r\n\r\n")
        wire.send(data)
        wire.expect_closed()
    return script


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
def test_a_malformed_response_becomes_502(origin, proxy_to, connect, data):
    origin.raw(answer_with(data))
    proxy = proxy_to(origin)
    client = connect(proxy)
    response = client.get("/")
    assert (response.status, response.json()["status"]) == (502, 502)
    assert proxy.wait_for_access(error="bad_response")["status"] == 502
    assert client.get("/").status == 502, "the client's connection is not to blame"
    assert origin.connections == 2


def test_bytes_after_a_response_are_never_the_next_ones_answer(origin, proxy_to, connect):
    """Response splitting: a second answer sent unasked must not be given to another client."""
    evil = OK + "Content-Length: 4\r\n\r\ngood" + OK + "Content-Length: 4\r\n\r\nevil"

    def script(wire, _):
        wire.read_until(b"\r\n\r\n")
        wire.send(evil)
        wire.expect_closed()
    origin.raw(script)
    proxy = proxy_to(origin)
    for _ in range(3):
        assert connect(proxy).get("/").body == b"good"
    assert origin.connections == 3


def test_bytes_on_an_idle_connection_are_never_an_answer(origin, proxy_to, connect):
    def script(wire, _):
        wire.read_until(b"\r\n\r\n")
        wire.send(OK, "Content-Length: 4\r\n\r\ngood")
        wire.send(OK, "Content-Length: 4\r\n\r\nevil")
        wire.expect_closed()
    origin.raw(script)
    proxy = proxy_to(origin)
    for _ in range(3):
        assert connect(proxy).get("/").body == b"good"
        origin.wait_until_open(0)


def test_a_chunk_that_breaks_the_framing_cuts_the_response(origin, proxy_to, connect):
    origin.raw(answer_with(OK + "Transfer-Encoding: chunked\r\n\r\n4\r\ngood\r\nxyz\r\n"))
    client = connect(proxy_to(origin))
    client.send_request("GET", "/")
    data = client.read_to_close()
    assert b"\r\n0\r\n" not in data, "the client must see that the body is not whole"


def test_a_close_without_an_answer_is_502(origin, proxy_to, connect):
    def script(wire, _):
        wire.read_until(b"\r\n\r\n")
        wire.close()
    origin.raw(script)
    proxy = proxy_to(origin)
    assert connect(proxy).get("/").status == 502
    proxy.wait_for_access(error="origin_closed")


def test_a_reset_without_an_answer_is_502(origin, proxy_to, connect):
    def script(wire, _):
        wire.read_until(b"\r\n\r\n")
        wire.reset()
    origin.raw(script)
    proxy = proxy_to(origin)
    assert connect(proxy).get("/").status == 502
    proxy.wait_for_access(error="origin_reset")


def test_a_close_within_the_head_is_502(origin, proxy_to, connect):
    def script(wire, _):
        wire.read_until(b"\r\n\r\n")
        wire.send("HTTP/1.1 200 OK\r\nContent-Le")
        wire.close()
    origin.raw(script)
    assert connect(proxy_to(origin)).get("/").status == 502


def test_a_response_head_may_arrive_byte_by_byte(origin, proxy_to, connect):
    def script(wire, _):
        wire.read_until(b"\r\n\r\n")
        for byte in b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n":
            wire.send(bytes([byte]))
        wire.expect_closed()
    origin.raw(script)
    client = connect(proxy_to(origin))
    response = client.get("/")
    assert (response.status, response.body, response.trailers.lowered()) == (200, b"hello", [("x-t", "1")])


def test_an_absent_reason_phrase_is_fine(origin, proxy_to, connect):
    origin.raw(answer_with("HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok"))
    assert connect(proxy_to(origin)).get("/").body == b"ok"


def test_a_status_the_proxy_does_not_know_passes(origin, proxy_to, connect):
    origin.on("/", status=299, body=b"odd")
    response = connect(proxy_to(origin)).get("/")
    assert (response.status, response.body) == (299, b"odd")


@pytest.mark.parametrize("framing", [
    "Transfer-Encoding: chunked", "Content-Length: 10", "Content-Length: 3\r\nTransfer-Encoding: chunked"])
@pytest.mark.parametrize("start", ["HTTP/1.1 204 No Content", "HTTP/1.1 103 Early Hints"])
def test_h5_framing_of_a_response_without_body_is_dropped(origin, proxy_to, connect, start, framing):
    status = int(start.split()[1])
    rest = "" if status == 204 else "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    origin.on("/", lambda exchange: exchange.send(f"{start}\r\n{framing}\r\n\r\n{rest}"), may_break=True)
    client = connect(proxy_to(origin))
    for count in (1, 2):
        response = client.get("/")
        heads = [response, *response.interim]
        assert [h.status for h in heads] == ([204] if status == 204 else [200, 103])
        assert not any("transfer-encoding" in h.headers for h in heads)
        assert "content-length" not in heads[-1].headers
        assert origin.connections == count, "the connection is not used again"


def test_h18_an_empty_line_before_the_status_line_is_passed_over(origin, proxy_to, connect):
    origin.on("/", lambda exchange: exchange.send("\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    client = connect(proxy_to(origin))
    assert [client.get("/").text for _ in range(3)] == ["ok"] * 3
    assert origin.connections == 1


def test_h11_a_response_without_date_gets_one(origin, proxy_to, connect):
    proxy = proxy_to(origin)
    client = connect(proxy)
    date = client.get("/").headers.get("date")
    seen = email.utils.parsedate_to_datetime(date)
    assert abs((seen - datetime.datetime.now(datetime.timezone.utc)).total_seconds()) < scaled(5)
    assert date.endswith(" GMT") and len(date) == 29


@pytest.mark.parametrize("status", [200, 304, 404, 500])
def test_h11_an_origins_own_date_stays(origin, proxy_to, connect, status):
    origin.on("/", status=status, headers={"Date": "Sun, 06 Nov 1994 08:49:37 GMT"})
    response = connect(proxy_to(origin)).get("/")
    assert response.headers.all("date") == ["Sun, 06 Nov 1994 08:49:37 GMT"]


@pytest.mark.parametrize("status", [204, 304, 404, 503])
def test_h11_every_final_response_gets_a_date_and_no_interim_one(origin, proxy_to, connect, status):
    def handler(exchange):
        exchange.interim(103, {"Link": "</a>"})
        exchange.reply(status)
    origin.on("/", handler)
    response = connect(proxy_to(origin)).get("/")
    assert response.status == status
    assert len(response.headers.all("date")) == 1
    assert "date" not in response.interim[0].headers


def test_h11_a_script_sees_the_date_and_may_take_it_away(origin, scripted, connect):
    proxy = scripted("function on_response(r) assert(#r.headers.date == 29); r.headers.date = nil end", origin)
    response = connect(proxy).get("/")
    assert (response.status, "date" in response.headers) == (200, False)
