// SPDX-License-Identifier: Apache-2.0
// How a hook ends: with an error of any kind, with a result that it has not, over a budget of what
// the proxy holds for it.
#include <doctest/doctest.h>

#include <malloc.h>
#include <algorithm>
#include <functional>

#include "unit/script/asked.h"

using namespace tidegate;
using namespace tidegate::script;

namespace {

// The log of one request through a policy.
std::string logged(const std::string& script, unsigned* status = nullptr) {
  LogLines lines;
  PolicyRig rig;
  fresh_policy(rig, script);
  const std::vector<std::string> errors = rig.load();
  if (!errors.empty()) return errors.front();
  const Answer answer = rig.get();
  if (status != nullptr) *status = answer.status;
  return lines.text;
}

}  // namespace

TEST_CASE("L8: a result of a hook that has none is an error that names the right call") {
  unsigned status = 0;
  CHECK(contains(logged("\nfunction on_request(r) return 403 end", &status),
                 "p.lua:2: on_request returned 403; write return request:reply(403)"));
  CHECK(status == 500);
  CHECK(contains(logged("function on_request(r) return 'no' end"),
                 "on_request returned a string; write return request:reply(200, text)"));
  CHECK(contains(logged("function on_request(r) return nil, 'x' end"),
                 "on_request returned a string"));
  CHECK(contains(logged("function on_request(r) return nil, 1 end"),
                 "on_request returned 1; write return request:reply(status, body)"));
  CHECK(contains(logged("function on_request(r) return false end"), "on_request returned false"));
  CHECK(contains(logged("function on_request(r) return r end"), "on_request returned a userdata"));
  CHECK(contains(logged("function on_response(r) return 404 end"), "on_response returned 404"));
  CHECK(contains(logged("function on_response(r) return true end"), "on_response returned true"));
  CHECK(contains(logged("function on_request() error('x') end function on_error() return 503 end"),
                 "on_error returned 503; write return request:reply(503)"));
  CHECK(contains(logged("function on_log() return 1 end"), "on_log returned 1; write nothing"));
}

TEST_CASE("L8: what reply, redirect and retry return may be returned") {
  unsigned status = 0;
  CHECK(logged("function on_request(r) return r:reply(403) end", &status) == "");
  CHECK(status == 403);
  CHECK(logged("function on_request(r) return r:redirect('/x') end", &status) == "");
  CHECK(status == 302);
  CHECK(logged("function on_response(response) return response:retry() end", &status) == "");
  CHECK(status == 200);
  CHECK(logged("function on_request(r) return nil, nil end", &status) == "");
  CHECK(status == 200);
}

TEST_CASE("L19: an error object is logged by what it says, with file and line") {
  CHECK(contains(logged("function on_request()\n error({ code = 42, message = 'm' }) end"),
                 "p.lua:2: m"));
  CHECK(contains(logged("function on_request()\n error(setmetatable({ code = 42, message = 'm' },"
                        " { __tostring = function(e) return 'code ' .. e.code end })) end"),
                 "p.lua:2: code 42"));
  const std::string json = logged("function on_request()\n error({ code = 42 }) end");
  CHECK((contains(json, R"(p.lua:2: {\"code\":42})") || contains(json, R"(p.lua:2: {"code":42})")));
  CHECK(contains(logged("function on_request()\n error(42) end"), "42"));
  CHECK(contains(logged("function on_request()\n error() end"), "p.lua:2: (error object is nil)"));
  CHECK(contains(logged("function on_request()\n error(true) end"),
                 "p.lua:2: (error object is a boolean)"));
  CHECK(contains(logged("function on_request()\n error({ f = error }) end"),
                 "p.lua:2: (error object is a table)"));
  CHECK(contains(logged("error({ message = 'at top' }) function on_request() end"), "at top"));
}

