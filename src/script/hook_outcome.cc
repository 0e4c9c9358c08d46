// SPDX-License-Identifier: Apache-2.0
#include "script/hook_outcome.h"

#include <fmt/format.h>

#include <cmath>

#include <algorithm>

#include "proxy/exchange.h"
#include "script/arguments.h"
#include "script/json.h"
#include "script/loaded_script.h"
#include "script/script_filter.h"
#include "script/vm.h"
#include "telemetry/log.h"

namespace tidegate::script {
namespace {

// For __tostring and for the JSON, of a table that has both.
constexpr Duration kMostForOne = std::chrono::milliseconds(1);
constexpr size_t kMaxText = 1000;  // the log takes no more

std::string text_at(lua_State* L, int index) {
  size_t size;
  const char* text = lua_tolstring(L, index, &size);
  return {text, std::min(size, kMaxText)};
}

// The string that the function on top of `from` makes of the value below it, both of which it pops;
// empty: it failed, or gave no string.
std::string call(Vm& vm, lua_State* from, Duration cpu) {
  if (cpu <= Duration::zero()) {
    lua_pop(from, 2);
    return {};
  }
  lua_State* thread = vm.take_thread();
  lua_pushvalue(from, -2);
  lua_xmove(from, thread, 1);
  lua_xmove(from, thread, 1);
  lua_insert(thread, 1);
  lua_pop(from, 1);
  std::string text;
  const Vm::Outcome outcome = vm.resume(thread, 1, cpu);
  if (outcome != Vm::Outcome::Done) {
    vm.drop_thread(thread);
    return text;
  }
  if (lua_type(thread, 1) == LUA_TSTRING) text = text_at(thread, 1);
  vm.give_back_thread(thread);
  return text;
}

std::string table_text(Vm& vm, lua_State* thread, Duration cpu) {
  std::string text;
  if (lua_getmetatable(thread, -1) != 0) {
    lua_pushliteral(thread, "__tostring");
    lua_rawget(thread, -2);
    lua_remove(thread, -2);
    if (lua_isfunction(thread, -1)) {
      lua_pushvalue(thread, -2);
      lua_insert(thread, -2);
      text = call(vm, thread, cpu);
    } else {
      lua_pop(thread, 1);
    }
    if (!text.empty()) return text;
  }
  lua_pushliteral(thread, "message");
  lua_rawget(thread, -2);
  if (lua_type(thread, -1) == LUA_TSTRING) text = text_at(thread, -1);
  lua_pop(thread, 1);
  if (!text.empty()) return text;
  lua_pushvalue(thread, -1);
  lua_pushcfunction(thread, encode_json);
  text = call(vm, thread, cpu);
  return text.empty() ? "(error object is a table)" : text;
}

}  // namespace

std::string describe_error(Vm& vm, lua_State* thread, Duration cpu) {
  const int type = lua_type(thread, -1);
  const std::string_view text = vm.error_text(thread).substr(0, kMaxText);
  if (vm.breach() != Breach::None || lua_checkstack(thread, 8) == 0) return std::string(text);
  if (type == LUA_TSTRING) {  // functions in C give no place, nor does error(text, 0)
    return has_place(text) ? std::string(text) : vm.place_of(thread).append(text);
  }
  const std::string place = vm.place_of(thread);
  switch (type) {
    case LUA_TNUMBER:
      return fmt::format("{}{:.14g}", place, lua_tonumber(thread, -1));
    case LUA_TTABLE:
      return place + table_text(vm, thread, std::min(cpu / 2, kMostForOne));
    case LUA_TNONE:
    case LUA_TNIL:
      return place + "(error object is nil)";
    default:
      return fmt::format("{}(error object is a {})", place, lua_typename(thread, type));
  }
}

std::string wrong_result(lua_State* thread, proxy::Hook hook, bool asked_retry) {
  int index = 1;
  const int count = lua_gettop(thread);
  while (index <= count && lua_isnil(thread, index)) ++index;
  if (index > count) return {};
  const int type = lua_type(thread, index);
  if (type == LUA_TBOOLEAN && hook == proxy::Hook::Response && asked_retry) return {};
  const std::string_view name = to_string(hook);
  std::string value = std::string("a ") + lua_typename(thread, type);
  if (type == LUA_TBOOLEAN) value = lua_toboolean(thread, index) != 0 ? "true" : "false";
  std::string call = "return request:reply(status, body)";
  if (type == LUA_TNUMBER) {
    value = fmt::format("{:.14g}", lua_tonumber(thread, index));
    const lua_Number status = lua_tonumber(thread, index);
    const bool is_status = status >= 200 && status <= 599 && status == std::floor(status);
    if (is_status) call = fmt::format("return request:reply({})", value);
  }
  if (type == LUA_TSTRING) call = "return request:reply(200, text)";
  if (hook == proxy::Hook::Log) call = "nothing: it has no result";
  return fmt::format("{} returned {}; write {}", name, value, call);
}

std::string wrong_endpoint(lua_State* thread, std::string_view cluster) {
  std::string value = std::string("a ") + lua_typename(thread, lua_type(thread, 1));
  if (lua_type(thread, 1) == LUA_TSTRING) {
    size_t size;
    const char* text = lua_tolstring(thread, 1, &size);
    value = fmt::format("'{}'", std::string_view(text, size).substr(0, 100));
  }
  return fmt::format(
      "select_backend returned {}; it must return an endpoint of cluster '{}', its address as "
      "\"host:port\", or nil",
      value, cluster);
}

std::string with_line(const ScriptFilter& filter, proxy::Hook hook, std::string_view text) {
  const std::string file = filter.script().generation().main().name + ": ";
  if (!text.starts_with(file)) return std::string(text);
  // Nothing here allocates in the VM, which may be full.
  lua_State* L = filter.script().vm().state();
  lua_Debug activation;
  filter.push_hook(L, hook);
  lua_getinfo(L, ">S", &activation);
  return fmt::format("{}:{}: {}", activation.short_src, activation.linedefined,
                     text.substr(file.size()));
}

void log_refused_body(const ScriptFilter& filter, proxy::Hook hook,
                      const proxy::Exchange& exchange) {
  if (exchange.failure().code == ErrorCode::BodyTooLarge) return;
  const std::string_view name = to_string(hook);
  log::log_limited(fmt::format("body {} {}", filter.name(), name), log::Level::Warn,
                   "a hook got no body: it is larger than the memory budget has room for",
                   {{"policy", filter.name()},
                    {"hook", name},
                    {"error", describe(ErrorCode::BodyTooLarge).token},
                    {"budget", filter.policy().budget.memory},
                    {"request_id", exchange.id()}});
}

void push_place_of_hook(const ScriptFilter& filter, lua_State* L, proxy::Hook hook) {
  lua_Debug activation;
  filter.push_hook(L, hook);
  lua_getinfo(L, ">S", &activation);
  lua_pushfstring(L, "%s:%d: ", activation.short_src, activation.linedefined);
}

}  // namespace tidegate::script
