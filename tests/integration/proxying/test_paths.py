# SPDX-License-Identifier: Apache-2.0
"""The path is normalised once; the same canonical path is matched and forwarded."""
import pytest


@pytest.mark.parametrize("sent,forwarded", [
    ("/a/b", "/a/b"),
    ("/a//b///c", "/a/b/c"),
    ("/a/./b", "/a/b"),
    ("/a/../b", "/b"),
    ("/a/b/..", "/a/"),
    ("/a/b/.", "/a/b/"),
    ("/a/%2e%2E/b", "/b"),
    ("/%61%62%7E", "/ab~"),
    ("/a%20b%c3%a9", "/a%20b%C3%A9"),
    ("/a%25%32%66", "/a%252f"),
    ("/a;v=1/b,c", "/a;v=1/b,c"),
    ("/a/b/", "/a/b/"),
    ("/", "/"),
    ("//", "/"),
])
def test_a_path_is_forwarded_in_canonical_form(origin, proxy_to, connect, sent, forwarded):
    assert connect(proxy_to(origin)).get(sent).status == 200
    assert origin.last.target == forwarded


@pytest.mark.parametrize("query", ["a=1&b=2", "a=%2e%2e/&b=//", "", "?", "a=%zz", "q=%00"])
def test_the_query_passes_untouched(origin, proxy_to, connect, query):
    assert connect(proxy_to(origin)).get(f"/x?{query}").status == 200
    assert origin.last.target == f"/x?{query}"


@pytest.mark.parametrize("bad", [
    "/%00", "/a%00b", "/%", "/%4", "/%zz", "/a%2", "/../", "/a/../../b", "/%2e%2e/x", "/a\\b", "/\xe9"])
def test_a_bad_path_is_refused(origin, proxy_to, connect, bad):
    client = connect(proxy_to(origin))
    assert client.get(bad).status == 400
    assert origin.requests == []


@pytest.mark.parametrize("slash", ["/a%2fb", "/a%2Fb", "/a%5cb", "/..%2fb"])
def test_an_encoded_slash_is_refused(origin, proxy_to, connect, slash):
    assert connect(proxy_to(origin)).get(slash).status == 400
    assert origin.requests == []


def test_a_route_may_allow_encoded_slashes(origin, proxy_to, connect):
    client = connect(proxy_to(origin, route={"allow_encoded_slashes": True}))
    assert client.get("/a%2fb%5c").status == 200
    assert origin.last.target == "/a%2Fb%5C"


@pytest.mark.parametrize("detour", ["/public/../admin", "//admin", "/./admin", "/%61dmin", "/admin/",
                                    "/public/%2e%2e/admin", "/x/..//admin"])
def test_no_spelling_of_a_path_gets_past_a_route(origin, proxy_to, connect, detour):
    """What the route forbids stays forbidden, whatever the detour."""
    proxy = proxy_to(origin, routes=[
        {"match": {"path_prefix": "/admin"}, "respond": {"status": 403, "body": "no"}}])
    assert connect(proxy).get(detour).status == 403
    assert origin.requests == []


def test_the_log_shows_the_path(origin, proxy_to, connect):
    proxy = proxy_to(origin)
    connect(proxy).get("/a//b/../c?secret=1")
    assert proxy.wait_for_access(count=1)[0]["path"] == "/a/c"


@pytest.mark.parametrize("sent,forwarded", [
    ("/a|b", "/a%7Cb"),
    ('/{x}/^`"<>', "/%7Bx%7D/%5E%60%22%3C%3E"),
    ('/a?b={"c":1}', "/a?b=%7B%22c%22:1%7D"),
    ("/a?b=c\\d|e", "/a?b=c%5Cd%7Ce"),
    ("/%7b{?%7b{", "/%7B%7B?%7b%7B"),
])
def test_h17_what_no_uri_holds_is_escaped(origin, proxy_to, connect, sent, forwarded):
    assert connect(proxy_to(origin)).get(sent).status == 200
    assert origin.last.target == forwarded


def test_h17_a_raw_spelling_gets_past_no_route(origin, proxy_to, connect):
    proxy = proxy_to(origin, routes=[{"match": {"path_prefix": "/%7Badmin%7D"}, "respond": {"status": 403}}])
    client = connect(proxy)
    for path in ("/{admin}", "/%7badmin}", "/%7Badmin%7D/x"):
        assert client.get(path).status == 403


@pytest.mark.parametrize("sent,forwarded", [
    ("//", "//"), ("/a//b", "/a//b"), ("///a///", "///a///"), ("/a//../b", "/a/b"),
    ("/a/..//b", "//b"), ("/s3/bucket//key", "/s3/bucket//key")])
def test_h21_a_listener_may_keep_runs_of_slashes(origin, proxy_to, connect, sent, forwarded):
    client = connect(proxy_to(origin, listener={"merge_slashes": False}))
    assert client.get(sent).status == 200
    assert origin.last.target == forwarded


def test_h21_kept_slashes_still_lead_to_no_other_segment(origin, proxy_to, connect):
    client = connect(proxy_to(origin, listener={"merge_slashes": False}))
    assert client.get("//../..").status == 400
    assert origin.requests == []
