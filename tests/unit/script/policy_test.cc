// SPDX-License-Identifier: Apache-2.0
// Policies on exchanges: hooks, handles, budgets.
#include <doctest/doctest.h>

#include "unit/script/asked.h"

using namespace tidegate;
using namespace tidegate::script;

TEST_CASE("a hook reads the request") {
  CHECK(asked("request.method .. request.path .. request.query") == "GET/ax=1");
  CHECK(asked("request.args.x .. request.args.y", "/?x=a%20b&y=c+d&x=2") == "a bc d");
  CHECK(asked("request.headers['X-Mine']", "/", {{"x-mine", "yes"}}) == "yes");
  CHECK(asked("request.headers.absent") == "nil");
  CHECK(asked("table.concat(request.headers:all('a'), '+')", "/", {{"a", "1"}, {"a", "2"}}) ==
        "1+2");
  CHECK(asked("request.host .. request.version .. request.attempt") == "test.example1.10");
  CHECK(asked("request.tls") == "nil");
  CHECK(asked("request.route") == "all");
  CHECK(asked("#request.id") == "32");
}

TEST_CASE("a reply has the status, body and headers that the script gave") {
  PolicyRig rig;
  rig.policy("p",
             "function on_request(request)"
             " request:reply(418, 'short', {['x-a'] = 'b', list = {'1', 2}}) end");
  REQUIRE(rig.load().empty());
  const Answer answer = rig.get();
  CHECK(answer.status == 418);
  CHECK(answer.body == "short");
  CHECK(answer.headers.at("x-a") == "b");
  CHECK(answer.headers.at("list") == "1, 2");
  CHECK(answer.ended);
}

TEST_CASE("a method called on anything else raises and does not crash") {
  for (const char* code :
       {"request.reply({}, 200)", "request.reply(request.headers, 200)", "request.reply('x')",
        "request.headers.add(request, 'a', 'b')", "request.headers.all(io)", "request.body(nil)",
        "getmetatable(request).__index(1)", "request.reply()", "request.headers.each(request.vars)",
        "proxy.ip.cidr('::1').contains(request, '::1')", "setmetatable(request, {})"}) {
    CAPTURE(code);
    CHECK(asked("pcall(function() " + std::string(code) + " end)") == "false");
  }
}

TEST_CASE("headers that would break the message are refused") {
  for (const char* code :
       {R"(h["x"] = "a\r\nb")", R"(h["x"] = "a\nb")", R"(h["x"] = "a\0b")", R"(h["x y"] = "a")",
        R"(h[""] = "a")", R"(h[1] = "a")", R"(h.x = {})", R"(h["content-length"] = 5)",
        R"(h:add("Transfer-Encoding", "chunked"))", R"(h.connection = "close")",
        R"(h.x = ("y"):rep(100000))", R"(for i = 1, 2000 do h:add("x", i) end)"}) {
    CAPTURE(code);
    CHECK(asked("pcall(function() local h = request.headers " + std::string(code) + " end)") ==
          "false");
  }
}

TEST_CASE("policies of one exchange share vars, and nothing else") {
  PolicyRig rig;
  rig.policy("a", "function on_request(r) r.vars.n = 1 r.vars.s = 'x' leak = 'leaked' end");
  rig.policy("b",
             "function on_request(r) r:reply(200, r.vars.s .. r.vars.n .. tostring(leak)) end");
  REQUIRE(rig.load().empty());
  CHECK(rig.get().body == "x1nil");
  CHECK(rig.get().body == "x1nil");
}

TEST_CASE("a hook that sleeps goes on where it was") {
  PolicyRig rig;
  rig.policy("p", R"(
    function on_request(request)
      local co = coroutine.wrap(function() proxy.sleep(0) coroutine.yield("a") end)
      local got = co()
      pcall(function() proxy.sleep(0) error("x") end)
      request:reply(200, got .. request.path)
    end)");
  REQUIRE(rig.load().empty());
  RecordingClient& client = rig.client();
  rig.begin(client, "/there").on_request_head(true);
  CHECK(client.answer.status == 0);
  for (int i = 0; i < 5; ++i) rig.sweep();
  CHECK(client.answer.status == 200);
  CHECK(client.answer.body == "a/there");
}

TEST_CASE("a client that leaves ends the wait of its hook") {
  PolicyRig rig;
  rig.policy("p", "function on_request(r) proxy.sleep(1000) end function on_log(r) end");
  REQUIRE(rig.load().empty());
  proxy::Exchange& exchange = rig.begin(rig.client(), "/");
  exchange.on_request_head(true);
  CHECK(rig.loop.timers().next_deadline().has_value());
  exchange.on_client_gone();
  CHECK_FALSE(rig.loop.timers().next_deadline().has_value());
}

