// SPDX-License-Identifier: Apache-2.0
// What can be read and written in which hook, and the errors of scripts that try otherwise.
#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "script/fields.h"
#include "unit/script/asked.h"

using namespace tidegate;
using namespace tidegate::script;

namespace {

// What statements in that hook raise, with `request` and, where there is one, `response`.
std::string raised_in(const std::string& hook, const std::string& statements) {
  LogLines lines;
  PolicyRig rig;
  const bool swapped = hook == "on_response";
  const std::string arguments = swapped ? "(response, request)" : "(request, response)";
  const std::string fails = hook == "on_error" ? "function on_request() error('x') end " : "";
  rig.policy("p", fails + "function " + hook + arguments + " local ok, why = pcall(function() " +
                      statements + " end) proxy.log.info('said:' .. tostring(why)) end");
  const std::vector<std::string> errors = rig.load();
  if (!errors.empty()) return errors.front();
  rig.get("/a?x=1");
  const size_t at = lines.text.find("said:");
  if (at == std::string::npos) return "nothing said";
  return lines.text.substr(at + 5, lines.text.find('"', at) - at - 5);
}

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("L21: the reference shows the table of fields and hooks") {
  const std::string path = TIDEGATE_SOURCE_DIR "/scripts/README.md";
  const std::string text = read(path);
  const std::string begin = "<!-- fields: made by unit_script -->\n";
  const std::string end = "<!-- end of fields -->";
  const size_t from = text.find(begin);
  const size_t to = text.find(end);
  REQUIRE(from != std::string::npos);
  REQUIRE(to != std::string::npos);
  const size_t start = from + begin.size();
  if (std::getenv("TIDEGATE_REWRITE_GOLDEN")) {
    std::ofstream(path, std::ios::binary)
        << text.substr(0, start) << fields_reference() << text.substr(to);
  }
  CHECK(read(path).substr(start).starts_with(fields_reference() + end));
}

TEST_CASE("L21: what has been sent cannot be set any more, and that is said") {
  for (const char* code :
       {"request.headers.x = 'y'", "request.headers.x = nil", "request.headers:add('x', 'y')",
        "request.trailers.x = 'y'", "request.path = '/b'", "request.method = 'PUT'",
        "request.query = 'a'", "request.args.x = 'y'", "request.args:add('x', 'y')",
        "request.timeout = 1", "request.cluster = 'b'"}) {
    CAPTURE(code);
    CHECK(contains(raised_in("on_response", code),
                   " cannot be set in on_response: the request has been sent"));
    CHECK(contains(raised_in("on_error", code),
                   " cannot be set in on_error: the request has failed"));
    CHECK(contains(raised_in("on_log", code), " cannot be set in on_log: the exchange is over"));
  }
  CHECK(contains(raised_in("on_response", "request.headers.x = 'y'"),
                 "p.lua:1: request.headers cannot"));
  for (const char* code : {"response.headers.x = 'y'", "response.headers:add('x', 'y')",
                           "response.status = 404", "response.trailers.x = 'y'"}) {
    CAPTURE(code);
    CHECK(raised_in("on_response", code) == "nil");
    CHECK(contains(raised_in("on_log", code),
                   " cannot be set in on_log: the response has been sent"));
  }
  for (const char* code : {"response:set_body('x')", "response:retry()"}) {
    CAPTURE(code);
    CHECK(contains(raised_in("on_log", code),
                   "cannot be called in on_log: the response has been sent"));
  }
  CHECK(contains(raised_in("on_log", "request:reply(200)"),
                 "request:reply cannot be called in on_log: the exchange is over"));
  CHECK(contains(raised_in("on_response", "request:set_body('x')"),
                 "request:set_body cannot be called in on_response: the request has been sent"));
  CHECK(raised_in("on_log", "request.vars.x = 1") == "nil");
}

TEST_CASE("L21: what is never set says so") {
  for (const char* code : {"request.id = 'x'", "request.host = 'x'", "request.headers = {}",
                           "request.reply = 1", "request.args = {}", "request.vars = {}"}) {
    CAPTURE(code);
    CHECK(contains(raised(code), " cannot be set: it is read-only"));
  }
  CHECK(contains(raised_in("on_response", "response.from_origin = true"),
                 "response.from_origin cannot be set: it is read-only"));
}

TEST_CASE("L23: an unknown field raises with the name that is nearest") {
  CHECK(contains(raised("return request.clientip"),
                 "request has no field 'clientip'; did you mean 'client_ip'?"));
  CHECK(contains(raised("return request.header"), "did you mean 'headers'?"));
  CHECK(contains(raised("request.pth = '/x'"), "did you mean 'path'?"));
  CHECK(contains(raised("return request.redirct"), "did you mean 'redirect'?"));
  CHECK(contains(raised("return request[1]"), "no field with a key of type number"));
  CHECK(contains(raised("return request.zzzzzzzz"), "request has no field 'zzzzzzzz'"));
  CHECK(contains(raised_in("on_response", "return response.state"), "did you mean 'status'?"));
  CHECK(contains(raised_in("on_response", "return response.cookies"),
                 "response has no field 'cookies'"));
}

TEST_CASE("L23: a handle is no table, and the error names what to write") {
  for (const char* code : {"for _ in pairs(H) do end", "for _ in ipairs(H) do end"}) {
    for (const char* handle : {"request.headers", "request.trailers", "request.args"}) {
      std::string statements = code;
      statements.replace(statements.find('H'), 1, handle);
      CAPTURE(statements);
      CHECK(contains(raised(statements), std::string("write ") + handle + ":each()"));
    }
  }
  CHECK(contains(raised("return #request.headers"), "write request.headers:count()"));
  CHECK(contains(raised("return #request.args"), "write request.args:count()"));
  CHECK(contains(raised("for _ in pairs(request.vars) do end"), "read its fields by name"));
  CHECK(contains(raised("return #request"), "# does not work on request"));
  CHECK(contains(raised("pairs(5)"), "bad argument #1 to 'pairs' (table expected, got number)"));
  CHECK(contains(raised("ipairs()"), "bad argument #1 to 'ipairs' (table expected, got no value)"));
  CHECK(contains(raised("return #proxy.json.null"), "attempt to get length of a userdata"));
  CHECK(asked("(function() local n = 0 for k, v in pairs{1, 2, a = 3} do n = n + v end"
              " for i, v in ipairs{4, 5} do n = n + v end return n end)()") == "15");
}

TEST_CASE("L23: request.args is a view that edits the query") {
  const auto query = [](const std::string& code, const std::string& given) {
    return asked("(function() local a = request.args " + code + " return request.query end)()",
                 "/p" + given);
  };
  CHECK(query("", "?x=1&y=2") == "x=1&y=2");
  CHECK(query("a.x = nil", "?x=1&y=2&x=3") == "y=2");
  CHECK(query("a.x = nil", "?x=1") == "nil");
  CHECK(query("a.x = nil", "") == "nil");
  CHECK(query("a.x = 'a b&c'", "?w&x=1&y=2&x=3") == "w&x=a%20b%26c&y=2");
  CHECK(query("a['n m'] = 5", "?x=1") == "x=1&n%20m=5");
  CHECK(query("a['n m'] = 6", "?n%20m=1&n+m=2") == "n%20m=6");
  CHECK(query("a:add('x', 2)", "?x=1") == "x=1&x=2");
  CHECK(query("a:add('x', '')", "") == "x=");
  CHECK(query("for n in a:each() do a[n] = nil end", "?x=1&y=2&z=3") == "nil");
  CHECK(query("for n, v in a:each() do a:add(n .. n, v) end", "?x=1&y=a%20b") ==
        "x=1&y=a%20b&xx=1&yy=a%20b");
  CHECK(asked("request.args.x .. request.args:all('x')[2] .. request.args:count()",
              "/?x=a+b&x=%41&y") == "a bA3");
  CHECK(
      asked("tostring(request.args.none) .. '[' .. request.args.y .. ']' .. #request.args:all('z')",
            "/?y") == "nil[]0");
  CHECK(contains(raised("request.args.x = {}"), "must be a string, a number or nil, not a table"));
  CHECK(
      contains(raised("request.args[1] = 'x'"), "the name of a query parameter must be a string"));
  CHECK(contains(raised("request.args:all()"),
                 "bad argument #1 to 'request.args:all' (string expected"));
}

TEST_CASE("L23: log lines take a table of fields, and show tables in it as JSON") {
  LogLines lines;
  CHECK(contains(raised("proxy.log.info('a', 'b')"),
                 "write proxy.log.info(message, { name = value })"));
  CHECK(contains(raised("proxy.log.error('a', 5)"),
                 "write proxy.log.error(message, { name = value })"));
  CHECK(contains(raised("proxy.log.warn({})"), "a log message must be a string, not a table"));
  CHECK(raised("proxy.log.info('nested', { list = { 1, 2 }, map = { a = { b = true } }, f = print,"
               " loop = (function() local t = {} t[1] = t return t end)() })") == "");
  CAPTURE(lines.text);
  CHECK(contains(lines.text, "[1,2]"));
  CHECK((contains(lines.text, R"({\"a\":{\"b\":true}})") ||
         contains(lines.text, R"({"a":{"b":true}})")));
}

TEST_CASE("L18: an argument's error has file, line, name and the author's number") {
  const auto last_error = [](const std::string& statement) {
    LogLines lines;
    PolicyRig rig;
    fresh_policy(
        rig, "function on_request(request)\n local h = request.headers\n " + statement + "\nend");
    if (!rig.load().empty()) return std::string("not loaded");
    rig.get();
    return lines.text;
  };
  for (const char* how : {"return request:reply('x', 1)", "request:reply('x', 1)",
                          "local ok, why = pcall(request.reply, request, 'x', 1) error(why, 0)"}) {
    CAPTURE(how);
    CHECK(contains(last_error(how),
                   "p.lua:3: bad argument #1 to 'request:reply' (a status from 200 to 599 "
                   "expected, got string)"));
  }
  CHECK(contains(last_error("return request:reply(200, {})"),
                 "p.lua:3: bad argument #2 to 'request:reply' (string expected, got table)"));
  CHECK(contains(last_error("return request:reply(200, '', 'x')"),
                 "p.lua:3: bad argument #3 to 'request:reply' (table expected, got string)"));
  CHECK(contains(last_error("return request:set_body()"),
                 "p.lua:3: bad argument #1 to 'request:set_body' (string expected, got no value)"));
  CHECK(contains(last_error("return request:redirect({})"),
                 "p.lua:3: bad argument #1 to 'request:redirect'"));
  CHECK(contains(last_error("return request.reply(1)"),
                 "p.lua:3: request expected; call its functions with a colon"));
  // A tail call of a function that is no method of request or response is known by its hook only.
  CHECK(contains(last_error("return h:all()"),
                 "p.lua:1: bad argument #1 to 'headers:all' (string expected"));
  CHECK(contains(last_error("return proxy.json.decode({})"),
                 "p.lua:1: bad argument #1 to 'proxy.json.decode' (string expected, got table)"));
  CHECK(contains(last_error("h:all()"), "p.lua:3: bad argument #1 to 'headers:all'"));
  for (const char* call :
       {"proxy.base64.encode({})", "proxy.base64url.decode()", "proxy.hex.encode(nil)",
        "proxy.url.encode({})", "proxy.url.parse({})", "proxy.random_bytes('x')",
        "proxy.secure_equals('a')", "proxy.sleep('x')", "proxy.cluster({})", "proxy.env({})",
        "proxy.ip.cidr(5)", "proxy.limit({})", "proxy.json.array(5)"}) {
    CAPTURE(call);
    const std::string function = std::string(call).substr(0, std::string(call).find('('));
    CHECK(contains(raised(call), "to '" + function + "' ("));
    CHECK(contains(raised(call), "p.lua:1: bad argument #"));
  }
}
