# SPDX-License-Identifier: Apache-2.0
"""Via: off by default; added on request, and then loops are noticed (RFC 9110 7.6.3)."""
import pytest

ADD = {"via": "add"}


def test_h13_off_by_default(origin, proxy_to, connect):
    response = connect(proxy_to(origin)).get("/", {"Via": "1.1 other"})
    assert origin.last.headers.all("via") == ["1.1 other"]
    assert "via" not in response.headers


def test_h13_requests_and_responses_get_it(origin, proxy_to, connect):
    origin.on("/", headers={"Via": "1.0 inner"})
    client = connect(proxy_to(origin, listener=ADD))
    response = client.get("/", {"Via": "1.1 outer"})
    outer, own = origin.last.headers.all("via")
    protocol, name = own.split()
    assert (outer, protocol) == ("1.1 outer", "1.1")
    assert name.startswith("tidegate-")
    assert response.headers.all("via") == ["1.0 inner", f"1.1 {name}"]
    client.request("GET", "/", {"Host": "a"}, version="HTTP/1.0")
    assert origin.last.headers.all("via") == [f"1.0 {name}"]


@pytest.mark.parametrize("spelling", ["1.1 {name}", "1.0 first, 1.1 {upper}", "1.1 first,HTTP/1.1   {name} (comment), 2.0 x"])
def test_h13_a_loop_is_answered_with_508(origin, proxy_to, connect, spelling):
    proxy = proxy_to(origin, listener=ADD)
    client = connect(proxy)
    client.get("/")
    name = origin.last.headers.get("via").split()[1]
    response = client.get("/", {"Via": spelling.format(name=name, upper=name.upper())})
    assert (response.status, response.json()["error"]) == (508, "loop_detected")
    assert proxy.wait_for_access(status=508)["error"] == "loop_detected"
    assert len(origin.requests) == 1
    assert client.get("/", {"Via": f"1.1 not-{name}"}).status == 200


def test_h13_a_proxy_that_forwards_to_itself_stops(tidegate, make_origin, connect):
    from support import config_for
    from support.origin import Origin
    with Origin() as reserved:
        port = reserved.port
    config = config_for(f"http://127.0.0.1:{port}", listener={"address": f"127.0.0.1:{port}", **ADD})
    proxy = tidegate(config)
    response = connect(proxy).get("/")
    assert (response.status, response.json()["error"]) == (508, "loop_detected")


@pytest.mark.parametrize("nominated", ["Via", "via, close", "X-Own, VIA"])
def test_h13_connection_removes_no_via_of_this_proxy(origin, proxy_to, connect, nominated):
    proxy = proxy_to(origin, listener=ADD)
    connect(proxy).get("/", {"Via": "1.1 outer", "Connection": nominated, "X-Own": "1"})
    own = origin.last.headers.all("via")
    assert len(own) == 1 and own[0].startswith("1.1 tidegate-"), own
    looped = connect(proxy).get("/", {"Via": own[0], "Connection": nominated})
    assert (looped.status, looped.json()["error"]) == (508, "loop_detected")


def test_h13_an_origins_connection_removes_nothing_that_the_proxy_adds(origin, proxy_to, connect):
    origin.on("/", headers={"Connection": "Via, Date", "Via": "1.0 inner", "Date": "yesterday"})
    response = connect(proxy_to(origin, listener=ADD)).get("/")
    assert len(response.headers.all("via")) == 1 and "tidegate-" in response.headers.get("via")
    assert response.headers.get("date", "").endswith("GMT")


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port",
                                  "X-Request-Id", "Host"])
def test_a_clients_connection_names_no_field_that_the_proxy_writes(origin, proxy_to, connect, name):
    """It is refused, rather than taken to mean the client's own, so that nobody has to guess."""
    response = connect(proxy_to(origin)).get("/", {"Connection": name})
    assert (response.status, origin.requests) == (400, [])
