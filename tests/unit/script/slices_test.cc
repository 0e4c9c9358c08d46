// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "telemetry/log.h"
#include "unit/script/asked.h"
#include "unit/script/policy_rig.h"

using namespace tidegate;
using namespace tidegate::script;

namespace {

using std::chrono::milliseconds;

struct Lines {
  Lines() {
    log::redirect([this](std::string_view line) { text += line; });
  }
  ~Lines() { log::redirect(nullptr); }
  std::string text;
};

// `busy(ms)`: uses CPU for so long.
constexpr std::string_view kBusy =
    "local function busy(ms) local t = os.clock() while os.clock() - t < ms / 1000 do end end\n";

std::string with_busy(std::string_view text) {
  return std::string(kBusy) + std::string(text);
}

// A request is begun and parked in the middle of its first hook.
proxy::Exchange& begin_parked(PolicyRig& rig, RecordingClient& client, const std::string& target) {
  proxy::Exchange& exchange = rig.begin(client, target);
  exchange.on_request_head(true);
  REQUIRE_FALSE(rig.worker.slices().idle());
  REQUIRE_FALSE(client.answer.ended);
  return exchange;
}

}  // namespace

TEST_CASE("L28: a long run goes on in later turns, wherever it is interrupted") {
  const char* const kPlaces[] = {
      "busy(10)",
      "assert(pcall(busy, 10))",
      "assert(select(2, pcall(function() busy(10) error('x', 0) end)) == 'x')",
      "local m = setmetatable({}, {__index = function(_, k) busy(10) return k end}) assert(m.a == "
      "'a')",
      "local m = setmetatable({}, {__add = function(_, k) busy(10) return k end}) assert(m + 5 == "
      "5)",
      "local m = setmetatable({}, {__eq = function() busy(10) return true end}) "
      "assert(m == setmetatable({}, getmetatable(m)))",
      "local n = 0 for i in (function() busy(4) n = n + 1 if n < 3 then return n end end) do end "
      "assert(n == 3)",
      "local function deep(n) if n == 0 then busy(10) return 0 end return 1 + deep(n - 1) end "
      "assert(deep(100) == 100)",
      "local co = coroutine.wrap(function(a) busy(10) local b = coroutine.yield(a + 1) busy(10) "
      "return b + 1 end) assert(co(1) == 2) assert(co(5) == 6)",
      "local co = coroutine.create(function(a) busy(10) coroutine.yield() busy(10) error('e', 0) "
      "end) "
      "assert(select('#', coroutine.resume(co)) == 1) "
      "assert(select(2, coroutine.resume(co)) == 'e') assert(coroutine.status(co) == 'dead')",
      "local function nest(n) if n == 0 then busy(10) return 'in' end "
      "return coroutine.wrap(nest)(n - 1) end assert(nest(10) == 'in')",
      "assert(('abc'):gsub('.', function(c) busy(4) return c:upper() end) == 'ABC')",
      "assert(('abc'):gsub('.', function(c) return coroutine.wrap(function() busy(4) return c .. c "
      "end)() "
      "end) == 'aabbcc')",
      "local t = {3, 1, 2} table.sort(t, function(a, b) busy(2) return a < b end) assert(t[1] == "
      "1)",
      "assert(load(function() busy(4) end))",
  };
  for (const char* place : kPlaces) {
    CAPTURE(std::string(place));
    PolicyRig rig;
    rig.policy("p", with_busy(std::string("function on_request(r) r.vars.n = 1\n") + place +
                              "\nr.vars.n = r.vars.n + 1 r:reply(200, r.path .. r.vars.n) end"));
    REQUIRE(rig.load().empty());
    for (int i = 0; i < 2; ++i) {
      const Answer answer = rig.get("/x");
      CHECK(answer.body == "/x2");
    }
  }
}

