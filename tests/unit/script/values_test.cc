// SPDX-License-Identifier: Apache-2.0
// What scripts hand to the proxy: refused where it would break a message, whichever way it goes.
#include <doctest/doctest.h>

#include "script/values.h"
#include "unit/script/asked.h"

using namespace tidegate;
using namespace tidegate::script;

TEST_CASE("L11: a field's value has no control character but the tab, wherever it stands") {
  for (size_t size = 1; size <= 20; ++size) {
    for (int byte = 0; byte < 256; ++byte) {
      for (size_t at = 0; at < size; ++at) {
        std::string value(size, 'x');
        value[at] = static_cast<char>(byte);
        const bool bad = (byte < ' ' && byte != '\t') || byte == 0x7f;
        if (is_field_value(value) == bad) {
          CAPTURE(byte);
          CAPTURE(size);
          CAPTURE(at);
          FAIL("a wrong answer");
        }
      }
    }
  }
  CHECK(is_field_value(""));
  CHECK(is_field_value("a\tb\tc\td\te\tf"));
}

TEST_CASE("L11: every place that takes a field's value refuses what RFC 9110 5.5 forbids") {
  for (const char* value : {"'a\\1b'", "'a\\127'", "'\\0'", "'a\\rb'", "'a\\nb'",
                            "('x'):rep(9) .. '\\31'", "{}", "true", "('y'):rep(70000)"}) {
    for (const char* use :
         {"h['x-name'] = V", "h:add('x-name', V)", "request.trailers.x = V",
          "request.trailers:add('x', V)", "request:reply(200, '', { ['x-name'] = V })",
          "request:reply(200, '', { ['x-name'] = { 'fine', V } })", "request:redirect(V)"}) {
      std::string code = use;
      code.replace(code.find('V'), 1, value);
      if (code.find("= {}") != std::string::npos && code.find("reply") != std::string::npos) {
        continue;  // an empty list of values: no field
      }
      CAPTURE(code);
      CHECK_FALSE(raised(code).empty());
    }
  }
  CHECK(contains(raised("h.x = 'ab\\1c'"), "control character 1, which is its byte 3"));
}

TEST_CASE("L11: spaces around a value are taken off, a tab inside stays") {
  CHECK(asked("(function() request.headers.x = ' \\ta\\tb \\t' return request.headers.x end)()") ==
        "a\tb");
  PolicyRig rig;
  rig.policy("p",
             "function on_request(r) r:reply(200, 'x', { a = '  sp  ', b = { ' 1', '2 ' } }) end");
  REQUIRE(rig.load().empty());
  const Answer answer = rig.get();
  CHECK(answer.headers.at("a") == "sp");
  CHECK(answer.headers.at("b") == "1, 2");
}

TEST_CASE("L12: a host that is none is refused") {
  for (const char* host : {"a b", "a/b?c", "", " ", "a\\r\\nb", "a@b", "a:99999", "a:x", "[::1",
                           "a..b", "http://a", "a,b", "\\195\\188"}) {
    CAPTURE(host);
    const std::string value = std::string("'") + host + "'";
    CHECK_FALSE(raised("h.host = " + value).empty());
    CHECK_FALSE(raised("h['HOST'] = " + value).empty());
    CHECK_FALSE(raised("h.host = nil h:add('Host', " + value + ")").empty());
  }
  for (const char* host : {"a", "a.example:8080", "[::1]:80", "10.0.0.1", "A.Example", "a_b"}) {
    CAPTURE(host);
    CHECK(raised(std::string("h.host = '") + host + "'") == "");
  }
  CHECK(contains(raised("h.host = 'a b'"), "not a host: 'a b'"));
  CHECK(contains(raised("h:add('host', 'b')"), "assign it instead of adding one"));
}

