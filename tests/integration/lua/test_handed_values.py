# SPDX-License-Identifier: Apache-2.0
"""What scripts hand to the proxy, seen from the wire: whose request it is, whose fault, and how much."""
import threading

import pytest

from support import config_for


def test_l3_two_clients_in_flight_never_see_each_other(origin, scripted, connect):
    proxy = scripted("""function on_request(request)
        req = request
        proxy.sleep(0.05)
        req.headers["x-seen"] = req:body()
      end""", origin)
    replies = {}

    def send(body):
        replies[body] = connect(proxy).post("/", body.encode())

    senders = [threading.Thread(target=send, args=(body,)) for body in ("one", "two")]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    seen = {request.body.decode(): request.headers.get("x-seen") for request in origin.requests}
    assert all(body == header for body, header in seen.items()), seen
    assert sorted(reply.status for reply in replies.values()) == [200, 500]


BREAKER = {"breaker": {"max_failures": 2, "recovery_timeout": "60s"}}


@pytest.mark.parametrize("value", ["a%01b", "a%7Fb", "%00", "a%0Ab"])
def test_l11_a_value_that_no_field_can_have_opens_no_breaker(make_any_origin, tidegate, connect, value):
    origin = make_any_origin("h2")
    proxy = tidegate(config_for(origin, cluster={"protocol": "h2", **BREAKER}, policies={"p": "p.lua"}), {
        "p.lua": 'function on_request(request) request.headers["x-name"] = request.args.name end'})
    client = connect(proxy)
    for _ in range(5):
        assert client.get(f"/?name={value}").status == 500
    assert client.get("/?name=fine").status == 200
    assert origin.last.headers.get("x-name") == "fine"
    assert proxy.wait_for_log(level="error")["error"] == "script_error"


@pytest.mark.parametrize("host", ["a b", "a/b?c", "a@b", ""])
def test_l12_a_host_that_is_none_is_sent_to_nobody(origin, scripted, connect, host):
    proxy = scripted(f"function on_request(request) request.headers.host = {host!r} end", origin)
    assert connect(proxy).get("/").status == 500
    assert not origin.requests
    assert f"policy.lua:1: not a host: {host!r}" in proxy.wait_for_log(level="error")["detail"]


LARGE = """
local value = ("v"):rep(22000)
function on_request(request)
  local n = tonumber(request.args.request) or 0
  for i = 1, n do request.headers["x-large-" .. i] = value end
end
function on_response(response, request)
  local n = tonumber(request.args.response) or 0
  for i = 1, n do response.headers["x-large-" .. i] = value end
end"""


@pytest.mark.parametrize("world", ["h1-h1", "h2-h1"], indirect=True)
def test_l15_a_response_head_of_66000_bytes_arrives_or_breaks_and_never_hangs(origin, scripted, connect, world):
    proxy = scripted(LARGE, origin, budget={"memory": "32MiB", "cpu": "1s"})
    client = connect(proxy)
    if world.startswith("h2"):
        client.h2.decoder.max_header_list_size = 1 << 20  # the library's own limit is 65,536
    reply = client.get("/?response=3")
    assert reply.status == 200
    assert sum(len(reply.headers.get(f"x-large-{i}")) for i in (1, 2, 3)) == 66000
    assert connect(proxy).get("/").status == 200


GRANTED = """
function on_request(request)
  local cluster = proxy.cluster(request.args.cluster)
  if request.path == "/set" then
    cluster:set_endpoints(proxy.json.decode(request:body()))
  else
    cluster.endpoints[1].breaker:reset()
  end
  request:reply(200, "done")
end"""


@pytest.mark.parametrize("path", ["/set", "/reset"])
def test_l22_a_policy_changes_only_the_clusters_that_its_config_names(make_origin, proxy_to, connect, path):
    mine, other = make_origin("mine"), make_origin("other")
    proxy = proxy_to(mine, scripts={"p.lua": GRANTED}, clusters={
        "origin": {"endpoints": [mine.url]}, "other": {"endpoints": [other.url]}},
        policies={"p": {"script": "p.lua", "clusters": ["origin"]}})
    client = connect(proxy)
    body = f'["{mine.url}"]'.encode()
    assert client.post(f"{path}?cluster=origin", body).status == 200
    assert client.post(f"{path}?cluster=other", body).status == 500
    detail = proxy.wait_for_log(level="error")["detail"]
    assert "the config does not let policy p change cluster other: add `clusters: [other]` to it" in detail


@pytest.mark.parametrize("granted", [None, [], ["other"]], ids=["no key", "none", "another"])
@pytest.mark.parametrize("path", ["/set", "/reset"])
def test_l22_without_a_grant_for_the_cluster_nothing_changes(make_origin, proxy_to, connect, path, granted):
    mine, other = make_origin("mine"), make_origin("other")
    policy = {"script": "p.lua", **({} if granted is None else {"clusters": granted})}
    proxy = proxy_to(mine, scripts={"p.lua": GRANTED}, policies={"p": policy}, clusters={
        "origin": {"endpoints": [mine.url]}, "other": {"endpoints": [other.url]}})
    client = connect(proxy)
    assert client.post(f"{path}?cluster=origin", f'["{other.url}"]'.encode()).status == 500
    assert "does not let policy p change cluster origin" in proxy.wait_for_log(level="error")["detail"]
    endpoints = {c["name"]: [e["address"] for e in c["endpoints"]] for c in proxy.admin("/clusters").json()["clusters"]}
    assert endpoints == {"origin": [mine.address], "other": [other.address]}


DATE = "Thu, 01 Jan 1970 00:00:00 GMT"
GIVEN = """
local headers = { a = "  sp  ", b = "\\ttab\\t", date = "Thu, 01 Jan 1970 00:00:00 GMT" }
function on_request(request)
  if request.path == "/reply" then return request:reply(200, "replied", headers) end
end
function on_response(response)
  for name, value in pairs(headers) do response.headers[name] = value end
  response.headers:add("c", " added ")
end"""


@pytest.mark.parametrize("world", ["h2-h1", "h2-h2", "h1-h1"], indirect=True)
@pytest.mark.parametrize("path", ["/reply", "/origin"])
def test_l17_spaces_around_values_are_cut_and_there_is_one_date(make_origin, scripted, connect, path, world):
    origin = make_origin()
    origin.on("/origin", headers={"Date": "Fri, 02 Jan 1970 00:00:00 GMT"}, body=b"passed")
    client = connect(scripted(GIVEN, origin))
    reply = client.get(path)
    assert reply.status == 200
    assert (reply.headers.all("a"), reply.headers.all("b")) == (["sp"], ["tab"])
    assert reply.headers.all("date") == [DATE]
    assert client.get(path).status == 200, "the connection goes on"