TEST_CASE("L28: the CPU budget counts over the slices, and names itself whole") {
  Lines lines;
  PolicyRig rig;
  rig.policy(
         "p",
         "function on_request(r)\nwhile true do pcall(function() while true do end end) end end")
      .budget.cpu = milliseconds(20);
  REQUIRE(rig.load().empty());
  CHECK(rig.get().status == 500);
  CHECK(lines.text.find("p.lua:2: CPU budget of 20 ms exceeded") != std::string::npos);
}

TEST_CASE("L28: a short request is answered between the slices of long ones") {
  PolicyRig rig;
  rig.policy("p", with_busy("function on_request(r) if r.path == '/long' then busy(30) end "
                            "r:reply(200, r.path) end"));
  rig.policy("q", "function on_request(r) end");
  rig.config.routes.push_back(rig.config.routes[0]);
  REQUIRE(rig.load().empty());
  RecordingClient& first = rig.client();
  RecordingClient& second = rig.client();
  begin_parked(rig, first, "/long");
  rig.begin(second, "/short").on_request_head(true);
  for (int turns = 0; !second.answer.ended; ++turns) {
    REQUIRE(turns < 60);
    rig.loop.post([] {});
    rig.loop.turn();
  }
  rig.run_slices();
  CHECK(first.answer.body == "/long");
}

TEST_CASE("L28: another policy goes before one that used more") {
  PolicyRig rig;
  rig.policy("hog", with_busy("function on_request(r) if r.path == '/long' then busy(20) end end"));
  rig.policy("fair", "function on_request(r) r:reply(200, 'fair') end");
  REQUIRE(rig.load().empty());
  std::vector<RecordingClient*> hogs;
  for (int i = 0; i < 5; ++i)
    rig.begin(*hogs.emplace_back(&rig.client()), "/long").on_request_head(true);
  rig.run_slices();
  for (RecordingClient* hog : hogs) CHECK(hog->answer.body == "fair");
}

TEST_CASE("L28: the time budget counts while a run waits for its next slice or for memory") {
  const char* const kRuns[] = {
      "while true do end",
      "while true do local t = {} for i = 1, 2e4 do t[i] = {i} end end",
      "while true do r:body() end",
      "while true do coroutine.wrap(function() while true do end end)() end",
  };
  for (const char* run : kRuns) {
    CAPTURE(std::string(run));
    LogLines lines;
    PolicyRig rig;
    config::Policy& policy =
        fresh_policy(rig, std::string("function on_request(r) ") + run + " end");
    policy.budget.cpu = std::chrono::seconds(3);
    policy.budget.time = milliseconds(60);
    REQUIRE(rig.load().empty());
    RecordingClient& first = rig.client();
    RecordingClient& second = rig.client();
    rig.begin(first, "/").on_request_head(true);
    rig.begin(second, "/").on_request_head(true);  // waits from its beginning
    rig.run_slices();
    for (const RecordingClient* client : {&first, &second}) {
      CAPTURE(client->answer.body);
      CHECK(client->answer.body.find("script_time") != std::string::npos);
    }
    CHECK(lines.text.find("time budget of 60 ms exceeded") != std::string::npos);
  }
}

TEST_CASE("L28: the collections that a run needs count towards its CPU budget, but for the first") {
  for (const bool much : {true, false}) {
    CAPTURE(much);
    LogLines lines;
    PolicyRig rig;
    // Of 16 MiB some 12 stay in use, so that each collection marks much and frees little.
    config::Policy& policy = fresh_policy(rig, R"(
      kept = {} for i = 1, 1.2e5 do kept[i] = {i} end
      function on_request(r)
        for i = 1, )" + std::string(much ? "1e9" : "2e4") +
                                                   R"( do local _ = {i} end
        r:reply(200, "done")
      end)");
    policy.budget.cpu = milliseconds(200);
    policy.budget.time = std::chrono::hours(1);
    REQUIRE(rig.load().empty());
    RecordingClient& client = rig.client();
    const auto begin = std::chrono::steady_clock::now();
    rig.begin(client, "/").on_request_head(true);
    rig.run_slices();
    CAPTURE(client.answer.body);
    CHECK(client.answer.body.find(much ? "script_cpu" : "done") != std::string::npos);
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
  }
}

