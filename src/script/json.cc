// SPDX-License-Identifier: Apache-2.0
#include "script/json.h"

#include <charconv>
#include <cmath>

#include "base/strings.h"
#include "script/buffer.h"

namespace tidegate::script {
namespace {

constexpr int kMaxDepth = 100;
const char kArrayMark = 0;  // its address is the registry's key of the metatable of arrays

void push_array_mark(lua_State* L) {
  lua_pushlightuserdata(L, const_cast<char*>(&kArrayMark));
  lua_rawget(L, LUA_REGISTRYINDEX);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushliteral(L, "array");
  lua_setfield(L, -2, "__metatable");
  lua_pushlightuserdata(L, const_cast<char*>(&kArrayMark));
  lua_pushvalue(L, -2);
  lua_rawset(L, LUA_REGISTRYINDEX);
}

void push_null(lua_State* L) {
  lua_pushlightuserdata(L, nullptr);
}

// Pushes the values of a text as it reads it. A fault leaves `fault` set and anything on the stack.
class Decoder {
 public:
  Decoder(lua_State* L, std::string_view text, bool null_is_nil)
      : L_(L),
        vm_(Vm::of(L)),
        at_(text.data()),
        begin_(at_),
        end_(at_ + text.size()),
        null_is_nil_(null_is_nil) {}

  bool decode() {
    if (!value(0)) return false;
    skip_space();
    return at_ == end_ || fail("more text than one value");
  }
  const char* fault() const { return fault_; }
  size_t position() const { return static_cast<size_t>(at_ - begin_) + 1; }

