// SPDX-License-Identifier: Apache-2.0
// proxy.json.encode.
#include <charconv>
#include <cmath>

#include "script/arguments.h"
#include "script/buffer.h"
#include "script/json.h"

namespace tidegate::script {
namespace {

constexpr ApiFunction kEncode{"proxy.json.encode"};

// How many bytes of `text`, from its beginning, are UTF-8 (RFC 3629).
size_t valid_utf8(lua_State* L, std::string_view text) {
  Pace pace(L);
  const auto byte = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
  size_t i = 0;
  while (i < text.size()) {
    pace();
    const unsigned char first = byte(i);
    if (first < 0x80) {
      ++i;
      continue;
    }
    const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || i + length > text.size()) return i;
    for (size_t j = 1; j < length; ++j) {
      if ((byte(i + j) & 0xc0) != 0x80) return i;
    }
    const unsigned char second = byte(i + 1);
    const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
    const bool beyond = (first == 0xed && second > 0x9f) || (first == 0xf4 && second > 0x8f);
    if (overlong || beyond) return i;
    i += length;
  }
  return i;
}

class Encoder {
 public:
  Encoder(lua_State* L, bool replaces) : L_(L), vm_(Vm::of(L)), text_(L), replaces_(replaces) {}

  // The value at `index`, which is absolute.
  void value(int index, int depth) {
    vm_.check(L_);
    if (depth > kMaxJsonDepth) raise(L_, "nested too deeply, or a table that contains itself");
    luaL_checkstack(L_, 8, "JSON");
    switch (lua_type(L_, index)) {
      case LUA_TNIL:
        return text_.append("null");
      case LUA_TBOOLEAN:
        return text_.append(lua_toboolean(L_, index) != 0 ? "true" : "false");
      case LUA_TNUMBER:
        return number(lua_tonumber(L_, index));
      case LUA_TSTRING:
        return string(index);
      case LUA_TTABLE:
        return table(index, depth);
      case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(L_, index) == nullptr) return text_.append("null");
        [[fallthrough]];
      default:
        raise(L_, "a %s has no JSON", luaL_typename(L_, index));
    }
  }
  void push() { text_.push(); }

 private:
  void number(double value) {
    if (!std::isfinite(value)) raise(L_, "a number that is not finite has no JSON");
    char* to = text_.reserve(40);
    char* end;
    if (value == std::floor(value) && std::fabs(value) < 1e15) {
      end = std::to_chars(to, to + 40, static_cast<int64_t>(value)).ptr;
    } else {
      end = std::to_chars(to, to + 40, value).ptr;
    }
    text_.commit(static_cast<size_t>(end - to));
  }

  void string(int index) {
    size_t size;
    const char* text = lua_tolstring(L_, index, &size);
    text_.append('"');
    const size_t valid = valid_utf8(L_, {text, size});
    if (valid < size) return broken_string({text, size}, valid);
    escaped({text, size});
    text_.append('"');
  }

  // Its first `valid` bytes are UTF-8.
  void broken_string(std::string_view text, size_t valid) {
    if (!replaces_) {
      raise(L_,
            "a string that is no UTF-8 at its byte %d has no JSON: encode it by proxy.base64, or "
            "with { invalid_utf8 = \"replace\" }",
            static_cast<int>(valid) + 1);
    }
    for (; valid < text.size(); valid = valid_utf8(L_, text)) {
      vm_.check(L_);
      escaped(text.substr(0, valid));
      text_.append("\xef\xbf\xbd");
      text.remove_prefix(valid + 1);
    }
    escaped(text);
    text_.append('"');
  }

  void escaped(std::string_view text) {
    static constexpr char kHex[] = "0123456789abcdef";
    const size_t size = text.size();
    size_t plain = 0;  // where the stretch that needs no escape begins
    for (size_t i = 0; i < size; ++i) {
      if ((i & 4095) == 4095) vm_.check(L_);
      const auto c = static_cast<unsigned char>(text[i]);
      if (c >= ' ' && c != '"' && c != '\\' && c != 0x7f) continue;
      text_.append(text.substr(plain, i - plain));
      plain = i + 1;
      switch (c) {
        case '"':
          text_.append("\\\"");
          break;
        case '\\':
          text_.append("\\\\");
          break;
        case '\n':
          text_.append("\\n");
          break;
        case '\r':
          text_.append("\\r");
          break;
        case '\t':
          text_.append("\\t");
          break;
        default:
          text_.append("\\u00");
          text_.append(kHex[c >> 4]);
          text_.append(kHex[c & 15]);
      }
    }
    text_.append(text.substr(plain));
  }

  bool is_array(int index) {
    if (lua_getmetatable(L_, index) != 0) {
      push_array_mark(L_);
      const bool marked = lua_rawequal(L_, -1, -2) != 0;
      lua_pop(L_, 2);
      if (marked) return true;
    }
    const size_t length = lua_objlen(L_, index);
    if (length == 0) return false;
    size_t entries = 0;
    lua_pushnil(L_);
    while (lua_next(L_, index) != 0) {
      vm_.check(L_);
      lua_pop(L_, 1);
      if (++entries <= length) continue;
      lua_pop(L_, 1);
      return false;
    }
    return entries == length;
  }

  void table(int index, int depth) {
    bool first = true;
    if (is_array(index)) {
      text_.append('[');
      const auto length = static_cast<int>(lua_objlen(L_, index));
      for (int i = 1; i <= length; ++i) {
        if (i > 1) text_.append(',');
        lua_rawgeti(L_, index, i);
        value(lua_gettop(L_), depth + 1);
        lua_pop(L_, 1);
      }
      return text_.append(']');
    }
    text_.append('{');
    lua_pushnil(L_);
    while (lua_next(L_, index) != 0) {
      const int type = lua_type(L_, -2);
      if (type != LUA_TSTRING && type != LUA_TNUMBER) {
        raise(L_, "a key of type %s has no JSON", lua_typename(L_, type));
      }
      if (!first) text_.append(',');
      first = false;
      lua_pushvalue(L_, -2);  // a copy: turning a number into a text would confuse lua_next
      string(lua_gettop(L_));
      lua_pop(L_, 1);
      text_.append(':');
      value(lua_gettop(L_), depth + 1);
      lua_pop(L_, 1);
    }
    text_.append('}');
  }

  lua_State* L_;
  Vm& vm_;
  Buffer text_;
  const bool replaces_;  // what is no UTF-8, by U+FFFD
};

}  // namespace

std::string_view text_option(lua_State* L, ApiFunction function, int index, const char* name) {
  if (lua_isnoneornil(L, index)) return {};
  table_argument(L, function, index);
  lua_pushstring(L, name);
  lua_rawget(L, index);
  size_t size = 0;
  const char* text = lua_tolstring(L, -1, &size);
  lua_pop(L, 1);  // the table keeps it
  return {text, size};
}

int encode_json(lua_State* L) {
  if (lua_isnone(L, 1)) raise_argument(L, kEncode, 1, "a value");
  const std::string_view invalid = text_option(L, kEncode, 2, "invalid_utf8");
  if (!invalid.empty() && invalid != "replace") {
    raise(L, "proxy.json.encode: invalid_utf8 can be 'replace'");
  }
  lua_settop(L, 1);
  Encoder encoder(L, !invalid.empty());
  encoder.value(1, 0);
  encoder.push();
  return 1;
}

}  // namespace tidegate::script
