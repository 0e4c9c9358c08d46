// SPDX-License-Identifier: Apache-2.0
#include "script/hook_names.h"

#include <doctest/doctest.h>

#include "policy_rig.h"

namespace tidegate::script {
namespace {

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string locals_of(std::string_view source) {
  std::string text;
  for (const LocalHook& local : find_local_hooks(source)) {
    text += std::string(to_string(local.hook)) + ":" + std::to_string(local.line) + " ";
  }
  return text;
}

TEST_CASE("a function that is named like a hook is no hook, and the nearest is named") {
  constexpr std::pair<const char*, const char*> kSlips[] = {
      {"on_requst", "on_request"},
      {"on_requests", "on_request"},
      {"on_responce", "on_response"},
      {"on_Request", "on_request"},
      {"onRequest", "on_request"},
      {"OnResponse", "on_response"},
      {"ON_LOG", "on_log"},
      {"onlog", "on_log"},
      {"onRequst", "on_request"},
      {"no_error", "on_error"},
      {"n_request", "on_request"},
      {"select_backends", "select_backend"},
      {"selectBackend", "select_backend"},
      {"select_bakcend", "select_backend"},
  };
  for (const auto& [name, meant] : kSlips) {
    const std::string fault = fault_of_function_name(name);
    CAPTURE(fault);
    CHECK(contains(fault, "'" + std::string(name) + "' is no hook; did you mean '" + meant + "'?"));
  }
}

TEST_CASE("a name that begins as hooks do is refused although it is like none") {
  for (const char* name : {"on_connection_closed", "on_request_headers", "onTimeout", "on_"}) {
    const std::string fault = fault_of_function_name(name);
    CAPTURE(fault);
    CHECK(contains(fault, std::string("'") + name + "' is no hook"));
  }
  CHECK(contains(fault_of_function_name("on_tick_of_the_clock"),
                 "these are on_request, select_backend, on_response, on_error and on_log"));
  CHECK(fault_of_function_name("on_" + std::string(100000, 'x')).size() < 300);
}

TEST_CASE("names of a script's own functions are its own") {
  for (const char* name :
       {"is_error",   "my_log",         "to_log",         "do_request", "log",
        "error",      "request",        "handle_request", "select",     "backend",
        "once",       "one_of",         "only",           "f",          "",
        "respond",    "log_response",   "oplog",          "unlog",      "on",
        "on_request", "select_backend", "on_response",    "on_error",   "on_log"}) {
    CHECK(fault_of_function_name(name) == "");
  }
  CHECK(fault_of_function_name(std::string(100000, 'x')).empty());
}

TEST_CASE("local functions with a hook's name are found, outside of functions only") {
  CHECK(locals_of("local function on_request(r) end") == "on_request:1 ");
  CHECK(locals_of("\n\nlocal on_log = function() end") == "on_log:3 ");
  CHECK(locals_of("local a, on_error, b\nfunction on_error() end") == "on_error:1 ");
  CHECK(locals_of("do\n local function on_response() end\nend") == "on_response:2 ");
  CHECK(locals_of("for i = 1, 2 do if i then local x = 1 end end\n"
                  "while a() do end repeat until true\nlocal function on_log() end") ==
        "on_log:3 ");
  CHECK(locals_of("function f() if a then end for k in p do end local function on_log() end end")
            .empty());
  CHECK(locals_of("local f = function() local on_log end").empty());
  CHECK(locals_of("local on_error = options.on_error or 'closed'").empty());
  CHECK(locals_of("local function on_requests() end local t = { on_log = f }").empty());
}

TEST_CASE("what stands in comments and strings is no local function") {
  for (const char* text :
       {"-- local function on_log() end", "--[[ \nlocal function on_log() end ]]",
        "--[==[ ]] local function on_log() end ]==]", "x = 'local function on_log() end'",
        "x = \"\\\" local function on_log() end\"", "x = [[ local function on_log() end ]]",
        "x = [=[ ]] local function on_log() end ]=]", "x = 'a\\\nlocal function on_log() end'",
        "#!/usr/bin/lua local function on_log() end"}) {
    CAPTURE(text);
    CHECK(locals_of(text).empty());
  }
  CHECK(locals_of("--[[\n]] x = 'a\\\n' --\nlocal function on_log() end") == "on_log:4 ");
  CHECK(locals_of("a[b[1]] = 2 local function on_log() end") == "on_log:1 ");
  CHECK(locals_of("--[==").empty());
  CHECK(locals_of("x = '\\").empty());
}

struct Refused {
  const char* text;
  const char* error;
};

TEST_CASE("a script with a lost hook is refused, whatever else it defines") {
  constexpr Refused kRefused[] = {
      {"\nfunction on_requst(r) return r:reply(403) end",
       "p.lua:2: 'on_requst' is no hook; did you mean 'on_request'?"},
      {"function select_backends() end", "p.lua:1: 'select_backends' is no hook"},
      {"on_response_header = function() end", "p.lua:1: 'on_response_header' is no hook"},
      {"function on_b() end\nfunction on_a() end", "p.lua:1: 'on_b' is no hook"},
      {"_G['onRequest'] = function() end", "p.lua:1: 'onRequest' is no hook; did you mean"},
      {"on_requst = proxy.sleep", "p.lua: 'on_requst' is no hook"},
      {"require('m')", "m.lua:2: 'on_error_page' is no hook"},
      {"\nlocal function on_request(r) end", "p.lua:2: 'on_request' is local, and never called"},
      {"return { on_request = function() end }",
       "p.lua: 'on_request' is in the table that the file returns, and never called"},
  };
  for (const char* other : {"function on_log() end ", ""}) {
    for (const auto& [text, error] : kRefused) {
      PolicyRig rig;
      rig.folder.write("m.lua", "\nfunction on_error_page() end");
      rig.policy("p", std::string(other) + text);
      const std::vector<std::string> errors = rig.load();
      REQUIRE(errors.size() == 1);
      CAPTURE(errors[0]);
      CHECK(errors[0].starts_with(error));
    }
  }
}

TEST_CASE("a script whose hooks are found may use their names otherwise too") {
  PolicyRig rig;
  rig.policy("p", R"(
      local on_error = options and options.on_error or "closed"
      local function on_request(r) return r:reply(200, on_error) end
      local function make() local function on_log() end return on_log end
      on_second = 2
      _G.on_request = on_request
      return { on_request = on_request, answer = 42 })");
  REQUIRE(rig.load().empty());
  CHECK(rig.get().body == "closed");
}

}  // namespace
}  // namespace tidegate::script