 private:
  bool fail(const char* what) {
    if (fault_ == nullptr) fault_ = what;
    return false;
  }
  void skip_space() {
    while (at_ < end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\n' || *at_ == '\r')) ++at_;
  }
  bool take(char c) {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }
  bool word(std::string_view text) {
    if (static_cast<size_t>(end_ - at_) < text.size() ||
        std::string_view(at_, text.size()) != text) {
      return fail("not a JSON value");
    }
    at_ += text.size();
    return true;
  }

  bool value(int depth) {
    vm_.check(L_);
    if (depth > kMaxDepth) return fail("nested too deeply");
    luaL_checkstack(L_, 8, "JSON");
    skip_space();
    if (at_ == end_) return fail("the text ends early");
    switch (*at_) {
      case '{':
        return object(depth);
      case '[':
        return array(depth);
      case '"':
        return string();
      case 't':
        return lua_pushboolean(L_, 1), word("true");
      case 'f':
        return lua_pushboolean(L_, 0), word("false");
      case 'n':
        null_is_nil_ ? lua_pushnil(L_) : push_null(L_);
        return word("null");
      default:
        return number();
    }
  }

  bool object(int depth) {
    ++at_;
    lua_newtable(L_);
    skip_space();
    if (take('}')) return true;
    do {
      skip_space();
      if (at_ == end_ || *at_ != '"') return fail("a key must be a string");
      if (!string()) return false;
      skip_space();
      if (!take(':')) return fail("':' expected");
      if (!value(depth + 1)) return false;
      lua_rawset(L_, -3);
      skip_space();
    } while (take(','));
    return take('}') || fail("',' or '}' expected");
  }

  bool array(int depth) {
    ++at_;
    lua_newtable(L_);
    push_array_mark(L_);
    lua_setmetatable(L_, -2);
    skip_space();
    if (take(']')) return true;
    int count = 0;
    do {
      if (!value(depth + 1)) return false;
      lua_rawseti(L_, -2, ++count);
      skip_space();
    } while (take(','));
    return take(']') || fail("',' or ']' expected");
  }

  bool number() {
    const char* start = at_;
    const char* p = at_;
    const auto digits = [&] {
      const char* first = p;
      while (p < end_ && *p >= '0' && *p <= '9') ++p;
      return p > first;
    };
    if (p < end_ && *p == '-') ++p;
    const char* whole = p;
    if (!digits() || (*whole == '0' && p - whole > 1)) return fail("not a JSON value");
    if (p < end_ && *p == '.' && (++p, !digits())) return fail("not a number");
    if (p < end_ && (*p == 'e' || *p == 'E')) {
      ++p;
      if (p < end_ && (*p == '+' || *p == '-')) ++p;
      if (!digits()) return fail("not a number");
    }
    double number = 0;
    const auto [end, error] = std::from_chars(start, p, number);
    if (error == std::errc::result_out_of_range) return fail("number out of range");
    at_ = p;
    lua_pushnumber(L_, number);
    return end == p || fail("not a number");
  }

  bool string() {
    const char* start = ++at_;
    while (at_ < end_ && *at_ != '"' && *at_ != '\\' && static_cast<unsigned char>(*at_) >= ' ') {
      ++at_;
    }
    if (at_ < end_ && *at_ == '"') {
      lua_pushlstring(L_, start, static_cast<size_t>(at_ - start));
      ++at_;
      return true;
    }
    return escaped_string(start);
  }

  bool escaped_string(const char* start) {
    Buffer text(L_);
    text.append(std::string_view(start, static_cast<size_t>(at_ - start)));
    while (true) {
      if (at_ == end_) return fail("the text ends inside a string");
      const char c = *at_++;
      if (c == '"') break;
      if (static_cast<unsigned char>(c) < ' ') return fail("a control character in a string");
      if (c != '\\') {
        text.append(c);
      } else if (!escape(text)) {
        return false;
      }
    }
    text.push();
    lua_remove(L_, -2);
    return true;
  }

  bool escape(Buffer& text) {
    if (at_ == end_) return fail("the text ends inside a string");
    const char c = *at_++;
    switch (c) {
      case '"':
      case '\\':
      case '/':
        text.append(c);
        return true;
      case 'b':
        text.append('\b');
        return true;
      case 'f':
        text.append('\f');
        return true;
      case 'n':
        text.append('\n');
        return true;
      case 'r':
        text.append('\r');
        return true;
      case 't':
        text.append('\t');
        return true;
      case 'u':
        return unicode(text);
      default:
        return fail("unknown escape");
    }
  }

  bool four_digits(uint32_t& code) {
    if (end_ - at_ < 4) return fail("the text ends inside a string");
    code = 0;
    for (int i = 0; i < 4; ++i) {
      const int digit = hex_value(*at_++);
      if (digit < 0) return fail("not a hexadecimal digit");
      code = code * 16 + static_cast<uint32_t>(digit);
    }
    return true;
  }

  bool unicode(Buffer& text) {
    uint32_t code;
    if (!four_digits(code)) return false;
    if (code >= 0xdc00 && code <= 0xdfff) return fail("half of a surrogate pair");
    if (code >= 0xd800 && code <= 0xdbff) {
      uint32_t low;
      if (!take('\\') || !take('u') || !four_digits(low) || low < 0xdc00 || low > 0xdfff) {
        return fail("half of a surrogate pair");
      }
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    const auto put = [&text](uint32_t byte) { text.append(static_cast<char>(byte)); };
    if (code < 0x80) {
      put(code);
    } else if (code < 0x800) {
      put(0xc0 | code >> 6), put(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
      put(0xe0 | code >> 12), put(0x80 | (code >> 6 & 0x3f)), put(0x80 | (code & 0x3f));
    } else {
      put(0xf0 | code >> 18), put(0x80 | (code >> 12 & 0x3f)), put(0x80 | (code >> 6 & 0x3f)),
          put(0x80 | (code & 0x3f));
    }
    return true;
  }

  lua_State* L_;
  Vm& vm_;
  const char* at_;
  const char* begin_;
  const char* end_;
  const bool null_is_nil_;
  const char* fault_ = nullptr;
};

class Encoder {
 public:
  explicit Encoder(lua_State* L) : L_(L), vm_(Vm::of(L)), text_(L) {}

  // The value at `index`, which is absolute.
  void value(int index, int depth) {
    vm_.check(L_);
    if (depth > kMaxDepth) luaL_error(L_, "nested too deeply, or a table that contains itself");
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
        luaL_error(L_, "a %s has no JSON", luaL_typename(L_, index));
    }
  }
  void push() { text_.push(); }

 private:
  void number(double value) {
    if (!std::isfinite(value)) luaL_error(L_, "a number that is not finite has no JSON");
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
    static constexpr char kHex[] = "0123456789abcdef";
    size_t size;
    const char* text = lua_tolstring(L_, index, &size);
    text_.append('"');
    size_t plain = 0;  // where the stretch that needs no escape begins
    for (size_t i = 0; i < size; ++i) {
      const auto c = static_cast<unsigned char>(text[i]);
      if (c >= ' ' && c != '"' && c != '\\' && c != 0x7f) continue;
      text_.append(std::string_view(text + plain, i - plain));
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
    text_.append(std::string_view(text + plain, size - plain));
    text_.append('"');
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
        luaL_error(L_, "a key of type %s has no JSON", lua_typename(L_, type));
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
};

int decode(lua_State* L) {
  size_t size;
  const char* text = luaL_checklstring(L, 1, &size);
  Decoder decoder(L, {text, size}, false);
  if (decoder.decode()) return 1;
  lua_pushnil(L);
  lua_pushfstring(L, "%s at position %d", decoder.fault(), static_cast<int>(decoder.position()));
  return 2;
}

int encode(lua_State* L) {
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  Encoder encoder(L);
  encoder.value(1, 0);
  encoder.push();
  return 1;
}

int array(lua_State* L) {
  lua_settop(L, 1);
  if (lua_isnil(L, 1)) {
    lua_newtable(L);
    lua_replace(L, 1);
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  if (luaL_getmetafield(L, 1, "__metatable") != 0) return luaL_error(L, "a protected table");
  push_array_mark(L);
  lua_setmetatable(L, 1);
  return 1;
}

}  // namespace

void push_json(lua_State* L, std::string_view text) {
  const int top = lua_gettop(L);
  Decoder decoder(L, text, true);
  const bool fine = decoder.decode();
  if (fine) return;
  lua_settop(L, top);
  lua_pushnil(L);
}

int encode_json(lua_State* L) {
  return encode(L);
}

void add_json(lua_State* L) {
  static const luaL_Reg kFunctions[] = {
      {"decode", decode}, {"encode", encode}, {"array", array}, {nullptr, nullptr}};
  lua_newtable(L);
  luaL_register(L, nullptr, kFunctions);
  push_null(L);
  lua_setfield(L, -2, "null");
  lua_setfield(L, -2, "json");
}

}  // namespace tidegate::script
