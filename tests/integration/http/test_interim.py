# SPDX-License-Identifier: Apache-2.0
"""Interim responses: 100 (Continue) end to end, 103 (Early Hints), and others."""
import threading

EXPECT = {"Expect": "100-continue", "Content-Length": "4"}


def test_100_continue_goes_from_end_to_end(origin, proxy_to, connect):
    def asks_for_the_body(exchange):
        assert exchange.request.headers.get("expect").lower() == "100-continue"
        exchange.interim(100)
        assert exchange.read_body() == b"body"
        exchange.reply(body=b"thanks")
    origin.on("/", asks_for_the_body)
    client = connect(proxy_to(origin))
    client.send_head("POST", "/", EXPECT)
    assert client.read_head().status == 100
    client.send("body")
    assert client.response().body == b"thanks"


def test_the_proxy_does_not_ask_for_the_body_on_its_own(origin, proxy_to, connect):
    client = connect(proxy_to(origin))
    client.send_head("POST", "/", EXPECT)
    origin.wait_for_requests(1)
    client.expect_silence(0.15)
    client.send("body")
    assert client.response().status == 200


def test_a_refused_expectation_needs_no_body(origin, proxy_to, connect):
    def refuses(exchange):
        exchange.reply_early(417, b"no", {"Connection": "close"})
        exchange.close()
    origin.on("/", refuses)
    client = connect(proxy_to(origin))
    client.send_head("POST", "/", EXPECT)
    response = client.response()
    assert (response.status, response.body, response.interim) == (417, b"no", [])


def test_a_final_answer_may_come_without_100(origin, proxy_to, connect):
    def answers_at_once(exchange):
        exchange.reply_early(401, b"who are you?", {"Connection": "close"})
        exchange.close()
    origin.on("/", answers_at_once)
    client = connect(proxy_to(origin))
    client.send_head("PUT", "/", EXPECT)
    response = client.response()
    assert (response.status, response.interim) == (401, [])


def test_a_client_may_send_the_body_without_waiting(origin, proxy_to, connect):
    def asks_late(exchange):
        exchange.interim(100)
        exchange.reply(body=exchange.read_body())
    origin.on("/", asks_late)
    client = connect(proxy_to(origin))
    client.send_head("POST", "/", EXPECT).send("body")
    assert client.response().body == b"body"
    assert client.get("/after").status == 200


def test_a_local_answer_to_an_expectation_is_final(proxy_to, connect):
    client = connect(proxy_to(route={"respond": {"status": 403, "body": "no"}}))
    client.send_head("POST", "/", EXPECT)
    response = client.response()
    assert (response.status, response.interim) == (403, [])


def test_the_connection_after_an_unsent_body_is_not_misread(proxy_to, connect):
    """A client that was refused may send the body or the next request; the proxy must not guess."""
    client = connect(proxy_to(route={"respond": {"status": 403, "body": "no"}}))
    client.send_head("POST", "/", {"Expect": "100-continue", "Content-Length": "16"})
    assert client.response().status == 403
    client.send_quietly("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
    answers = client.read_to_close()
    assert answers == b"", f"the bytes after a refused expectation were taken for requests: {answers!r}"


def test_an_unknown_expectation_is_refused(origin, proxy_to, connect):
    response = connect(proxy_to(origin)).post("/", b"body", {"Expect": "a-miracle"})
    assert response.status == 417
    assert origin.requests == []


def test_early_hints_pass(origin, proxy_to, connect):
    def hints(exchange):
        exchange.interim(103, {"Link": "</a.css>; rel=preload"})
        exchange.interim(103, {"Link": "</b.js>; rel=preload"})
        exchange.reply(body=b"final")
    origin.on("/", hints)
    client = connect(proxy_to(origin))
    response = client.get("/")
    assert [(i.status, i.headers.get("link")) for i in response.interim] == [
        (103, "</a.css>; rel=preload"), (103, "</b.js>; rel=preload")]
    assert (response.status, response.body) == (200, b"final")
    assert client.get("/").status == 200


def test_early_hints_pass_before_the_final_answer_is_there(origin, proxy_to, connect):
    release = threading.Event()

    def hints(exchange):
        exchange.interim(103, {"Link": "</a.css>; rel=preload"})
        exchange.wait(release)
        exchange.reply(body=b"final")
    origin.on("/", hints)
    client = connect(proxy_to(origin))
    client.send_request("GET", "/")
    assert client.read_head().status == 103
    release.set()
    assert client.response().body == b"final"


def test_an_unasked_100_does_no_harm(origin, proxy_to, connect):
    def eager(exchange):
        exchange.interim(100)
        exchange.reply(body=b"final")
    origin.on("/", eager)
    client = connect(proxy_to(origin))
    assert client.get("/").body == b"final"
    assert client.get("/").body == b"final"


def test_hop_by_hop_fields_of_an_interim_response_do_not_pass(origin, proxy_to, connect):
    def hints(exchange):
        exchange.interim(103, {"Link": "</a.css>", "Connection": "X-Own", "X-Own": "1", "Keep-Alive": "3"})
        exchange.reply()
    origin.on("/", hints)
    interim = connect(proxy_to(origin)).get("/").interim[0]
    assert "link" in interim.headers
    assert not {"connection", "x-own", "keep-alive"} & set(interim.headers.names())
