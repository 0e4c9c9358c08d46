# SPDX-License-Identifier: Apache-2.0
"""What a route does: respond, redirect, echo, or forward with another path and host."""
import pytest


def test_respond_answers_with_what_the_config_says(proxy_to, connect):
    proxy = proxy_to(route={"respond": {"status": 418, "body": "short and stout",
                                        "headers": {"X-Pot": "tea"}, "content_type": "text/teapot"}})
    response = connect(proxy).get("/")
    assert (response.status, response.text, response.headers.get("x-pot")) == (418, "short and stout", "tea")
    assert response.headers.get("content-type") == "text/teapot"


def test_respond_reads_a_body_and_keeps_the_connection(proxy_to, connect):
    client = connect(proxy_to(route={"respond": {"status": 200, "body": "ok"}}))
    assert client.post("/", b"x" * 1000).text == "ok"
    assert client.get("/").text == "ok"


@pytest.mark.parametrize("redirect,sent,location,status", [
    ("/new", "/old", "/new", 308),
    ({"to": "https://b.example/", "status": 302}, "/old", "https://b.example/", 302),
    ({"to": "https://b.example{path}", "status": 301}, "/a/b?q=1", "https://b.example/a/b", 301),
])
def test_redirect_says_where(proxy_to, connect, redirect, sent, location, status):
    response = connect(proxy_to(route={"redirect": redirect})).get(sent)
    assert (response.status, response.headers.get("location")) == (status, location)


def test_redirect_can_keep_the_query(proxy_to, connect):
    client = connect(proxy_to(route={"redirect": {"to": "https://b.example{path}?{query}"}}))
    assert client.get("/a?q=1&r=2").headers.get("location") == "https://b.example/a?q=1&r=2"


def test_a_redirect_can_not_be_made_to_inject_fields(proxy_to, connect):
    client = connect(proxy_to(route={"redirect": {"to": "https://b.example{path}"}}))
    response = client.get("/a%0d%0aSet-Cookie:%20x=1")
    assert "set-cookie" not in response.headers
    assert response.headers.get("location") == "https://b.example/a%0D%0ASet-Cookie:%20x=1"


def test_a_redirect_can_not_be_made_to_leave_the_host(proxy_to, connect):
    """With //evil.example or @evil.example behind the name, it would be another host."""
    client = connect(proxy_to(route={"redirect": "https://b.example{path}"}))
    assert client.get("//evil.example/x").headers.get("location") == "https://b.example/evil.example/x"
    client.send("GET @evil.example/x HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.response().status == 400


def test_echo_shows_the_request(proxy_to, connect):
    response = connect(proxy_to(route={"echo": True})).post("/some/path?q=1", b"some body", {"X-Mine": "yes"})
    assert response.status == 200
    text = response.text
    for part in ("POST", "/some/path", "q=1", "some body", "yes"):
        assert part in text, text


def test_strip_prefix_takes_the_prefix_off(origin, proxy_to, connect):
    client = connect(proxy_to(origin, route={"match": {"path_prefix": "/api/users"}, "strip_prefix": True}))
    for sent in ("/api/users/1?q=2", "/api/users", "/api/users/", "/api/users?q"):
        assert client.get(sent).status == 200
    assert origin.paths() == ["/1?q=2", "/", "/", "/?q"]


def test_replace_prefix_puts_another_in_its_place(origin, proxy_to, connect):
    client = connect(proxy_to(origin, route={"match": {"path_prefix": "/api"}, "strip_prefix": True,
                                             "replace_prefix": "/v2"}))
    for sent in ("/api/users", "/api", "/api/"):
        assert client.get(sent).status == 200
    assert origin.paths() == ["/v2/users", "/v2", "/v2/"]


def test_without_strip_prefix_the_path_stays(origin, proxy_to, connect):
    connect(proxy_to(origin, route={"match": {"path_prefix": "/api"}})).get("/api/x")
    assert origin.last.target == "/api/x"


@pytest.mark.parametrize("mode,expected", [
    ({}, "asked.example"),
    ({"host": "preserve"}, "asked.example"),
    ({"host": "literal.example"}, "literal.example"),
])
def test_the_origin_sees_the_host_of_the_routes_choice(origin, proxy_to, connect, mode, expected):
    connect(proxy_to(origin, route=mode)).get("/", {"Host": "asked.example"})
    assert origin.last.headers.get("host") == expected


@pytest.mark.parametrize("asked", ["a.example", "a.example.", "A.example.:80", "x.b.example", "x.b.example."])
def test_o27_hosts_match_with_and_without_the_final_dot(origin, proxy_to, connect, asked):
    route = {"match": {"hosts": ["a.example.", "*.b.example."]}, "host": "literal.example."}
    client = connect(proxy_to(origin, route=route))
    assert client.get("/", {"Host": asked}).status == 200
    assert origin.last.headers.get("host") == "literal.example.", "the origin gets what the config says"
    assert client.get("/", {"Host": "c.example."}).status == 404


def test_the_origin_may_see_its_own_name(origin, proxy_to, connect):
    connect(proxy_to(origin, route={"host": "origin"})).get("/", {"Host": "asked.example"})
    assert origin.last.headers.get("host") == origin.address
    assert origin.last.headers.get("x-forwarded-host") == "asked.example"