TEST_CASE("a failing hook is answered as on_error says") {
  LogLines lines;
  for (const char* hook : {"on_request", "on_response"}) {
    for (const bool open : {false, true}) {
      PolicyRig rig;
      auto& policy = rig.policy("p", std::string("function ") + hook + "() error('broken') end");
      if (open) policy.on_error = config::OnError::Open;
      REQUIRE(rig.load().empty());
      const Answer answer = rig.get();
      CHECK(answer.status == (open ? 200 : 500));
      CHECK_FALSE(contains(answer.body, "broken"));
      CHECK(rig.registry.sum(telemetry::Family::ScriptErrorsTotal) == 1);
    }
  }
  CHECK(contains(lines.text, "p.lua:1: broken"));
}

TEST_CASE("failures in on_error and on_log change nothing for the client") {
  LogLines lines;
  PolicyRig rig;
  rig.policy("p",
             "function on_request() error('first') end function on_error() error('second') end"
             " function on_log() error('third') end");
  REQUIRE(rig.load().empty());
  const Answer answer = rig.get();
  CHECK(answer.status == 500);
  CHECK(contains(answer.body, "script_error"));
  CHECK(answer.ended);
  CHECK(rig.registry.sum(telemetry::Family::ScriptErrorsTotal) == 3);
}

TEST_CASE("on_error sees the failure and can answer instead") {
  LogLines lines;
  PolicyRig rig;
  rig.policy("sorry",
             "function on_error(r, failure) r:reply(503, failure.error .. failure.side .."
             " failure.status) end");
  rig.policy("fails", "function on_request() while true do end end").budget.cpu =
      std::chrono::milliseconds(5);
  REQUIRE(rig.load().empty());
  const Answer answer = rig.get();
  CHECK(answer.status == 503);
  CHECK(answer.body == "script_cpuscript500");
}

TEST_CASE("a hook over its budgets ends its own request only") {
  LogLines lines;
  PolicyRig rig;
  auto& policy = rig.policy("p", R"(
    function on_request(request)
      if request.path == "/cpu" then while true do pcall(function() while true do end end) end end
      if request.path == "/memory" then local s = "x" while true do s = s .. s end end
      if request.path == "/headers" then
        while true do request.headers.x = ("y"):rep(60000) end
      end
    end)");
  policy.budget = {.cpu = std::chrono::milliseconds(20), .memory = 2 * 1024 * 1024};
  REQUIRE(rig.load().empty());
  for (int i = 0; i < 2; ++i) {
    CHECK(contains(rig.get("/cpu").body, "script_cpu"));
    CHECK(contains(rig.get("/memory").body, "script_memory"));
    CHECK(contains(rig.get("/headers").body, "script_memory"));
    CHECK(rig.get("/").body == "local");
  }
  CHECK(contains(lines.text, "p.lua:3: CPU budget of 20 ms exceeded"));
  CHECK(contains(lines.text,
                 "p.lua:2: memory budget of 2 MiB exceeded in the function that begins there"));
  CHECK(contains(lines.text, "p.lua:6: memory budget of 2 MiB exceeded\""));
}

TEST_CASE("a hook that waits for longer than its time budget ends its own request only") {
  LogLines lines;
  PolicyRig rig;
  fresh_policy(rig, R"(
    function on_request(request)
      if request.path == "/time" then proxy.sleep(1000) end
    end)")
      .budget.time = std::chrono::milliseconds(0);
  REQUIRE(rig.load().empty());
  for (int i = 0; i < 2; ++i) {
    CHECK(contains(rig.get("/time").body, "script_time"));
    CHECK(rig.get("/").body == "local");
  }
  CHECK(contains(lines.text, "p.lua:3: time budget of 0 ms exceeded"));
}

TEST_CASE("what this version has not says so") {
  for (const char* code :
       {"proxy.fetch{}", "proxy.store('x')", "proxy.hash.sha256('x')", "proxy.jwt.verify('x')",
        "proxy.regex('x')", "proxy.spawn(type)", "proxy.store:get('x')", "proxy.regex.match('x')",
        "if proxy.store then error('it is there') end"}) {
    CAPTURE(code);
    CHECK(contains(asked("select(2, pcall(function() " + std::string(code) + " end))"),
                   "is not available in this version"));
  }
}

TEST_CASE("a name that proxy has not raises, and the nearest is named") {
  CHECK(contains(raised("proxy.jsn.encode({})"),
                 "p.lua:1: proxy has no field 'jsn'; did you mean 'json'?"));
  CHECK(contains(raised("local x = proxy.Now()"), "did you mean 'now'?"));
  CHECK(contains(raised("local x = proxy.nosuch_function"), "no field 'nosuch_function'"));
  CHECK(contains(raised("local x = proxy[5]"), "no field with a key of type number"));
  CHECK(raised("for _ in pairs(proxy) do end") == "");
}