TEST_CASE("L17: a redirect has a status that redirects and a target that is a URL") {
  for (const char* status : {"304", "300", "305", "306", "309", "200", "'x'", "302.5", "0/0"}) {
    CAPTURE(status);
    CHECK(contains(raised(std::string("request:redirect('/x', ") + status + ")"),
                   "301, 302, 303, 307 or 308"));
  }
  for (const char* target : {"''", "'a b'", "'/\\1'", "'/\\195\\188'", "{}", "nil"}) {
    CAPTURE(target);
    CHECK_FALSE(raised(std::string("request:redirect(") + target + ")").empty());
  }
  for (const char* status : {"301", "302", "303", "307", "308"}) {
    CHECK(raised(std::string("request:redirect('https://a.example/%20?b#c', ") + status + ")") ==
          "");
  }
}

TEST_CASE("L17: a reply has one Date and one Content-Type, and no framing of the script's") {
  {
    PolicyRig rig;
    rig.policy("p", R"(function on_request(r)
    r:reply(200, "x", { date = "Thu, 01 Jan 1970 00:00:00 GMT", ["content-type"] = "text/css",
                        ["Content-Type"] = "text/css" })
  end)");
    REQUIRE(rig.load().empty());
    const Answer answer = rig.get();
    CHECK(answer.headers.at("date") == "Thu, 01 Jan 1970 00:00:00 GMT");
    CHECK(answer.headers.at("content-type") == "text/css");
  }
  for (const char* name : {"content-length", "Connection", "TRANSFER-ENCODING", "upgrade", "te",
                           "keep-alive", "proxy-connection", "http2-settings"}) {
    CAPTURE(name);
    CHECK(contains(raised(std::string("request:reply(200, '', { ['") + name + "'] = 'x' })"),
                   "belongs to the proxy"));
    CHECK(contains(raised(std::string("h['") + name + "'] = 'x'"), "belongs to the proxy"));
  }
}

TEST_CASE("L17: statuses, methods, paths, queries and timeouts are checked") {
  for (const char* code :
       {"request:reply(200.5)",       "request:reply('200')",  "request:reply(99)",
        "request:reply(600)",         "request:reply(100)",    "request:reply()",
        "request:reply(0/0)",         "request.method = ''",   "request.method = 'A B'",
        "request.method = 'CONNECT'", "request.method = 5",    "request.method = ('x'):rep(100)",
        "request.path = 'a'",         "request.path = '/a b'", "request.path = '/a?b'",
        "request.path = '/a\\0'",     "request.path = {}",     "request.path = '/../..'",
        "request.query = 'a b'",      "request.query = 'a#b'", "request.query = 'a\\r\\nb'",
        "request.query = true",       "request.timeout = 0",   "request.timeout = -1",
        "request.timeout = 0/0",      "request.timeout = 'x'", "request.timeout = 1e9",
        "request.timeout = nil",      "request.cluster = {}"}) {
    CAPTURE(code);
    CHECK_FALSE(raised(code).empty());
  }
  CHECK(raised("request.method = 'PURGE' request.path = '/b' request.query = 'a=%20' "
               "request.timeout = 0.5") == "");
}

TEST_CASE("L17: what only a head may have is no trailer") {
  for (const char* name :
       {"host", "authorization", "content-type", "cookie", "set-cookie", "location", "vary"}) {
    CAPTURE(name);
    CHECK(contains(raised(std::string("request.trailers['") + name + "'] = 'x'"),
                   "cannot be a trailer"));
  }
  CHECK(raised("request.trailers['x-sum'] = '1'") == "");
}