TEST_CASE("L19: an error object cannot run away with the worker") {
  for (const char* body : {"while true do end", "error(e)", "proxy.sleep(1000)", "return 5",
                           "local s = 'x' while true do s = s .. s end"}) {
    CAPTURE(body);
    LogLines lines;
    PolicyRig rig;
    fresh_policy(
        rig,
        std::string("function on_request() error(setmetatable({ message = 'm' }, { __tostring ="
                    " function(e) ") +
            body + " end })) end")
        .budget = {.cpu = std::chrono::milliseconds(20),
                   .memory = 2 * 1024 * 1024,
                   .time = std::chrono::seconds(10)};
    REQUIRE(rig.load().empty());
    CHECK(contains(rig.get().body, "script_error"));
    CHECK(contains(rig.get().body, "script_error"));
    CHECK(contains(lines.text, "p.lua:1: m"));
  }
}

TEST_CASE("L25: two errors of one hook in one second are both logged, and one twice is not") {
  LogLines lines;
  PolicyRig rig;
  rig.policy("p", R"(function on_request(r)
      if r.path == "/a" then error("first of L25") end
      if r.path == "/b" then error("second of L25") end
      error("third of L25")
    end)");
  REQUIRE(rig.load().empty());
  for (const char* path : {"/a", "/a", "/a", "/b", "/c", "/b"}) rig.get(path);
  CHECK(contains(lines.text, "p.lua:2: first of L25"));
  CHECK(contains(lines.text, "p.lua:3: second of L25"));
  CHECK(contains(lines.text, "p.lua:4: third of L25"));
  CHECK(lines.text.find("first of L25") == lines.text.rfind("first of L25"));
}

TEST_CASE("L25: errors that a client varies are logged so many times a second") {
  for (const char* fail :
       {"error('no ' .. r.path)", "error({message = r.path})", "local t = nil return t[r.path]"}) {
    CAPTURE(std::string(fail));
    LogLines lines;
    PolicyRig rig;
    fresh_policy(rig, std::string("function on_request(r) ") + fail + " end");
    REQUIRE(rig.load().empty());
    for (int i = 0; i < 300; ++i) rig.get("/" + std::to_string(i));
    const auto count = static_cast<size_t>(std::count(lines.text.begin(), lines.text.end(), '\n'));
    CHECK(count >= 1);
    CHECK(count <= 33);  // eleven in a second; the test may take longer than one
  }
}

TEST_CASE("L14: reading by long names holds nothing") {
  PolicyRig rig;
  rig.policy("p", R"(function on_request(r)
      local long = ("n"):rep(60000)
      for i = 1, 2000 do
        local _ = r.headers[long .. i]
        r.headers[long .. i] = nil
        r.headers:all(long .. i)
      end
      proxy.sleep(1000)
    end)")
      .budget = {
      .cpu = std::chrono::seconds(20), .memory = 4 * 1024 * 1024, .time = std::chrono::seconds(10)};
  REQUIRE(rig.load().empty());
  const size_t before = mallinfo2().uordblks;
  rig.begin(rig.client(), "/").on_request_head(true);
  CHECK(mallinfo2().uordblks < before + 20'000'000);  // 120 MB of names went by
}

namespace {

// 60 exchanges that wait, one after the other, under a budget of 2 MiB.
struct Waiting {
  explicit Waiting(const std::string& script) {
    rig.policy("p", script).budget = {
        .cpu = std::chrono::seconds(1), .memory = 2 * 1024 * 1024, .time = std::chrono::hours(1)};
    REQUIRE(rig.load().empty());
  }

  void begin_all(const std::function<void(proxy::Exchange&)>& go) {
    for (int i = 0; i < 60; ++i) {
      RecordingClient& client = rig.client();
      proxy::Exchange& exchange = rig.begin(client, "/");
      go(exchange);
      rig.run_slices();
      if (client.answer.status == 0) waiting.push_back(&exchange);
      if (contains(client.answer.body, refusal)) ++refused;
    }
  }
  void give_back() {
    for (proxy::Exchange* exchange : waiting) exchange->on_client_gone();
    rig.run_slices();
    waiting.clear();
  }
  // As many as before fit again, so that nothing was kept.
  void check(const std::function<void(proxy::Exchange&)>& go) {
    begin_all(go);
    CHECK(refused >= 20);
    CHECK(waiting.size() >= 10);
    const size_t fitted = waiting.size();
    refused = 0;
    give_back();
    begin_all(go);
    CHECK(waiting.size() >= fitted - 1);
    CHECK(waiting.size() <= fitted + 1);
  }

