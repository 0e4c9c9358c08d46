// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "unit/script/policy_rig.h"

using namespace tidegate;
using namespace tidegate::script;

namespace {

std::string replying(std::string_view text) {
  return "function on_request(r) r:reply(200, '" + std::string(text) + "') end";
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a new version goes live when it is adopted") {
  PolicyRig rig;
  rig.policy("p", replying("one"));
  REQUIRE(rig.load().empty());
  CHECK(rig.get().body == "one");
  rig.folder.write("p.lua", replying("two"));
  bool changed = false;
  CHECK(rig.scripts.reload_changed(changed).empty());
  CHECK(changed);
  CHECK(rig.get().body == "one");
  rig.adopt();
  CHECK(rig.get().body == "two");
  CHECK(rig.scripts.status()[0].generation == 2);
}

TEST_CASE("a file that has not changed keeps its generation, unless asked for") {
  PolicyRig rig;
  rig.policy("p", "local n = 0 function on_request(r) n = n + 1 r:reply(200, tostring(n)) end");
  REQUIRE(rig.load().empty());
  CHECK(rig.get().body == "1");
  bool changed = false;
  CHECK(rig.scripts.reload_changed(changed).empty());
  CHECK_FALSE(changed);
  REQUIRE(rig.load().empty());
  CHECK(rig.get().body == "2");
  CHECK(rig.scripts.reload("p").empty());
  rig.adopt();
  CHECK(rig.get().body == "1");
  CHECK(rig.scripts.reload("nobody").size() == 1);
}

TEST_CASE("other options make a new generation") {
  PolicyRig rig;
  rig.policy("p", "function on_request(r) r:reply(200, options.x) end").options_json =
      R"({"x":"a"})";
  REQUIRE(rig.load().empty());
  CHECK(rig.get().body == "a");
  rig.config.policies[0].options_json = R"({"x":"b"})";
  REQUIRE(rig.load().empty());
  CHECK(rig.get().body == "b");
  CHECK(rig.scripts.status()[0].generation == 2);
}

TEST_CASE("a broken version is refused with file and line, and the old one serves") {
  const std::pair<const char*, const char*> kBroken[] = {
      {"\nthis is no lua", "p.lua:2:"},
      {"\n\nerror('by itself')", "p.lua:3: by itself"},
      {"local x = nil\nreturn x.y", "p.lua:2:"},
      {"\nwhile true do end", "p.lua:2: CPU budget of 1000 ms"},
      {"\nlocal s = 'x' while true do s = s .. s end",
       "p.lua:1: memory budget of 16 MiB exceeded in the function"},
      {"local function f() return 1 + f() end\nf()", "p.lua:1: stack overflow"},
      {"\nproxy.sleep(1)", "p.lua:2: the top level of a script can not wait"},
      {"\nfunction on_request_body() end", "p.lua:2: on_request_body is not available"},
      {"on_request = 5", "p.lua: on_request must be a function"},
      {"\x1bLJ", "p.lua: bytecode is not allowed"},
      {"\nrequire('nothing')", "p.lua:2: module 'nothing' not found"},
  };
  PolicyRig rig;
  rig.policy("p", replying("good"));
  REQUIRE(rig.load().empty());
  for (const auto& [text, message] : kBroken) {
    CAPTURE(text);
    rig.folder.write("p.lua", text);
    bool changed = false;
    const std::vector<std::string> errors = rig.scripts.reload_changed(changed);
    REQUIRE(errors.size() == 1);
    CAPTURE(errors[0]);
    CHECK(contains(errors[0], message));
    CHECK_FALSE(changed);
    CHECK(rig.scripts.status()[0].last_error == errors[0]);
    rig.adopt();
    CHECK(rig.get().body == "good");
  }
  rig.folder.write("p.lua", replying("mended"));
  bool changed = false;
  CHECK(rig.scripts.reload_changed(changed).empty());
  rig.adopt();
  CHECK(rig.get().body == "mended");
  CHECK(rig.scripts.status()[0].last_error.empty());
}

TEST_CASE("check gives the errors of all scripts") {
  PolicyRig rig;
  rig.policy("a", "x =");
  rig.policy("b", replying("fine"));
  rig.policy("c", "error('c')");
  rig.config.policies.emplace_back(rig.config.policies[0]);
  rig.config.policies.back().name = "missing";
  rig.config.policies.back().script = rig.folder.path() + "/missing.lua";
  const std::vector<std::string> errors = check(rig.config, {});
  REQUIRE(errors.size() == 3);
  CHECK(contains(errors[0], "a.lua:1:"));
  CHECK(contains(errors[1], "c.lua:1: c"));
  CHECK(contains(errors[2], "missing.lua: cannot be read: No such file"));
}

TEST_CASE("a request finishes on the generation it began with") {
  PolicyRig rig;
  const std::string version = R"(
    function on_request(r) if r.path == "/slow" then proxy.sleep(0) end r.vars.v = "VERSION" end
    function on_response(response, r) response.headers.x = r.vars.v .. "VERSION" end)";
  const auto text = [&version](const std::string& name) {
    std::string text_of = version;
    for (size_t at; (at = text_of.find("VERSION")) != std::string::npos;)
      text_of.replace(at, 7, name);
    return text_of;
  };
  rig.policy("p", text("1"));
  REQUIRE(rig.load().empty());
  RecordingClient& slow = rig.client();
  rig.begin(slow, "/slow").on_request_head(true);
  rig.folder.write("p.lua", text("2"));
  REQUIRE(rig.scripts.reload("p").empty());
  rig.adopt();
  CHECK(rig.worker.vm_count() == 2);
  CHECK(rig.get("/fast").headers.at("x") == "22");
  CHECK(slow.answer.headers.at("x") == "11");
}