TEST_CASE("L6: a loop over headers may change them") {
  PolicyRig rig;
  const PolicyRig::Pairs sent{{"x-a", "1"}, {"x-b", "2"}, {"x-c", "3"}, {"x-d", "4"}};
  rig.policy("p", R"(function on_request(r)
    local h = r.headers
    if r.path == "/remove" then
      for n in h:each() do if n:sub(1, 2) == "x-" then h[n] = nil end end
    elseif r.path == "/add" then
      for n, v in h:each() do h:add("orig-" .. n, v) end
    elseif r.path == "/set" then
      for n, v in h:each() do h[n] = nil if n ~= "host" then h:add(n, v .. v) end end
    elseif r.path == "/trailers" then
      local t = r.trailers
      for i = 1, 4 do t:add("t" .. i, "v") end
      for n in t:each() do t[n] = nil end
      return r:reply(200, tostring(t:count()))
    end
    local names = {}
    local function own(n) return not n:find("forwarded") and not n:find("request%-id") end
    for n, v in h:each() do if own(n) then names[#names + 1] = n .. "=" .. v end end
    table.sort(names)
    r:reply(200, table.concat(names, " "))
  end
  function on_response(response)
    local h = response.headers
    for i = 1, 6 do h:add("y-" .. i, "v") end
    for n in h:each() do if n:sub(1, 2) == "y-" then h[n] = nil end end
  end)");
  REQUIRE(rig.load().empty());
  CHECK(rig.get("/remove", sent).body == "host=test.example");
  CHECK(rig.get("/add", sent).body ==
        "host=test.example orig-host=test.example orig-x-a=1 orig-x-b=2 orig-x-c=3 orig-x-d=4 "
        "x-a=1 x-b=2 x-c=3 x-d=4");
  CHECK(rig.get("/set", sent).body == "x-a=11 x-b=22 x-c=33 x-d=44");
  CHECK(rig.get("/trailers", sent).body == "0");
  for (const auto& [name, value] : rig.get("/", sent).headers) CHECK(name[1] != '-');
}

TEST_CASE("L24: JSON holds no invalid UTF-8, and integers keep their digits") {
  for (const char* text : {"'\\255'", "'a\\195'", "'\\192\\128'", "'\\237\\160\\128'",
                           "'\\244\\144\\128\\128'", "{ k = { '\\128' } }", "{ ['\\255'] = 1 }"}) {
    CAPTURE(text);
    CHECK(contains(raised(std::string("proxy.json.encode(") + text + ")"), "no UTF-8 at its byte"));
    CHECK(raised(std::string("proxy.json.encode(") + text + ", { invalid_utf8 = 'replace' })") ==
          "");
  }
  CHECK(asked("proxy.json.encode('a\\255b\\195\\188\\195', { invalid_utf8 = 'replace' })") ==
        "\"a\xef\xbf\xbd"
        "b\xc3\xbc\xef\xbf\xbd\"");
  CHECK(contains(raised("proxy.json.encode('x', { invalid_utf8 = 'drop' })"), "can be 'replace'"));
  CHECK(asked("select(2, proxy.json.decode('[12345678901234567]'))")
            .starts_with("an integer beyond 2^53"));
  CHECK(asked("proxy.json.decode('[-9007199254740993]')") == "nil");
  CHECK(asked("proxy.json.decode('[12345678901234567]', { big_integers = 'string' })[1]") ==
        "12345678901234567");
  CHECK(
      asked(
          "proxy.json.encode(proxy.json.decode('[9007199254740991,-9007199254740991]')) ~= nil") ==
      "true");
  CHECK(asked("proxy.json.decode('[1.5e300]')[1]") == "1.5e+300");
}

TEST_CASE("L26: a list of blocks answers as each block alone would") {
  CHECK(asked(R"((function()
    local list = proxy.ip.cidr { "10.0.0.0/8", "10.1.0.0/16", "10.0.0.0/16", "192.0.2.1", "2001:db8::/32",
                                 "2001:db8:1::/48", "::ffff:198.51.100.0/120", "fd00::/8", "0.0.0.0/32" }
    local inside = { "10.0.0.0", "10.255.255.255", "10.1.2.3", "192.0.2.1", "2001:db8::", "2001:db8:ffff::1",
                     "198.51.100.7", "::ffff:10.2.3.4", "fdff::1", "0.0.0.0" }
    local outside = { "9.255.255.255", "11.0.0.0", "192.0.2.0", "192.0.2.2", "2001:db7:ffff::", "2001:db9::",
                      "198.51.101.0", "fe00::", "::1", "0.0.0.1", "x", "" }
    for _, ip in ipairs(inside) do if not list:contains(ip) then return ip end end
    for _, ip in ipairs(outside) do if list:contains(ip) then return ip end end
    if proxy.ip.cidr {}:contains("::1") or not proxy.ip.cidr("::/0"):contains("1.2.3.4") then return "all" end
    return "right"
  end)())") == "right");
}

TEST_CASE("L26: 60,000 blocks answer as fast as six") {
  CHECK(asked(R"((function()
    local blocks = {}
    for i = 0, 59999 do
      blocks[i + 1] = ("%d.%d.%d.0/25"):format(1 + i % 200, math.floor(i / 200) % 256, math.floor(i / 51200))
    end
    local list, few = proxy.ip.cidr(blocks), proxy.ip.cidr { "1.0.0.0/25" }
    local function time(l)
      local begun, found = os.clock(), 0
      for i = 1, 2000 do if l:contains("1.0.0." .. i % 256) then found = found + 1 end end
      return os.clock() - begun, found
    end
    local many_time, found = time(list)
    local few_time = time(few)
    return found == 1023 and many_time < few_time * 20 + 0.1
  end)())") == "true");
}

TEST_CASE("L26: so do 60,000 blocks of IPv6, and blocks within blocks") {
  constexpr std::pair<const char*, const char*> kLists[] = {
      {R"(("2001:db8:%x:%x::/64"):format(i % 256, math.floor(i / 256)))",
       R"("2001:db8:7:1::" .. i)"},
      {R"(("10.%d.%d.0/%d"):format(i % 256, math.floor(i / 256), 8 + i % 17))",
       R"("11.0.0." .. i % 256)"},
      {R"(("2001:%x:%x::/%d"):format(i % 256, math.floor(i / 256), 16 + i % 33))",
       R"("2002::" .. i)"},
  };
  for (const auto& [block, asked_for] : kLists) {
    CAPTURE(block);
    std::string text = R"((function()
      local blocks = {}
      for i = 0, 59999 do blocks[i + 1] = BLOCK end
      local list, few = proxy.ip.cidr(blocks), proxy.ip.cidr { blocks[8] }
      local function time(l)
        local begun = os.clock()
        for i = 1, 2000 do l:contains(ASKED) end
        return os.clock() - begun
      end
      local many_time = time(list)
      return many_time < time(few) * 20 + 0.1
    end)())";
    text.replace(text.find("BLOCK"), 5, block);
    text.replace(text.find("ASKED"), 5, asked_for);
    CHECK(asked(text) == "true");
  }
}

