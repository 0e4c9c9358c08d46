// SPDX-License-Identifier: Apache-2.0
// proxy.base64, base64url, hex, url: encode and decode. Decoding what is not encoded so gives nil
// and a message.
#include <array>
#include <utility>

#include "base/strings.h"
#include "script/api.h"
#include "script/arguments.h"
#include "script/buffer.h"
#include "script/codecs.h"

namespace tidegate::script {
namespace {

constexpr char kStandard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr char kUrlSafe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// The one argument; upvalue 1 of all these functions is what messages call them.
std::string_view check_text(lua_State* L) {
  const std::string_view text = text_argument(L, {lua_tostring(L, lua_upvalueindex(1))}, 1);
  lua_settop(L, 1);
  return text;
}

int fail(lua_State* L, const char* message) {
  lua_pushnil(L);
  lua_pushstring(L, message);
  return 2;
}

// RFC 4648; base64url without padding, as it is used in URLs and tokens.
int base64(lua_State* L, const char* alphabet, bool pad) {
  const std::string_view text = check_text(L);
  Buffer result(L);
  char* to = result.reserve((text.size() + 2) / 3 * 4);
  char* p = to;
  Pace pace(L);
  for (size_t i = 0; i < text.size(); i += 3) {
    pace();
    const size_t left = text.size() - i;
    uint32_t bits = 0;
    for (size_t j = 0; j < 3; ++j) {
      bits = bits << 8 | (j < left ? static_cast<unsigned char>(text[i + j]) : 0u);
    }
    for (size_t j = 0; j < 4; ++j) {
      if (j <= left) {
        *p++ = alphabet[bits >> (18 - 6 * j) & 63];
      } else if (pad) {
        *p++ = '=';
      }
    }
  }
  result.commit(static_cast<size_t>(p - to));
  result.push();
  return 1;
}

int sextet(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+' || c == '-') return 62;
  return c == '/' || c == '_' ? 63 : -1;
}

// Of either alphabet, with or without padding.
int unbase64(lua_State* L, bool url) {
  std::string_view text = check_text(L);
  const size_t whole = text.size();
  while (!text.empty() && text.back() == '=' && whole - text.size() < 2) text.remove_suffix(1);
  const bool padded = text.size() != whole;
  if ((padded && whole % 4 != 0) || text.size() % 4 == 1)
    return fail(L, "not base64: wrong length");
  Buffer result(L);
  char* to = result.reserve(text.size() / 4 * 3 + 3);
  size_t written = 0;
  uint32_t bits = 0;
  int have = 0;
  Pace pace(L);
  for (const char c : text) {
    pace();
    const int six = sextet(c);
    const bool other = url ? c == '+' || c == '/' : c == '-' || c == '_';
    if (six < 0 || other) return fail(L, "not base64: a character outside of its alphabet");
    bits = bits << 6 | static_cast<uint32_t>(six);
    have += 6;
    if (have < 8) continue;
    have -= 8;
    to[written++] = static_cast<char>(bits >> have);
    bits &= (1u << have) - 1;
  }
  if (bits != 0) return fail(L, "not base64: bits are left over");
  result.commit(written);
  result.push();
  return 1;
}

int base64_encode(lua_State* L) {
  return base64(L, kStandard, true);
}
int base64_decode(lua_State* L) {
  return unbase64(L, false);
}
int base64url_encode(lua_State* L) {
  return base64(L, kUrlSafe, false);
}
int base64url_decode(lua_State* L) {
  return unbase64(L, true);
}

int hex_encode(lua_State* L) {
  static constexpr char kDigits[] = "0123456789abcdef";
  const std::string_view text = check_text(L);
  Buffer result(L);
  char* to = result.reserve(text.size() * 2);
  Pace pace(L);
  for (const char c : text) {
    pace();
    *to++ = kDigits[static_cast<unsigned char>(c) >> 4];
    *to++ = kDigits[static_cast<unsigned char>(c) & 15];
  }
  result.commit(text.size() * 2);
  result.push();
  return 1;
}

int hex_decode(lua_State* L) {
  const std::string_view text = check_text(L);
  if (text.size() % 2 != 0) return fail(L, "not hexadecimal: odd length");
  Buffer result(L);
  char* to = result.reserve(text.size() / 2);
  Pace pace(L);
  for (size_t i = 0; i < text.size(); i += 2) {
    pace();
    const int high = hex_value(text[i]);
    const int low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) return fail(L, "not hexadecimal");
    *to++ = static_cast<char>(high << 4 | low);
  }
  result.commit(text.size() / 2);
  result.push();
  return 1;
}

bool is_unreserved(char c) {  // RFC 3986 2.3
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

int url_encode(lua_State* L) {
  const std::string_view text = check_text(L);
  Buffer result(L);
  append_url_encoded(L, result, text);
  result.push();
  return 1;
}

int url_decode(lua_State* L) {
  const bool plus = lua_toboolean(L, 2) != 0;
  push_url_decoded(L, check_text(L), plus);
  return 1;
}

void set_part(lua_State* L, const char* key, std::string_view text) {
  lua_pushlstring(L, text.data(), text.size());
  lua_setfield(L, -2, key);
}

// host:port of an authority; false: it is none.
bool set_authority(lua_State* L, std::string_view authority) {
  if (const size_t at = authority.rfind('@'); at != std::string_view::npos) {
    set_part(L, "user", authority.substr(0, at));
    authority.remove_prefix(at + 1);
  }
  size_t host_end = authority.find(':');
  if (authority.starts_with('[')) {
    host_end = authority.find(']');
    if (host_end == std::string_view::npos) return false;
    ++host_end;
  }
  const std::string_view host = authority.substr(0, host_end);
  if (host.empty()) return false;
  set_part(L, "host", host);
  if (host.size() == authority.size()) return true;
  if (authority[host.size()] != ':') return false;
  const auto port = parse_decimal(authority.substr(host.size() + 1), 65535);
  if (!port) return false;
  lua_pushinteger(L, static_cast<lua_Integer>(*port));
  lua_setfield(L, -2, "port");
  return true;
}

// { scheme, user, host, port, path, query, fragment } of an absolute URL or of a path.
int url_parse(lua_State* L) {
  constexpr size_t kMaxUrl = 64 * 1024;
  std::string_view rest = check_text(L);
  if (rest.size() > kMaxUrl) return fail(L, "not a URL: more than 65536 bytes");
  lua_newtable(L);
  if (const size_t hash = rest.find('#'); hash != std::string_view::npos) {
    set_part(L, "fragment", rest.substr(hash + 1));
    rest = rest.substr(0, hash);
  }
  if (const size_t question = rest.find('?'); question != std::string_view::npos) {
    set_part(L, "query", rest.substr(question + 1));
    rest = rest.substr(0, question);
  }
  if (const size_t colon = rest.find("://"); colon != std::string_view::npos && colon > 0) {
    set_part(L, "scheme", rest.substr(0, colon));
    rest.remove_prefix(colon + 3);
    const size_t slash = rest.find('/');
    if (!set_authority(L, rest.substr(0, slash)))
      return fail(L, "not a URL: no host, or a wrong port");
    rest = slash == std::string_view::npos ? std::string_view("/") : rest.substr(slash);
  } else if (!rest.starts_with('/')) {
    return fail(L, "not a URL: neither absolute nor a path");
  }
  set_part(L, "path", rest);
  return 1;
}

void add_pair(lua_State* L, const char* name, lua_CFunction encode, lua_CFunction decode) {
  lua_newtable(L);
  for (const auto& [field, function] : {std::pair("encode", encode), std::pair("decode", decode)}) {
    lua_pushfstring(L, "proxy.%s.%s", name, field);
    lua_pushcclosure(L, function, 1);
    lua_setfield(L, -2, field);
  }
  lua_setfield(L, -2, name);
}

}  // namespace

void append_url_encoded(lua_State* L, Buffer& to, std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  Pace pace(L);
  for (const char c : text) {
    pace();
    if (is_unreserved(c)) {
      to.append(c);
      continue;
    }
    to.append('%');
    to.append(kDigits[static_cast<unsigned char>(c) >> 4]);
    to.append(kDigits[static_cast<unsigned char>(c) & 15]);
  }
}

void push_url_decoded(lua_State* L, std::string_view text, bool plus) {
  if (text.find('%') == std::string_view::npos &&
      (!plus || text.find('+') == std::string_view::npos)) {
    lua_pushlstring(L, text.data(), text.size());
    return;
  }
  Buffer result(L);
  Pace pace(L);
  for (size_t i = 0; i < text.size(); ++i) {
    pace();
    const int high = text[i] == '%' && i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_value(text[i + 2]) : -1;
    if (low >= 0) {
      result.append(static_cast<char>(high << 4 | low));
      i += 2;
    } else {
      result.append(plus && text[i] == '+' ? ' ' : text[i]);
    }
  }
  result.push();
  lua_remove(L, -2);
}

void add_codec_api(lua_State* L) {
  add_pair(L, "base64", base64_encode, base64_decode);
  add_pair(L, "base64url", base64url_encode, base64url_decode);
  add_pair(L, "hex", hex_encode, hex_decode);
  add_pair(L, "url", url_encode, url_decode);
  lua_getfield(L, -1, "url");
  lua_pushliteral(L, "proxy.url.parse");
  lua_pushcclosure(L, url_parse, 1);
  lua_setfield(L, -2, "parse");
  lua_pop(L, 1);
}

}  // namespace tidegate::script
