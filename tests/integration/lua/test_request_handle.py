# SPDX-License-Identifier: Apache-2.0
"""What a script reads of a request and can change in it."""
import pytest


def asked(scripted, connect, expression, target="/", headers=(), method="GET", body=None, config=None):
    """The value of a Lua expression over `request`, as the answer's text."""
    proxy = scripted(f"function on_request(request) request:reply(200, tostring({expression})) end",
                     config={"route": {"echo": True}, **(config or {})})
    return connect(proxy).request(method, target, headers, body).text


@pytest.mark.parametrize("expression,expected", [
    ("request.method", "POST"),
    ("request.scheme", "http"),
    ("request.host", "a.example"),
    ("request.path", "/some/path"),
    ("request.query", "a=1&b=two%20words&a=3"),
    ("request.args.a", "1"),
    ("request.args.b", "two words"),
    ("request.args.none", "nil"),
    ("request.version", "1.1"),
    ("request.client_ip", "127.0.0.1"),
    ("type(request.client_port)", "number"),
    ("type(request.id)", "string"),
    ("request.headers['x-mine']", "yes"),
    ("request.headers['X-MINE']", "yes"),
    ("request.headers.host", "a.example"),
    ("request.headers.nothing", "nil"),
    ("request.attempt", "0"),
    ("request.timeout", "30"),
    ("type(request.vars)", "table"),
])
def test_a_script_reads_the_request(scripted, connect, world, expression, expected):
    text = asked(scripted, connect, expression, "/some//x/../path?a=1&b=two%20words&a=3",
                 {"Host": "a.example", "X-Mine": "yes"}, "POST", b"body")
    if expression == "request.version":
        assert text == ("2" if world.startswith("h2") else expected)
    elif expression == "type(request.vars)":
        assert text in ("table", "userdata")
    else:
        assert text == expected


def test_a_script_knows_route_and_cluster(origin, scripted, connect):
    proxy = scripted("""function on_request(request)
        request.headers["x-route"] = request.route
        request.headers["x-cluster"] = request.cluster
      end""", origin)
    connect(proxy).get("/")
    assert (origin.last.headers.get("x-route"), origin.last.headers.get("x-cluster")) == ("all", "origin")


def test_a_script_edits_headers(origin, scripted, connect):
    proxy = scripted("""function on_request(request)
        local h = request.headers
        h["x-new"] = "made"
        h["X-Replaced"] = "by script"
        h["x-gone"] = nil
        h["x-number"] = 42
        h:add("x-list", "two")
        h.accept = nil
      end""", origin)
    connect(proxy).get("/", [("x-replaced", "1"), ("X-Replaced", "2"), ("X-Gone", "1"), ("X-Gone", "2"),
                             ("X-List", "one"), ("Accept", "*/*")])
    headers = origin.last.headers
    assert headers.get("x-new") == "made"
    assert headers.all("x-replaced") == ["by script"]
    assert headers.get("x-number") == "42"
    assert headers.all("x-list") == ["one", "two"]
    assert not {"x-gone", "accept"} & set(headers.names())


def test_a_script_reads_repeated_headers(scripted, connect):
    proxy = scripted("""function on_request(request)
        local out = {}
        out[#out + 1] = request.headers["x-a"]
        out[#out + 1] = table.concat(request.headers:all("x-a"), "+")
        out[#out + 1] = tostring(#request.headers:all("x-none"))
        local pairs_seen = {}
        for name, value in request.headers:each() do
          if name:lower():find("^x%-[ab]") then pairs_seen[#pairs_seen + 1] = name:lower() .. "=" .. value end
        end
        out[#out + 1] = table.concat(pairs_seen, ",")
        request:reply(200, table.concat(out, " "))
      end""", config={"route": {"echo": True}})
    text = connect(proxy).get("/", [("X-A", "1"), ("X-B", "2"), ("x-a", "3")]).text
    assert text == "1 1+3 0 x-a=1,x-b=2,x-a=3"


def test_header_count_counts(scripted, connect):
    proxy = scripted("function on_request(r) r:reply(200, tostring(r.headers:count())) end",
                     config={"route": {"echo": True}})
    few = int(connect(proxy).get("/").text)
    many = int(connect(proxy).get("/", [("X-A", "1"), ("X-A", "2"), ("X-B", "3")]).text)
    assert many == few + 3