TEST_CASE("policies of one script share a VM, but no globals, and go live together") {
  PolicyRig rig;
  rig.policy("a", "n = 0 function on_request(r) n = n + 1 r.vars[options.name] = n end")
      .options_json = R"({"name":"a"})";
  rig.config.policies.emplace_back(rig.config.policies[0]);
  rig.config.policies.back().name = "b";
  rig.config.policies.back().options_json = R"({"name":"b"})";
  rig.config.routes[0].policies.push_back("b");
  rig.policy("show", "function on_request(r) r:reply(200, r.vars.a .. r.vars.b) end");
  REQUIRE(rig.load().empty());
  CHECK(rig.worker.vm_count() == 2);
  CHECK(rig.get().body == "11");
  CHECK(rig.get().body == "22");
  REQUIRE(rig.scripts.reload("b").empty());
  rig.adopt();
  CHECK(rig.get().body == "11");
}

TEST_CASE("L27: policies that differ in jit, trusted or memory budget never share a VM") {
  struct Case {
    const char* what;
    void (*change)(config::Policy&);
    size_t vms;
  };
  const Case kCases[] = {
      {"nothing", [](config::Policy&) {}, 1},
      {"CPU budget", [](config::Policy& p) { p.budget.cpu *= 2; }, 1},
      {"options", [](config::Policy& p) { p.options_json = R"({"x":1})"; }, 1},
      {"jit", [](config::Policy& p) { p.jit = true; }, 2},
      {"trusted", [](config::Policy& p) { p.trusted = true; }, 2},
      {"memory budget", [](config::Policy& p) { p.budget.memory *= 4; }, 2},
      {"isolation", [](config::Policy& p) { p.isolation = config::Isolation::Own; }, 2},
  };
  for (const bool first : {false, true}) {
    for (const Case& one : kCases) {
      CAPTURE(one.what);
      PolicyRig rig;
      rig.policy("a", "function on_request(r) r:reply(200, 'fine') end");
      rig.config.policies.emplace_back(rig.config.policies[0]);
      rig.config.policies.back().name = "b";
      one.change(rig.config.policies[first ? 0 : 1]);
      REQUIRE(rig.load().empty());
      CHECK(rig.worker.vm_count() == one.vms);
      CHECK(rig.get().body == "fine");
    }
  }
}