TEST_CASE("the texts that proxy encodes are decoded again, and broken ones refused") {
  CHECK(
      asked(
          "proxy.base64.encode('f') .. proxy.base64.encode('fo') .. proxy.base64.encode('foo')") ==
      "Zg==Zm8=Zm9v");
  CHECK(asked("proxy.base64.decode('Zg==') .. proxy.base64.decode('Zm8') .. "
              "proxy.base64url.decode(proxy.base64url.encode('\\255\\254'))") == "ffo\xff\xfe");
  CHECK(asked("proxy.base64.decode('Z') or proxy.base64.decode('Zh==') or "
              "proxy.base64.decode('_w==')") == "nil");
  CHECK(asked("proxy.hex.encode('\\1\\255') .. tostring(proxy.hex.decode('0g'))") == "01ffnil");
  CHECK(asked("proxy.url.encode('a b/ü') .. proxy.url.decode('%41%zz')") == "a%20b%2F%C3%BCA%zz");
  CHECK(asked("proxy.url.parse('https://u@h.example:8443/p?q#f').port") == "8443");
  CHECK(asked("proxy.url.parse('https://u@[::1]/p?q#f').host") == "[::1]");
  CHECK(asked("proxy.url.parse('nonsense') == nil and proxy.url.parse('http://h:x/') == nil") ==
        "true");
  CHECK(asked("proxy.ip.cidr{'10.0.0.0/8', '::1'}:contains('10.1.2.3')") == "true");
  CHECK(asked("proxy.ip.cidr('10.0.0.0/8'):contains('11.1.2.3')") == "false");
  CHECK(asked("pcall(proxy.ip.cidr, {'10.0.0.0/99'})") == "false");
  CHECK(asked("proxy.secure_equals('abc', 'abc') and not proxy.secure_equals('abc', 'abd')"
              " and not proxy.secure_equals('abc', '') and not proxy.secure_equals('', 'a')") ==
        "true");
  CHECK(asked("proxy.uuid():match('^%x+%-%x+%-4%x+%-[89ab]%x+%-%x+$') ~= nil") == "true");
  CHECK(asked("#proxy.random_bytes(1000) .. tostring(proxy.uuid() == proxy.uuid())") ==
        "1000false");
}

TEST_CASE("JSON survives the way there and back, and what is none is refused") {
  CHECK(asked("proxy.json.encode(proxy.json.decode('[1,-2.5,\"a\\\\n\\\\u00fc\\\\ud83d\\\\ude00\","
              "true,null,"
              "{\"k\":[]},{}]'))") == "[1,-2.5,\"a\\nü😀\",true,null,{\"k\":[]},{}]");
  CHECK(asked("proxy.json.encode({1, 2, nil, 4}) ~= nil") == "true");
  CHECK(asked("proxy.json.encode({a = 1e300})") == "{\"a\":1e+300}");
  CHECK(asked("proxy.json.encode(proxy.json.array())") == "[]");
  CHECK(asked("proxy.json.encode({['a\"b'] = '\\1'})") == "{\"a\\\"b\":\"\\u0001\"}");
  for (const char* text : {"", "{", "[1,]", "{\"a\"}", "01", "1.", "-", "+1", "nul", "\"a",
                           "\"\\x\"", "\"\\ud800\"", "[1] 2", "{'a':1}", "1e999", "\"\n\""}) {
    CAPTURE(text);
    CHECK(asked("proxy.json.decode([==[" + std::string(text) + "]==])") == "nil");
  }
  CHECK(asked("proxy.json.decode(('['):rep(1000))") == "nil");
  for (const char* value :
       {"type", "0/0", "1/0", "{[{}] = 1}", "request", "coroutine.create(function() end)"}) {
    CAPTURE(value);
    CHECK(asked("pcall(proxy.json.encode, " + std::string(value) + ")") == "false");
  }
  CHECK(asked("pcall(function() local t = {} t[1] = t proxy.json.encode(t) end)") == "false");
}

TEST_CASE("options are the policy's, with their types") {
  PolicyRig rig;
  rig.policy("p",
             "function on_request(r) r:reply(200, options.a.b[2] .. options.n + 1 .."
             " tostring(options.f) .. tostring(options.none)) end")
      .options_json = R"({"a":{"b":["x","y"]},"n":41,"f":false,"none":null})";
  REQUIRE(rig.load().empty());
  CHECK(rig.get().body == "y42falsenil");
}