@pytest.mark.parametrize("assignment", [
    'request.headers["x-a"] = "b\\r\\nX-Evil: 1"',
    'request.headers["x-a"] = "b\\nX-Evil: 1"',
    'request.headers["x-a"] = "b\\0c"',
    'request.headers["x a"] = "b"',
    'request.headers["x-a\\r\\nx-evil"] = "b"',
    'request.headers[""] = "b"',
    'request.headers:add("x-a", "b\\r\\nX-Evil: 1")',
    'request.headers["x-a"] = {}',
])
def test_a_header_that_would_break_the_message_raises(origin, scripted, connect, assignment):
    proxy = scripted(f"""function on_request(request)
        local fine, message = pcall(function() {assignment} end)
        request.headers["x-raised"] = tostring(not fine)
      end""", origin)
    assert connect(proxy).get("/").status == 200
    assert origin.last.headers.get("x-raised") == "true"
    assert "x-evil" not in origin.last.headers and "x-a" not in origin.last.headers


@pytest.mark.parametrize("name", ["content-length", "transfer-encoding", "Content-Length"])
def test_a_script_can_not_break_the_framing(origin, scripted, connect, name):
    proxy = scripted(f"""function on_request(request)
        pcall(function() request.headers["{name}"] = "3" end)
        pcall(function() request.headers:add("{name}", "3") end)
      end""", origin)
    client = connect(proxy)
    assert client.post("/", b"ten bytes!").status == 200
    assert origin.last.body == b"ten bytes!"
    assert client.get("/").status == 200


def test_a_script_can_change_path_and_query(origin, scripted, connect):
    proxy = scripted("""function on_request(request)
        request.path = "/v2" .. request.path
        request.query = "from=lua"
      end""", origin)
    connect(proxy).get("/users?x=1")
    assert origin.last.target == "/v2/users?from=lua"


@pytest.mark.parametrize("path", ["no-slash", "/a b", "/a\\r\\nHost: x", "/%00", "/%zz", ""])
def test_a_script_can_not_set_a_path_that_is_none(origin, scripted, connect, path):
    proxy = scripted(f"""function on_request(request)
        local fine = pcall(function() request.path = "{path}" end)
        request.headers["x-raised"] = tostring(not fine)
      end""", origin)
    assert connect(proxy).get("/kept").status == 200
    assert (origin.last.headers.get("x-raised"), origin.last.target) == ("true", "/kept")


def test_a_script_chooses_the_cluster(make_origin, scripted, connect):
    one, two = make_origin("one"), make_origin("two")
    proxy = scripted("function on_request(r) r.cluster = r.headers['x-to'] end", config={
        "clusters": {"one": {"endpoints": [one.url]}, "two": {"endpoints": [two.url]}},
        "route": {"cluster": "one"}})
    client = connect(proxy)
    client.get("/", {"X-To": "two"})
    client.get("/", {"X-To": "one"})
    assert (len(one.requests), len(two.requests)) == (1, 1)


def test_an_unknown_cluster_raises(origin, scripted, connect):
    proxy = scripted("""function on_request(request)
        local fine = pcall(function() request.cluster = "nowhere" end)
        request.headers["x-raised"] = tostring(not fine)
      end""", origin)
    assert connect(proxy).get("/").status == 200
    assert origin.last.headers.get("x-raised") == "true"


def test_a_script_sets_the_timeout(origin, scripted, connect):
    origin.on("/", lambda exchange: exchange.expect_gone())
    proxy = scripted("function on_request(r) r.timeout = 0.2 end", origin)
    assert connect(proxy).get("/").status == 504


def test_reply_gives_status_body_and_headers(scripted, connect):
    proxy = scripted("""function on_request(request)
        return request:reply(418, "teapot", { ["x-pot"] = "tea", ["content-type"] = "text/teapot" })
      end""", config={"route": {"echo": True}})
    client = connect(proxy)
    for _ in range(2):
        response = client.get("/")
        assert (response.status, response.text, response.length) == (418, "teapot", 6)
        assert (response.headers.get("x-pot"), response.headers.get("content-type")) == ("tea", "text/teapot")


def test_reply_without_body_is_empty(scripted, connect):
    client = connect(scripted("function on_request(r) r:reply(204) end", config={"route": {"echo": True}}))
    assert client.get("/").status == 204
    assert client.get("/").status == 204


def test_reply_with_a_table_of_values_makes_several_fields(scripted, connect):
    proxy = scripted("""function on_request(r)
        r:reply(200, "", { ["set-cookie"] = { "a=1", "b=2" } }) end""", config={"route": {"echo": True}})
    assert connect(proxy).get("/").headers.all("set-cookie") == ["a=1", "b=2"]


@pytest.mark.parametrize("call", [
    "request:reply(99)", "request:reply(600)", "request:reply('x')", "request:reply()",
    "request:reply(101)", "request:reply(200, {})", "request:reply(200, '', {['a b'] = 'c'})",
    "request:reply(200, '', {a = 'b\\r\\nc: d'})"])
