// SPDX-License-Identifier: Apache-2.0
#include "script/json.h"

#include <charconv>
#include <cmath>

#include "base/strings.h"
#include "script/arguments.h"
#include "script/buffer.h"

namespace tidegate::script {
namespace {

constexpr double kMaxExact = 9007199254740991;  // 2^53 - 1: all integers up to it have a double
constexpr ApiFunction kDecode{"proxy.json.decode"};
constexpr ApiFunction kArray{"proxy.json.array"};
const char kArrayMark = 0;  // its address is the registry's key of the metatable of arrays

void push_null(lua_State* L) {
  lua_pushlightuserdata(L, nullptr);
}

// Pushes the values of a text as it reads it. A fault leaves `fault` set and anything on the stack.
class Decoder {
 public:
  Decoder(lua_State* L, std::string_view text, bool null_is_nil, bool big_as_text)
      : L_(L),
        vm_(Vm::of(L)),
        at_(text.data()),
        begin_(at_),
        end_(at_ + text.size()),
        null_is_nil_(null_is_nil),
        big_as_text_(big_as_text) {}

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
    while (at_ < end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\n' || *at_ == '\r')) {
      ++at_;
      pace_();
    }
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
    if (depth > kMaxJsonDepth) return fail("nested too deeply");
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
      while (p < end_ && *p >= '0' && *p <= '9') ++p, pace_();
      return p > first;
    };
    if (p < end_ && *p == '-') ++p;
    const char* whole = p;
    if (!digits() || (*whole == '0' && p - whole > 1)) return fail("not a JSON value");
    const char* const whole_end = p;
    if (p < end_ && *p == '.' && (++p, !digits())) return fail("not a number");
    if (p < end_ && (*p == 'e' || *p == 'E')) {
      ++p;
      if (p < end_ && (*p == '+' || *p == '-')) ++p;
      if (!digits()) return fail("not a number");
    }
    double number = 0;
    const auto [end, error] = std::from_chars(start, p, number);
    if (error == std::errc::result_out_of_range) return fail("number out of range");
    // Its neighbours would look the same, so that what is encoded again has other digits.
    if (p == whole_end && std::fabs(number) > kMaxExact) {
      if (!big_as_text_) {
        return fail(
            "an integer beyond 2^53, which no number can hold: decode it with "
            "{ big_integers = \"string\" }");
      }
      at_ = p;
      lua_pushlstring(L_, start, static_cast<size_t>(p - start));
      return true;
    }
    at_ = p;
    lua_pushnumber(L_, number);
    return end == p || fail("not a number");
  }

  bool string() {
    const char* start = ++at_;
    while (at_ < end_ && *at_ != '"' && *at_ != '\\' && static_cast<unsigned char>(*at_) >= ' ') {
      ++at_;
      pace_();
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
      pace_();
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
  const bool big_as_text_;
  Pace pace_{L_};
  const char* fault_ = nullptr;
};

int decode(lua_State* L) {
  const std::string_view text = text_argument(L, kDecode, 1);
  const std::string_view big = text_option(L, kDecode, 2, "big_integers");
  if (!big.empty() && big != "string") raise(L, "proxy.json.decode: big_integers can be 'string'");
  lua_settop(L, 1);
  Decoder decoder(L, text, false, !big.empty());
  if (decoder.decode()) return 1;
  lua_pushnil(L);
  lua_pushfstring(L, "%s at position %d", decoder.fault(), static_cast<int>(decoder.position()));
  return 2;
}

int array(lua_State* L) {
  lua_settop(L, 1);
  if (lua_isnil(L, 1)) {
    lua_newtable(L);
    lua_replace(L, 1);
  }
  table_argument(L, kArray, 1);
  if (luaL_getmetafield(L, 1, "__metatable") != 0) raise(L, "a protected table");
  push_array_mark(L);
  lua_setmetatable(L, 1);
  return 1;
}

}  // namespace

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

void push_json(lua_State* L, std::string_view text) {
  const int top = lua_gettop(L);
  Decoder decoder(L, text, true, true);
  const bool fine = decoder.decode();
  if (fine) return;
  lua_settop(L, top);
  lua_pushnil(L);
}

void add_json(lua_State* L) {
  static const luaL_Reg kFunctions[] = {
      {"decode", decode}, {"encode", encode_json}, {"array", array}, {nullptr, nullptr}};
  lua_newtable(L);
  luaL_register(L, nullptr, kFunctions);
  push_null(L);
  lua_setfield(L, -2, "null");
  lua_setfield(L, -2, "json");
}

}  // namespace tidegate::script
