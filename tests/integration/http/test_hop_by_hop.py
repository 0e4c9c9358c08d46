# SPDX-License-Identifier: Apache-2.0
"""Fields that concern one connection stay on it (RFC 9110 7.6.1)."""
import pytest


def names(message):
    return set(message.headers.names())


def test_hop_by_hop_fields_of_a_request_stay_behind(origin, proxy_to, connect):
    response = connect(proxy_to(origin)).get("/", {
        "Connection": "keep-alive, X-Mine", "X-Mine": "1", "Keep-Alive": "timeout=5",
        "Proxy-Connection": "keep-alive", "TE": "gzip", "Upgrade": "x", "Proxy-Authorization": "Basic x",
        "Trailer": "X-T", "X-Kept": "yes"})
    assert response.status == 200
    gone = {"connection", "x-mine", "keep-alive", "proxy-connection", "te", "upgrade",
            "proxy-authorization", "trailer", "transfer-encoding"}
    assert not gone & names(origin.last)
    assert origin.last.headers.get("x-kept") == "yes"


def test_te_trailers_passes(origin, proxy_to, connect):
    connect(proxy_to(origin)).get("/", {"TE": "gzip;q=0.5, trailers, deflate", "Connection": "TE"})
    assert origin.last.headers.get("te") == "trailers"


def test_te_without_trailers_stays_behind(origin, proxy_to, connect):
    connect(proxy_to(origin)).get("/", {"TE": "gzip", "Connection": "TE"})
    assert "te" not in origin.last.headers


def test_hop_by_hop_fields_of_a_response_stay_behind(origin, proxy_to, connect):
    origin.on("/", body=b"ok", headers={
        "Connection": "X-Mine, keep-alive", "X-Mine": "1", "Keep-Alive": "timeout=5",
        "Proxy-Authenticate": "Basic", "Upgrade": "h2c", "Proxy-Connection": "keep-alive",
        "Alt-Svc": 'h2=":443"', "X-Kept": "yes"})
    response = connect(proxy_to(origin)).get("/")
    gone = {"connection", "x-mine", "keep-alive", "proxy-authenticate", "upgrade", "proxy-connection",
            "alt-svc", "transfer-encoding"}
    assert not gone & names(response)
    assert response.headers.get("x-kept") == "yes"


@pytest.mark.parametrize("name", [
    "Host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "X-Real-IP",
    "X-Request-Id", "Content-Length", ":authority", "a b", "x-mine, host"])
def test_a_connection_field_may_not_name_what_is_the_proxys_own(origin, proxy_to, connect, name):
    client = connect(proxy_to(origin))
    response = client.get("/", {"Connection": name})
    assert response.status == 400
    assert origin.requests == []


def test_end_to_end_fields_pass_in_order_and_number(origin, proxy_to, connect):
    fields = [("Accept", "a"), ("X-List", "1"), ("Cookie", "a=1"), ("X-List", "2"), ("x-list", "3")]
    connect(proxy_to(origin)).get("/", fields)
    assert origin.last.headers.all("x-list") == ["1", "2", "3"]
    assert origin.last.headers.get("cookie") == "a=1"


def test_response_fields_pass_in_order_and_number(origin, proxy_to, connect):
    cookies = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2; Path=/"), ("X-A", "1")]
    origin.on("/", body=b"ok", headers=cookies)
    response = connect(proxy_to(origin)).get("/")
    assert response.headers.all("set-cookie") == ["a=1", "b=2; Path=/"]
    assert response.headers.get("x-a") == "1"


def test_names_with_underscores_are_dropped(origin, proxy_to, connect):
    response = connect(proxy_to(origin)).get("/", {"X_Mine": "1", "X-Mine": "2"})
    assert response.status == 200
    assert "x_mine" not in origin.last.headers
    assert origin.last.headers.get("x-mine") == "2"


def test_a_listener_may_let_underscores_pass(origin, proxy_to, connect):
    connect(proxy_to(origin, listener={"underscores_in_headers": True})).get("/", {"X_Mine": "1"})
    assert origin.last.headers.get("x_mine") == "1"


def test_an_underscored_content_length_frames_nothing(origin, proxy_to, connect):
    client = connect(proxy_to(origin))
    client.send("GET /1 HTTP/1.1\r\nHost: a\r\nContent_Length: 30\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert [client.response().status, client.response().status] == [200, 200]
    assert origin.paths() == ["/1", "/2"]