  LogLines lines;
  PolicyRig rig;
  std::vector<proxy::Exchange*> waiting;
  std::string_view refusal = "script_memory";  // in the answer
  size_t refused = 0;
};

void begin_plain(proxy::Exchange& exchange) {
  exchange.on_request_head(true);
}

// 60,000 bytes of a body, and its end or not.
void post(proxy::Exchange& exchange, bool sized, bool whole) {
  exchange.request().body = sized ? http::BodyKind::Sized : http::BodyKind::Streamed;
  if (sized) exchange.request().content_length = whole ? 60'000 : 61'000;
  exchange.on_request_head(false);
  for (int i = 0; i < 6; ++i) exchange.on_request_body(std::string(10'000, 'b'));
  if (whole) exchange.on_request_end();
}

}  // namespace

TEST_CASE("L14: what waiting exchanges make the proxy hold is one account of their policy") {
  for (const char* use :
       {"r.vars['v'] = ('x'):rep(60000)", "for i = 1, 2 do r.headers.x = ('y'):rep(50000) end",
        "r:set_body(('z'):rep(100000))", "r:reply(200, ('a'):rep(100000))",
        "r.query = ('q'):rep(60000)", "r.args.a = ('q'):rep(60000)",
        "r.args:add('a', ('q'):rep(60000))", "r.trailers.x = ('t'):rep(60000)"}) {
    CAPTURE(use);
    Waiting run(std::string("function on_request(r) ") + use + " proxy.sleep(1000) end");
    run.check(begin_plain);
  }
}

TEST_CASE("L14: the same of responses, and in on_error") {
  for (const char* hook :
       {"function on_response(r) for i = 1, 2 do r.headers.x = ('y'):rep(30000) end",
        "function on_response(r) r.headers:add('x', ('y'):rep(60000))",
        "function on_response(r) r.trailers.x = ('y'):rep(60000)",
        "function on_response(r) r:set_body(('z'):rep(60000))",
        "function on_request() error('x') end function on_error(r) r:reply(500, ('z'):rep(60000))",
        "function on_request() error('x') end function on_error(r) r.vars.v = ('z'):rep(60000)"}) {
    CAPTURE(hook);
    Waiting run(std::string(hook) + " proxy.sleep(1000) end");
    // There the answer stays the one to the error before.
    if (contains(hook, "on_error")) run.refusal = "script_error";
    run.check(begin_plain);
  }
}

TEST_CASE("L14: what is held while on_log waits is in the account, until the exchange is over") {
  for (const char* use :
       {"r.vars.v = ('x'):rep(60000)", "for i = 1, 30 do r.vars[i .. 'v'] = ('x'):rep(2000) end"}) {
    CAPTURE(use);
    LogLines lines;
    PolicyRig rig;
    rig.policy("p", std::string(R"(waiting = 0
      function on_request(r) r:reply(200, tostring(waiting)) end
      function on_log(r) if r.path == "/count" then return end )") +
                        use + " waiting = waiting + 1 proxy.sleep(1000) end")
        .budget = {
        .cpu = std::chrono::seconds(1), .memory = 2 * 1024 * 1024, .time = std::chrono::hours(1)};
    REQUIRE(rig.load().empty());
    int before = 0;
    for (int round = 0; round < 3; ++round) {
      for (int i = 0; i < 60; ++i) rig.get();
      const int waiting = std::stoi(rig.get("/count").body) - before;
      CHECK(waiting >= 10);
      CHECK(waiting <= 40);
      before += waiting;
      while (!rig.context->exchanges.empty()) rig.context->exchanges.front().abandon();
      rig.run_slices();
    }
  }
}

TEST_CASE("L14: bodies that are received for a script that waits for them are in the account") {
  for (const bool sized : {true, false}) {
    for (const bool whole : {true, false}) {
      CAPTURE(sized);
      CAPTURE(whole);
      Waiting run(R"(function on_request(r)
        local body, why = r:body()
        if why then return r:reply(413, why) end
        proxy.sleep(1000)
      end)");
      run.refusal = "body_too_large";
      run.check([sized, whole](proxy::Exchange& exchange) { post(exchange, sized, whole); });
    }
  }
}

struct Placed {
  const char* code;   // on line 2, in on_request
  const char* error;  // as it begins in the log
};

TEST_CASE("an error says file and line, and the function that raised it") {
  constexpr Placed kPlaced[] = {
      {"local x = string.format('%d', 'x')",
       "p.lua:2: bad argument #2 to 'format' (number expected, got string)"},
      {"local x = string.format('%s %s', 'a')",
       "p.lua:2: bad argument #3 to 'format' (value expected)"},
      {"local x = ('%y'):format(1)", "p.lua:2: invalid option '%y' to 'format'"},
      {"local x = string.format(('%d'):rep(300), 'x')", "p.lua:2: bad argument #2 to 'format'"},
      {"local x = os.date({})", "p.lua:2: bad argument #1 to 'date'"},
      {"table.sort({3, 1, 'a'})", "p.lua:2: attempt to compare "},
      {"coroutine.yield(1) return nil", "p.lua:2: attempt to yield outside a coroutine"},
      {"coroutine.wrap(5)", "p.lua:2: bad argument #1 to 'wrap' (function expected, got number)"},
      {"coroutine.create()", "p.lua:2: bad argument #1 to 'create' (function expected, got nil)"},
      {"local x = coroutine.resume('x')",
       "p.lua:2: bad argument #1 to 'resume' (thread expected, got string)"},
      {"local x = coroutine.status(5)",
       "p.lua:2: bad argument #1 to 'status' (thread expected, got number)"},
      {"error('bare', 0)", "p.lua:2: bare"},
      {"error('a: b 10: c', 0)", "p.lua:2: a: b 10: c"},
      // A tail call leaves no trace of its line, so that it is the hook's.
      {"return string.rep('x', 1e9)", "p.lua:1: memory budget of 16 MiB exceeded"},
      {"return string.format('%d', 'x')", "p.lua:1: bad argument #2 to 'format'"},
      {"return ('x'):gsub('x', function() proxy.sleep(0.1) end)",
       "p.lua:2: cannot wait inside a function that 'gsub' calls"},
      {"return table.sort({3, 1, 'a'})", "p.lua:1: attempt to compare "},
  };
  for (const auto& [code, error] : kPlaced) {
    const std::string text = logged(std::string("function on_request(r)\n") + code + " end");
    CAPTURE(std::string(code));
    CAPTURE(text);
    CHECK(contains(text, std::string(R"("detail":")") + error));
  }
}

TEST_CASE("an error that the script catches says the same") {
  CHECK(contains(raised("string.format('%d', 'x')"), "p.lua:1: bad argument #2 to 'format'"));
  CHECK(contains(raised("os.date('%Y', {})"), "p.lua:1: bad argument #2 to 'date'"));
  CHECK(contains(raised("coroutine.wrap(nil)"), "p.lua:1: bad argument #1 to 'wrap'"));
}

TEST_CASE("a wait names the function that is in its way, however it was called") {
  constexpr std::pair<const char*, const char*> kCalls[] = {
      {"pcall(function() return ('x'):gsub('x', function() proxy.sleep(0) end) end)", "gsub"},
      {"pcall(function() return table.sort({2, 1}, function() proxy.sleep(0) end) end)", "sort"},
      {"local g = string.gsub pcall(g, 'x', 'x', function() pcall(proxy.sleep, 0) end)", "gsub"},
      {"pcall(table.foreach, {1}, function() return ('x'):gsub('x', function() proxy.sleep(0) end) "
       "end)",
       "gsub"},
  };
  for (const auto& [call, name] : kCalls) {
    CAPTURE(std::string(call));
    const std::string body = asked(std::string("(function() local seen local pcall = function(...) "
                                               "local ok, e = pcall(...) seen = seen or e return "
                                               "ok, e end ") +
                                   call + " return seen end)()");
    CAPTURE(body);
    CHECK(contains(body, std::string("cannot wait inside a function that '") + name + "' calls"));
  }
}
