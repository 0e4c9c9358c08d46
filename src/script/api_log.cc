// SPDX-License-Identifier: Apache-2.0
// proxy.log.debug|info|warn|error(message, fields).
#include <algorithm>
#include <array>

#include "script/api.h"
#include "script/arguments.h"
#include "script/json.h"
#include "script/loaded_script.h"
#include "telemetry/log.h"

namespace tidegate::script {
namespace {

constexpr size_t kMaxFields = 32;
constexpr size_t kMaxText = 8192;
constexpr size_t kMaxLine = 16 * 1024;  // all texts together: writing them cannot be interrupted
constexpr size_t kNanosecondsPerByte = 10;
constexpr int kTexts = 3;  // on the stack: a table

// Lua errors pass over it, so it holds views only.
struct Line {
  std::array<std::aligned_storage_t<sizeof(log::Field), alignof(log::Field)>, kMaxFields> fields;
  size_t count = 0;
  size_t room = kMaxLine;

  // As much of a text as the line takes.
  std::string_view cut(std::string_view text) {
    text = text.substr(0, std::min(kMaxText, room));
    room -= text.size();
    return text;
  }
  template <class Value>
  void add(std::string_view key, Value value) {
    if (count < kMaxFields) new (&fields[count++]) log::Field(key, value);
  }
};

std::string_view text_at(lua_State* L, int index) {
  size_t size;
  const char* text = lua_tolstring(L, index, &size);
  return {text, size};
}

// Key at -2, value at -1, a table, as its JSON; a table that has none by its type. The table at
// kTexts keeps the text until the line is written.
void add_json_field(lua_State* L, Line& line, std::string_view key) {
  lua_pushcfunction(L, encode_json);
  lua_pushvalue(L, -2);
  const bool fine = lua_pcall(L, 1, 1, 0) == 0;
  if (!fine) {
    lua_pop(L, 1);
    Vm::of(L).check(L);  // a budget is not the table's fault
    return line.add(key, std::string_view("table"));
  }
  line.add(key, line.cut(text_at(L, -1)));
  lua_rawseti(L, kTexts, static_cast<int>(line.count));
}

// The line's own keys, which a script's fields must not say anew: most readers of JSON take the
// last.
constexpr std::pair<std::string_view, std::string_view> kOwnKeys[] = {
    {"timestamp", "field_timestamp"},   {"level", "field_level"},
    {"message", "field_message"},       {"policy", "field_policy"},
    {"request_id", "field_request_id"},
};

std::string_view field_key(std::string_view given) {
  for (const auto& [own, instead] : kOwnKeys) {
    if (given == own) return instead;
  }
  return given;
}

// Key at -2, value at -1. A value that is no text, number, boolean or table is named by its type.
void add_field(lua_State* L, Line& line) {
  if (lua_type(L, -2) != LUA_TSTRING || line.room == 0) return;
  const std::string_view key = field_key(line.cut(text_at(L, -2)));
  switch (lua_type(L, -1)) {
    case LUA_TSTRING:
      return line.add(key, line.cut(text_at(L, -1)));
    case LUA_TBOOLEAN:
      return line.add(key, lua_toboolean(L, -1) != 0);
    case LUA_TNUMBER: {
      const double number = lua_tonumber(L, -1);
      const bool whole =
          number ==
          static_cast<double>(static_cast<int64_t>(number > -1e15 && number < 1e15 ? number : 0.5));
      return whole ? line.add(key, static_cast<int64_t>(number)) : line.add(key, number);
    }
    case LUA_TTABLE:
      return add_json_field(L, line, key);
    default:
      return line.add(key, std::string_view(luaL_typename(L, -1)));
  }
}

int write(lua_State* L) {
  const auto level = static_cast<log::Level>(lua_tointeger(L, lua_upvalueindex(1)));
  lua_settop(L, 2);
  if (lua_type(L, 1) != LUA_TSTRING && lua_type(L, 1) != LUA_TNUMBER) {
    raise(L, "a log message must be a string, not a %s", luaL_typename(L, 1));
  }
  if (!lua_isnil(L, 2) && !lua_istable(L, 2)) {
    raise(L,
          "the fields of a log line must be a table, not a %s: write proxy.log.%s(message, { name "
          "= value })",
          luaL_typename(L, 2), to_string(level).data());
  }
  if (!log::enabled(level)) return 0;
  Line line;
  const std::string_view message = line.cut(text_at(L, 1));
  const LoadedScript& script = LoadedScript::of(L);
  if (script.running_filter != nullptr) line.add("policy", script.running_filter->name());
  if (script.running_call != nullptr) {
    line.add("request_id", script.running_call->exchange().id());
  }
  if (!lua_isnil(L, 2)) {
    lua_newtable(L);  // at kTexts
    lua_pushnil(L);
    Pace pace(L);  // entries without a name are passed over
    while (line.count < kMaxFields && lua_next(L, 2) != 0) {
      pace();
      add_field(L, line);
      lua_pop(L, 1);  // the table keeps the value, and nothing runs that could change it
    }
    lua_settop(L, 2);
  }
  Vm::of(L).charge(static_cast<uint32_t>((kMaxLine - line.room) * kNanosecondsPerByte));
  log::write(level, message, reinterpret_cast<const log::Field*>(line.fields.data()), line.count);
  return 0;
}

}  // namespace

void add_log_api(lua_State* L) {
  lua_newtable(L);
  for (const log::Level level :
       {log::Level::Debug, log::Level::Info, log::Level::Warn, log::Level::Error}) {
    lua_pushinteger(L, static_cast<lua_Integer>(level));
    lua_pushcclosure(L, write, 1);
    lua_setfield(L, -2, to_string(level).data());
  }
  lua_setfield(L, -2, "log");
}

}  // namespace tidegate::script