TEST_CASE("what a function is called elsewhere is named, and values that are refused are shown") {
  constexpr std::pair<const char*, const char*> kSaid[] = {
      {"return request.ip", "did you mean 'client_ip'?"},
      {"return request.url", "did you mean 'path' and 'query'?"},
      {"return request:json()", "did you mean 'proxy.json.decode(request:body())'?"},
      {"return request.get_header('x')", "did you mean 'headers[name]'?"},
      {"request:reply(99)", "(a status from 200 to 599 expected, got 99)"},
      {"request:reply(200.5)", "(a status from 200 to 599 expected, got 200.5)"},
      {"request:reply('x')", "(a status from 200 to 599 expected, got string)"},
      {"request:redirect('/x', 305)", "(301, 302, 303, 307 or 308 expected, got 305)"},
      {"request:redirect('https://x.example/a b')",
       "whose byte 20 cannot stand in a URL: write %20"},
      {"request:redirect('/\\195\\188')", "whose byte 2 cannot stand in a URL: write %C3"},
      {"request:redirect('')", "got the target '': it must begin with http://, https:// or /"},
      {"request:redirect('foo')", "got the target 'foo': it must begin with"},
      {"request:redirect('javascript:alert(1)')", "it must begin with http://"},
      {"request:redirect('javascript://%0aalert(1)')", "it must begin with http://"},
      {"request:redirect('https://')", "it must begin with http://"},
  };
  for (const auto& [code, said] : kSaid) {
    CAPTURE(std::string(code));
    const std::string message = raised(code);
    CAPTURE(message);
    CHECK(contains(message, said));
  }
  for (const char* target : {"/", "//cdn.example/x", "HTTPS://a.example", "http://a?b#c"}) {
    CHECK(raised(std::string("request:redirect('") + target + "')") == "");
  }
}