def test_a_wrong_reply_raises(scripted, connect, call):
    proxy = scripted(f"""function on_request(request)
        local fine = pcall(function() {call} end)
        if not fine then request:reply(200, "raised") end
      end""", config={"route": {"respond": {"status": 200, "body": "went on"}}})
    assert connect(proxy).get("/").text == "raised"


def test_redirect_says_where(scripted, connect):
    proxy = scripted("""function on_request(request)
        if request.path == "/a" then return request:redirect("https://b.example/x") end
        request:redirect("/y", 301)
      end""", config={"route": {"echo": True}})
    client = connect(proxy)
    first, second = client.get("/a"), client.get("/b")
    assert (first.status, first.headers.get("location")) == (302, "https://b.example/x")
    assert (second.status, second.headers.get("location")) == (301, "/y")


def test_reply_reads_the_rest_of_the_body(scripted, connect):
    client = connect(scripted("function on_request(r) r:reply(200, 'no need') end",
                              config={"route": {"echo": True}}))
    assert client.post("/", b"x" * 10000).text == "no need"
    assert client.get("/").text == "no need"


def test_vars_are_shared_by_the_policies_of_one_exchange(origin, proxy_to, connect):
    scripts = {"set.lua": "function on_request(r) r.vars.tenant = 'blue'; r.vars.n = 7; r.vars.yes = true end",
               "get.lua": """function on_request(r)
                   r.headers["x-vars"] = r.vars.tenant .. r.vars.n .. tostring(r.vars.yes) .. tostring(r.vars.no)
                 end"""}
    proxy = proxy_to(origin, scripts=scripts, policies={"set": "set.lua", "get": "get.lua"})
    connect(proxy).get("/")
    assert origin.last.headers.get("x-vars") == "blue7truenil"


def test_vars_do_not_outlive_their_exchange(scripted, connect):
    client = connect(scripted("""function on_request(r)
        local before = tostring(r.vars.seen)
        r.vars.seen = "yes"
        r:reply(200, before) end""", config={"route": {"echo": True}}))
    assert [client.get("/").text for _ in range(3)] == ["nil"] * 3


def test_options_are_the_policys_config(origin, scripted, connect):
    proxy = scripted("""function on_request(request)
        request.headers["x-options"] = table.concat({ options.text, options.number + 1,
          tostring(options.flag), options.list[2], options.deep.er.x, tostring(options.none) }, " ")
      end""", origin, options={"text": "words", "number": 41, "flag": True, "list": ["a", "b"],
                               "deep": {"er": {"x": "y"}}})
    connect(proxy).get("/")
    assert origin.last.headers.get("x-options") == "words 42 true b y nil"


def test_env_is_what_the_policy_was_given(origin, proxy_to, connect):
    proxy = proxy_to(origin, env={"MY_SECRET": "s3cret", "OTHER": "hidden"},
                     scripts={"policy.lua": """
                        function on_request(request)
                          request.headers["x-env"] = tostring(proxy.env("MY_SECRET")) .. " " ..
                            tostring(select(2, pcall(proxy.env, "OTHER"))):gsub("hidden", "LEAK")
                        end"""},
                     policies={"policy": {"script": "policy.lua", "env": ["MY_SECRET"]}})
    connect(proxy).get("/")
    seen = origin.last.headers.get("x-env")
    assert seen.startswith("s3cret ") and "LEAK" not in seen and "hidden" not in seen


def test_a_handle_says_when_it_is_dead(scripted, connect):
    proxy = scripted("""
        local kept
        function on_request(request)
          if kept then
            local fine, message = pcall(function() return kept.path end)
            return request:reply(200, tostring(fine) .. " " .. tostring(message))
          end
          kept = request
          request:reply(200, "kept")
        end""", config={"route": {"echo": True}})
    client = connect(proxy)
    assert client.get("/").text == "kept"
    text = client.get("/").text
    assert text.startswith("false "), text
    assert "request" in text or "exchange" in text


def test_a_dead_headers_handle_says_so_too(scripted, connect):
    proxy = scripted("""
        local kept
        function on_request(request)
          if kept then
            local read = pcall(function() return kept["host"] end)
            local write = pcall(function() kept["x"] = "y" end)
            local walk = pcall(function() for _ in kept:each() do end end)
            return request:reply(200, tostring(read) .. tostring(write) .. tostring(walk))
          end
          kept = request.headers
          request:reply(200, "kept")
        end""", config={"route": {"echo": True}})
    client = connect(proxy)
    client.get("/")
    assert client.get("/").text == "falsefalsefalse"
