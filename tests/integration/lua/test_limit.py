# SPDX-License-Identifier: Apache-2.0
"""proxy.limit(name):take(key, cost)."""

LIMITS = {"limits": {"sign": {"rate": "5/h", "key": "script"}}, "route": {"echo": True}}
TAKE = """
local sign = proxy.limit("sign")
function on_request(request)
  local cost = request.args.cost and tonumber(request.args.cost)
  local allowed, retry_after, remaining = sign:take(request.args.key or "k", cost)
  return request:reply(allowed and 200 or 429, string.format("%.0f %d", retry_after, remaining))
end
"""


def test_a_script_takes_by_a_key_of_its_choice(scripted, connect):
    client = connect(scripted(TAKE, config=LIMITS))
    assert [client.get("/?key=a").body for _ in range(2)] == [b"0 4", b"0 3"]
    assert client.get("/?key=b").body == b"0 4"


def test_a_cost_is_taken_whole_or_not_at_all(scripted, connect):
    client = connect(scripted(TAKE, config=LIMITS))
    assert client.get("/?cost=4").body == b"0 1"
    refused = client.get("/?cost=2")
    assert refused.status == 429
    assert refused.body.split()[1] == b"1"
    assert 3590 <= int(refused.body.split()[0]) <= 3601
    assert client.get("/?cost=1").status == 200


def test_refusals_are_counted(scripted, connect):
    proxy = scripted(TAKE, config=LIMITS)
    client = connect(proxy)
    assert [client.get("/?cost=3").status for _ in range(2)] == [200, 429]
    assert proxy.metrics()("proxy_limit_rejected_total", limit="sign") == 1


def test_a_script_and_a_route_share_a_count(scripted, connect):
    config = {"limits": {"both": {"rate": "3/h", "key": "header:x-user"}}, "route": {"echo": True, "limits": ["both"]}}
    proxy = scripted("""function on_request(request)
        local allowed = proxy.limit("both"):take(request.headers["x-user"])
        if not allowed then return request:reply(403) end
      end""", config=config)
    client = connect(proxy)
    assert [client.get("/", {"X-User": "u"}).status for _ in range(3)] == [200, 403, 429]


def wrong(scripted, connect, body):
    proxy = scripted(f"function on_request(request) {body} end", config=LIMITS)
    assert connect(proxy).get("/").status == 500
    return proxy.wait_for_log(level="error")["detail"]


def test_an_unknown_limit_raises(scripted, connect):
    assert "no limit of the config is named 'sing'" in wrong(scripted, connect, "proxy.limit('sing')")


def test_a_cost_that_can_never_be_had_raises(scripted, connect):
    assert "from 1 to 5" in wrong(scripted, connect, "proxy.limit('sign'):take('k', 6)")


def test_a_cost_that_is_no_whole_number_raises(scripted, connect):
    assert "whole number" in wrong(scripted, connect, "proxy.limit('sign'):take('k', 0.5)")


def test_take_without_a_key_raises(scripted, connect):
    assert "string expected" in wrong(scripted, connect, "proxy.limit('sign'):take()")


def test_take_without_the_limit_raises(scripted, connect):
    assert "limit:take" in wrong(scripted, connect, "proxy.limit('sign').take('k')")