TEST_CASE("L28: a parked run is given up with its exchange, and the VM goes on") {
  PolicyRig rig;
  rig.policy("p", with_busy("done = 0 function on_request(r) if r.path == '/long' then busy(20) "
                            "done = done + 1 end r:reply(200, tostring(done)) end "));
  REQUIRE(rig.load().empty());
  RecordingClient& client = rig.client();
  begin_parked(rig, client, "/long").abandon();
  rig.run_slices();
  CHECK(rig.get().body == "0");
  CHECK(rig.get("/long").body == "1");
}

TEST_CASE("L28: a parked run finishes on its generation") {
  PolicyRig rig;
  rig.policy("p", with_busy("function on_request(r) if r.path == '/long' then busy(20) end "
                            "r:reply(200, 'one') end"));
  REQUIRE(rig.load().empty());
  RecordingClient& client = rig.client();
  begin_parked(rig, client, "/long");
  rig.folder.write("p.lua", "function on_request(r) r:reply(200, 'two') end");
  REQUIRE(rig.scripts.reload("p").empty());
  rig.adopt();
  CHECK(rig.get().body == "two");
  rig.run_slices();
  CHECK(client.answer.body == "one");
}

TEST_CASE("L28: a coroutine that is in the middle of a slice is resumed by nobody else") {
  PolicyRig rig;
  rig.policy("p", with_busy(R"(
    local co = coroutine.create(function() while true do busy(20) coroutine.yield("own") end end)
    function on_request(r)
      if r.path == "/long" then
        local _, text = coroutine.resume(co)
        return r:reply(200, text)
      end
      local fine, text = coroutine.resume(co)
      r:reply(200, coroutine.status(co) .. tostring(fine) .. text)
    end)"));
  REQUIRE(rig.load().empty());
  RecordingClient& first = rig.client();
  begin_parked(rig, first, "/long");
  RecordingClient& second = rig.client();
  rig.begin(second, "/other").on_request_head(true);
  rig.run_slices();
  CHECK(first.answer.body == "own");
  const bool fine = second.answer.body == "normalfalsecannot resume non-suspended coroutine" ||
                    second.answer.body == "suspendedtrueown";  // it had its turn later
  CHECK(fine);
}

TEST_CASE(
    "L5: equal bodies and their copies all fit, though only as many as the budget holds at once") {
  for (const size_t size : {1'000'000, 3'000'000, 3'900'000}) {
    PolicyRig rig;
    rig.policy("p", "function on_request(r) local b = ('x'):rep(" + std::to_string(size) +
                        ") b:upper() r:reply(200, tostring(#b)) end");
    REQUIRE(rig.load().empty());
    for (int i = 0; i < 12; ++i) CHECK(rig.get().body == std::to_string(size));
  }
}

namespace {

// A POST whose body comes in one piece or in many.
proxy::Exchange& begin_post(PolicyRig& rig, RecordingClient& client, size_t size, bool sized) {
  proxy::Exchange& exchange = rig.begin(client, "/post");
  exchange.request().body = sized ? http::BodyKind::Sized : http::BodyKind::Streamed;
  if (sized) exchange.request().content_length = size;
  exchange.on_request_head(false);
  const std::string piece(100'000, 'b');
  for (size_t sent = 0; sent < size; sent += piece.size()) exchange.on_request_body(piece);
  exchange.on_request_end();
  return exchange;
}

}  // namespace

TEST_CASE("L5: garbage of any amount is not in the way of a body that fits without it") {
  for (const bool sized : {true, false}) {
    for (const int kilobytes : {100, 1000, 2500, 3500, 5000, 7000}) {
      CAPTURE(sized);
      CAPTURE(kilobytes);
      PolicyRig rig;
      rig.policy("p", R"(function on_request(r)
        if r.path == "/post" then return r:reply(200, tostring(#assert(r:body()))) end
        local _ = ("x"):rep(tonumber(r.path:sub(2)) * 1000)
      end)");
      REQUIRE(rig.load().empty());
      for (int i = 0; i < 2; ++i) {
        REQUIRE(rig.get("/" + std::to_string(kilobytes)).body == "local");
        RecordingClient& client = rig.client();
        begin_post(rig, client, 7'000'000, sized);
        rig.run_slices();
        CHECK(client.answer.body == "7000000");
      }
    }
  }
}

TEST_CASE("L5: a body that does not fit into the budget at all is refused without a collection") {
  for (const bool sized : {true, false}) {
    PolicyRig rig;
    rig.policy("p", "function on_request(r) r:reply(200, select(2, r:body())) end");
    REQUIRE(rig.load().empty());
    RecordingClient& client = rig.client();
    begin_post(rig, client, 9'000'000, sized);
    rig.run_slices();
    CHECK(client.answer.body == "body_too_large");
  }
}

TEST_CASE("L5: a run or a body that comes in the middle of a collection is not refused for it") {
  for (int turns = 0; turns < 40; ++turns) {
    CAPTURE(turns);
    PolicyRig rig;
    rig.policy("p", R"(
      kept = {} for i = 1, 1e4 do kept[i] = {i} end
      function on_request(r)
        if r.path == "/post" then return r:reply(200, tostring(#assert(r:body()))) end
        if r.path == "/string" then local _ = ("x"):rep(2e6) return r:reply(200, "done") end
        for i = 1, 10 do local t = {} for n = 1, 2e4 do t[n] = {n} end end
        r:reply(200, "done")
      end)")
        .budget.time = std::chrono::hours(1);
    REQUIRE(rig.load().empty());
    std::vector<std::pair<RecordingClient*, std::string>> asked;
    const auto ask = [&rig, &asked](const char* path) {
      RecordingClient& client = rig.client();
      asked.emplace_back(&client, "done");
      rig.begin(client, path).on_request_head(true);
    };
    ask("/tables");
    for (int i = 0; i < turns; ++i) {
      rig.loop.post([] {});
      rig.loop.turn();
    }
    ask("/string");
    // Twice its size beside the most that the two others use at a time.
    RecordingClient& client = rig.client();
    asked.emplace_back(&client, "4500000");
    begin_post(rig, client, 4'500'000, turns % 2 == 0);
    rig.run_slices();
    for (const auto& [one, body] : asked) CHECK(one->answer.body == body);
  }
}

namespace {

// How often the policy's VM was replaced, as the metrics have it.
uint64_t replacements(PolicyRig& rig, const std::string& policy) {
  return rig.shard.counter(telemetry::Family::ScriptReloadsTotal, {policy, "replaced"}).value();
}

}  // namespace

TEST_CASE("L13: a VM that is full for good is replaced, a busy one is not") {
  for (const size_t mebibytes : {2, 16}) {
    Lines lines;
    PolicyRig rig;
    rig.policy("a", R"(
      kept = {}
      function on_request(r)
        if r.path == "/fill" then for i = 1, 1e7 do kept[i] = {i} end end
        if r.path == "/garbage" then for i = 1, 1e5 do local t = {i, {i}} end end
      end)");
    rig.config.policies[0].budget.memory = mebibytes * 1024 * 1024;
    rig.config.policies.emplace_back(rig.config.policies[0]);
    rig.config.policies.back().name = "b";
    rig.config.routes[0].policies.push_back("b");
    REQUIRE(rig.load().empty());
    CHECK(rig.get("/garbage").body == "local");
    CHECK(rig.get("/fill").body.find("script_memory") != std::string::npos);
    CHECK(lines.text.find("is full for good") != std::string::npos);
    for (const char* policy : {"a", "b"}) CHECK(replacements(rig, policy) == 1);
    CHECK(rig.get("/garbage").body == "local");
    CHECK(rig.get("/").body == "local");
  }
}

TEST_CASE("L13: what greedy runs hold goes with them, and the VM keeps its globals") {
  const char* const kGreedy[] = {
      "local t = {} for i = 1, 1e7 do t[i] = {i} end",
      "local s = {} for i = 1, 1e7 do s[i] = 'x' .. i end",
      "proxy.json.decode('[' .. ('[1],'):rep(600000) .. '1]')",
      "local t = {} coroutine.wrap(function() for i = 1, 1e7 do t[i] = {i} end end)()",
  };
  for (const char* greedy : kGreedy) {
    for (const size_t mebibytes : {2, 16}) {
      CAPTURE(std::string(greedy));
      CAPTURE(mebibytes);
      LogLines lines;
      PolicyRig rig;
      fresh_policy(rig, std::string("n = 0 function on_request(r) n = n + 1 if r.path == '/greedy' "
                                    "then ") +
                            greedy + " end r:reply(200, tostring(n)) end")
          .budget.memory = mebibytes * 1024 * 1024;
      REQUIRE(rig.load().empty());
      std::vector<RecordingClient*> clients;
      for (int i = 0; i < 3; ++i) {
        rig.begin(*clients.emplace_back(&rig.client()), "/greedy").on_request_head(true);
      }
      rig.run_slices();
      for (const RecordingClient* client : clients) CHECK(client->answer.status == 500);
      CHECK(rig.get().body == "4");
      CHECK(rig.get("/greedy").status == 500);
      CHECK(rig.get().body == "6");
      CHECK(!contains(lines.text, "full for good"));
      CHECK(replacements(rig, rig.config.policies[0].name) == 0);
    }
  }
}

TEST_CASE("L13: VMs that exchanges under way fill are replaced a few times until they end") {
  LogLines lines;
  PolicyRig rig;
  fresh_policy(rig, R"(
    kept = {}
    function on_request(r)
      if r.path == "/hold" then
        local t while collectgarbage("count") < 15.6 * 1024 do t = {t} end
        proxy.sleep(1000)
      end
      if r.path == "/more" then local t = {} for i = 1, 1e7 do t[i] = {i} end end
      r:reply(200, "served")
    end)");
  REQUIRE(rig.load().empty());
  std::vector<proxy::Exchange*> holding;
  const auto fill = [&rig, &holding] {
    proxy::Exchange& exchange = rig.begin(rig.client(), "/hold");
    holding.push_back(&exchange);
    exchange.on_request_head(true);
    rig.run_slices();
    // Once is chance; a VM in which nothing runs any more is of no use.
    for (int i = 0; i < 10; ++i) rig.get("/more");
  };
  for (size_t filled = 1; filled <= 4; ++filled) {
    fill();
    CHECK(rig.worker.vm_count() == filled + 1);
    CHECK(rig.get().body == "served");
  }
  fill();
  CHECK(rig.worker.vm_count() == 5);
  CHECK(contains(lines.text, "is not replaced while"));
  for (proxy::Exchange* exchange : holding) exchange->abandon();
  rig.loop.post([] {});
  rig.loop.turn();
  CHECK(rig.get().body == "served");
  CHECK(rig.worker.vm_count() == 1);
  CHECK(replacements(rig, rig.config.policies[0].name) == 4);
}

TEST_CASE("L10: a top level runs in slices, and the old generation serves meanwhile") {
  const char* const kSlow[] = {
      "busy(60)",
      "require('slow')",
      "coroutine.wrap(function() busy(60) end)()",
      "assert(pcall(busy, 60))",
  };
  for (const char* slow : kSlow) {
    CAPTURE(std::string(slow));
    PolicyRig rig;
    rig.policy("p", "function on_request(r) r:reply(200, 'old') end");
    REQUIRE(rig.load().empty());
    rig.folder.write("slow.lua", with_busy("busy(60) return {}"));
    rig.folder.write(
        "p.lua", with_busy(std::string(slow) + "\nfunction on_request(r) r:reply(200, 'new') end"));
    REQUIRE(rig.scripts.reload("p").empty());
    bool done = false;
    rig.begin_adopting([&done] { done = true; });
    rig.loop.turn();
    rig.loop.take_longest_turn();
    int turns = 0;
    for (; !done; ++turns) {
      RecordingClient& client = rig.client();
      if (turns % 10 == 0) rig.begin(client, "/").on_request_head(true);
      rig.loop.post([] {});
      rig.loop.turn();
    }
    CHECK(turns > 10);
    CHECK(rig.loop.take_longest_turn() < milliseconds(20));
    CHECK(rig.get().body == "new");
  }
}

TEST_CASE("L29: a wait inside a function that the library calls names that function") {
  const std::pair<const char*, const char*> kCalls[] = {
      {"('x'):gsub('x', function() proxy.sleep(0) end)", "gsub"},
      {"table.sort({2, 1}, function() proxy.sleep(0) end)", "sort"},
      {"load(function() proxy.sleep(0) end)", "load"},
      {"('%s'):format(setmetatable({}, {__tostring = function() proxy.sleep(0) end}))", "format"},
      {"('x'):gsub('x', setmetatable({}, {__index = function() proxy.sleep(0) end}))", "gsub"},
      {"('x'):gsub('x', function() coroutine.wrap(function() proxy.sleep(0) end)() end)", "gsub"},
      {"table.sort({2, 1}, function() r:body() end)", "sort"},
  };
  for (const auto& [call, name] : kCalls) {
    CAPTURE(std::string(call));
    PolicyRig rig;
    rig.policy("p", std::string("function on_request(r)\nlocal _, e = pcall(function()\n") + call +
                        "\nend) r:reply(200, tostring(e)) end");
    REQUIRE(rig.load().empty());
    const std::string body = rig.get().body;
    CAPTURE(body);
    CHECK(body == std::string("p.lua:3: cannot wait inside a function that '") + name + "' calls");
  }
}

TEST_CASE("L29: where the script's own functions stand between, it may wait") {
  const char* const kCalls[] = {
      "table.foreach({1}, function() proxy.sleep(0) end)",
      "tostring(setmetatable({}, {__tostring = function() proxy.sleep(0) return 'x' end}))",
      "pcall(pcall, function() proxy.sleep(0) end)",
      "xpcall(function() proxy.sleep(0) end, function() end)",
      "local m = setmetatable({}, {__index = function() proxy.sleep(0) end}) local x = m.a",
      "for _ in function() proxy.sleep(0) end do end",
  };
  for (const char* call : kCalls) {
    CAPTURE(std::string(call));
    PolicyRig rig;
    rig.policy("p", std::string("function on_request(r) ") + call + " r:reply(200, 'waited') end");
    REQUIRE(rig.load().empty());
    CHECK(rig.get().body == "waited");
  }
}

TEST_CASE("L9: what takes the compiler long is refused, also in a module that a hook requires") {
  PolicyRig rig;
  rig.folder.write(
      "large.lua", "return a" + [] {
        std::string text;
        for (int i = 0; i < 5000; ++i) text += " and a";
        return text;
      }());
  rig.policy("p", R"(
    function on_request(r)
      if r.path == "/require" then
        local _, e = pcall(require, "large")
        return r:reply(200, e)
      end
      if r.path == "/words" then
        local f, e = load("return {" .. ("'order and floor', "):rep(900) .. "}")
        return r:reply(200, tostring(f ~= nil))
      end
      local f, e = load("return a" .. (" and a"):rep(5000))
      r:reply(200, e)
    end)");
  REQUIRE(rig.load().empty());
  CHECK(rig.get("/").body == "chunk too complex: more than 1,000 branches");
  CHECK(rig.get("/words").body == "true");
  CHECK(rig.get("/require").body.find("require it at the top level") != std::string::npos);
}