TEST_CASE("L27: a policy without the JIT is interrupted although another of its script has it") {
  PolicyRig rig;
  auto& policy = rig.policy("a", R"(
    function on_request(r) if options.loop then while true do end end end)");
  policy.options_json = R"({"loop":true})";
  policy.budget.cpu = std::chrono::milliseconds(20);
  rig.config.policies.emplace_back(rig.config.policies[0]);
  rig.config.policies.back().name = "b";
  rig.config.policies.back().jit = true;
  rig.config.policies.back().options_json = "{}";
  REQUIRE(rig.load().empty());
  CHECK(rig.get().status == 500);
}

TEST_CASE("L27: policies that own their VM keep it over a load that changes nothing") {
  PolicyRig rig;
  rig.policy("a", "local n = 0 function on_request(r) n = n + 1 r.vars.n = n end").isolation =
      config::Isolation::Own;
  rig.config.policies.emplace_back(rig.config.policies[0]);
  rig.config.policies.back().name = "b";
  rig.policy("show", "function on_request(r) r:reply(200, tostring(r.vars.n)) end");
  REQUIRE(rig.load().empty());
  CHECK(rig.worker.vm_count() == 3);
  CHECK(rig.get().body == "1");
  REQUIRE(rig.load().empty());
  CHECK(rig.get().body == "2");
  REQUIRE(rig.scripts.reload("b").empty());
  rig.adopt();
  CHECK(rig.get().body == "3");
}

TEST_CASE("modules come from the script's folder, once per policy, and are watched") {
  PolicyRig rig;
  rig.folder.write("m.lua", "loaded = (loaded or 0) + 1 return {name = ...}");
  rig.folder.write("lib/deep.lua", "return 'deep'");
  rig.folder.write("scripts/shared.lua", "return 'shared'");
  rig.policy("p", R"(
    local m = require("m")
    assert(m == require("m"))
    local text = m.name .. loaded .. require("lib.deep") .. require("lib/deep") .. require("shared")
    function on_request(r) r:reply(200, text) end)");
  REQUIRE(rig.load().empty());
  CHECK(rig.get().body == "m1deepdeepshared");
  const std::vector<std::string> files = rig.scripts.files();
  CHECK(std::find(files.begin(), files.end(), rig.folder.path() + "/m.lua") != files.end());
  rig.folder.write("lib/deep.lua", "return 'new'");
  bool changed = false;
  CHECK(rig.scripts.reload_changed(changed).empty());
  CHECK(changed);
  rig.adopt();
  CHECK(rig.get().body == "m1newnewshared");
}

TEST_CASE("require sees nothing else") {
  PolicyRig rig;
  rig.folder.write("outside.lua", "return {}");
  rig.folder.write("inner/bytecode.lua", "\x1bLJ");
  rig.folder.write("inner/cycle.lua", "return require('cycle')");
  rig.folder.write("inner/broken.lua", "\n\nerror('in module')");
  auto& policy = rig.policy("p", "");
  policy.script = rig.folder.write("inner/p.lua", R"(
    local seen = {}
    for _, name in ipairs{"../outside", "/etc/passwd", "a..b", "ffi", "io", "string.buffer", "bytecode",
                          "cycle", "broken", "", "a b", "table.new", "./bytecode"} do
      seen[#seen + 1] = tostring((pcall(require, name)))
    end
    local _, message = pcall(require, "broken")
    function on_request(r) r:reply(200, table.concat(seen, " ") .. message) end)");
  REQUIRE(rig.load().empty());
  const std::string body = rig.get().body;
  CHECK_FALSE(contains(body, "true"));
  CHECK(contains(body, "broken.lua:3: in module"));
}

TEST_CASE("a thousand reloads leave one VM, and memory that does not grow") {
  PolicyRig rig;
  rig.policy("p", "local ballast = ('x'):rep(100000) " + replying("fine"));
  REQUIRE(rig.load().empty());
  for (int i = 0; i < 1000; ++i) {
    REQUIRE(rig.scripts.reload("p").empty());
    rig.adopt();
    if (i % 100 == 0) CHECK(rig.get().body == "fine");
  }
  rig.run_slices();
  // The exchanges of the test keep the chains they began with until the test ends.
  CHECK(rig.worker.vm_count() <= 11);
  CHECK(rig.scripts.status()[0].generation == 1001);
}

TEST_CASE("L10: a module that breaches or fails in a hook is loaded by the next that requires it") {
  const char* const kFirst[] = {
      "while true do end",
      "pcall(function() while true do end end)",
      "local t = {} for i = 1, 1e8 do t[i] = {i} end",
      "local s = 'x' while true do s = s .. s end",
      "error('not yet')",
      "proxy.sleep(0)",
      "coroutine.wrap(function() while true do end end)()",
  };
  for (const char* first : kFirst) {
    for (const char* call : {"require('m')", "select(2, assert(pcall(require, 'm')))",
                             "coroutine.wrap(require)('m')"}) {
      CAPTURE(std::string(first));
      CAPTURE(std::string(call));
      PolicyRig rig;
      rig.folder.write(
          "m.lua", "n = (n or 0) + 1 if n == 1 then " + std::string(first) + " end return {n = n}");
      rig.policy("p",
                 "function on_request(r) r:reply(200, tostring(" + std::string(call) + ".n)) end")
          .budget.cpu = std::chrono::milliseconds(100);
      REQUIRE(rig.load().empty());
      CHECK(rig.get().status == 500);
      CHECK(rig.get().body == "2");
      CHECK(rig.get().body == "2");
    }
  }
}

TEST_CASE("L29: a wait in the top level of a module that a hook requires names require") {
  for (const char* wait :
       {"proxy.sleep(0)", "request:body()", "local function f() proxy.sleep(0) end f()"}) {
    CAPTURE(std::string(wait));
    PolicyRig rig;
    rig.folder.write("m.lua", std::string("\n") + wait);
    rig.policy("p", R"(function on_request(r)
      request = r
      local _, e = pcall(require, "m")
      r:reply(200, e)
    end)");
    REQUIRE(rig.load().empty());
    CHECK(rig.get().body == "m.lua:2: cannot wait inside a function that 'require' calls");
  }
}

TEST_CASE("L10: a top level that passed the check has room for a slower core in a worker") {
  PolicyRig rig;
  const char* const kText =
      "local t = os.clock() while os.clock() - t < %s do end "
      "function on_request(r) r:reply(200, 'loaded') end";
  std::string text = kText;
  text.replace(text.find("%s"), 2, "0.9");
  rig.policy("p", text);
  REQUIRE(rig.load().empty());
  CHECK(rig.get().body == "loaded");
}

TEST_CASE("L10: finalizers of trusted scripts may call whatever they like when their VM goes") {
  const char* const kMakes[] = {
      "local p = newproxy(true) getmetatable(p).__gc = use kept = p",
      "local ffi = require_ffi() kept = ffi.gc(ffi.new('int[1]'), use)",
      "kept = {} for i = 1, 100 do kept[i] = newproxy(true) getmetatable(kept[i]).__gc = use end",
  };
  for (const char* make : kMakes) {
    for (const int megabytes : {0, 4}) {  // a large VM may end elsewhere
      CAPTURE(std::string(make));
      CAPTURE(megabytes);
      PolicyRig rig;
      rig.policy("p", R"(
        local use = function()
          local s = ("x"):rep(1000):gsub("x", "y")
          table.concat({s, s}) table.sort({3, 1, 2}) pcall(load, ("x = 1 "):rep(4000))
          pcall(proxy.json.encode, {s}) pcall(proxy.now) pcall(proxy.sleep, 1)
          pcall(proxy.log.info, "gone") pcall(proxy.clusters)
        end
        local function require_ffi() return package.loaded.ffi or package.preload.ffi() end
        large = {} for i = 1, )" +
                          std::to_string(megabytes * 10000) + " do large[i] = {i, i} end " + make +
                          R"(
        function on_request(r) r:reply(200, "one") end)")
          .trusted = true;
      REQUIRE(rig.load().empty());
      CHECK(rig.get().body == "one");
      rig.folder.write("p.lua", replying("two"));
      CHECK(rig.scripts.reload("p").empty());
      rig.adopt();
      CHECK(rig.get().body == "two");
      rig.run_slices();
      CHECK(rig.worker.vm_count() == 1);
    }
  }
}
