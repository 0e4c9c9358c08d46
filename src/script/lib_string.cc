// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>

#include "script/arguments.h"
#include "script/buffer.h"
#include "script/libraries.h"
#include "script/pattern.h"

namespace tidegate::script {
namespace {

std::string_view check_text(lua_State* L, int index) {
  size_t size;
  const char* text = luaL_checklstring(L, index, &size);
  return {text, size};
}

[[noreturn]] void raise_fault(lua_State* L, PatternFault fault) {
  if (fault == PatternFault::Interrupted) Vm::of(L).check(L);
  luaL_error(L, "%s", to_string(fault));
  __builtin_unreachable();
}

void push_capture(lua_State* L, const PatternMatcher& matcher, int index) {
  const auto& capture = matcher.capture(index);
  if (capture.length == PatternMatcher::kPosition) {
    lua_pushinteger(L, capture.start - matcher.subject() + 1);
  } else if (capture.length == PatternMatcher::kOpen) {
    raise_fault(L, PatternFault::UnfinishedCapture);
  } else {
    lua_pushlstring(L, capture.start, static_cast<size_t>(capture.length));
  }
}

// The captures, or the whole match where there are none; how many.
int push_captures(lua_State* L, const PatternMatcher& matcher, const char* start, const char* end) {
  if (matcher.captures() == 0) {
    lua_pushlstring(L, start, static_cast<size_t>(end - start));
    return 1;
  }
  luaL_checkstack(L, matcher.captures(), "too many captures");
  for (int i = 0; i < matcher.captures(); ++i) push_capture(L, matcher, i);
  return matcher.captures();
}

// Where a search begins, from the optional argument `index`.
size_t start_of(lua_State* L, int index, size_t size) {
  auto start = static_cast<ptrdiff_t>(luaL_optinteger(L, index, 1));
  const auto length = static_cast<ptrdiff_t>(size);
  if (start < 0) {
    start += length;
  } else {
    --start;
  }
  if (start < 0) start = 0;
  return static_cast<size_t>(start > length ? length : start);
}

// Looked for in stretches, with a look at the budget between them. memmem prepares itself by the
// whole of what it looks for, so of a long text it looks for the beginning.
const char* find_plain(lua_State* L, std::string_view subject, std::string_view what) {
  constexpr size_t kStretch = 64 * 1024;
  constexpr size_t kBeginning = 4 * 1024;
  const std::string_view beginning = what.substr(0, kBeginning);
  const std::string_view rest = what.substr(beginning.size());
  Vm& vm = Vm::of(L);
  for (size_t at = 0; at + what.size() <= subject.size();) {
    const std::string_view part = subject.substr(at, kStretch + beginning.size());
    const auto* found = static_cast<const char*>(
        memmem(part.data(), part.size(), beginning.data(), beginning.size()));
    if (found == nullptr) {
      at += kStretch;
    } else {
      at = static_cast<size_t>(found - subject.data());
      if (subject.substr(at + beginning.size()).starts_with(rest)) return found;
      ++at;
    }
    vm.check(L);
  }
  return nullptr;
}

// Whether no character of it has a meaning of its own.
bool is_plain(lua_State* L, std::string_view pattern) {
  constexpr size_t kPiece = 4096;
  for (size_t at = 0; at < pattern.size(); at += kPiece) {
    if (!is_plain_pattern(pattern.substr(at, kPiece))) return false;
    Vm::of(L).check(L);
  }
  return true;
}

int search(lua_State* L, bool find) {
  const std::string_view subject = check_text(L, 1);
  const std::string_view pattern = check_text(L, 2);
  const size_t start = start_of(L, 3, subject.size());
  if (find && (lua_toboolean(L, 4) != 0 || is_plain(L, pattern))) {
    const char* found = find_plain(L, subject.substr(start), pattern);
    if (found == nullptr) return 0;
    const auto at = found - subject.data();
    lua_pushinteger(L, at + 1);
    lua_pushinteger(L, at + static_cast<ptrdiff_t>(pattern.size()));
    return 2;
  }
  PatternMatcher matcher(subject, pattern, Vm::of(L).interrupted);
  const bool anchored = matcher.take_anchor();
  for (const char* at = subject.data() + start; at <= matcher.subject_end(); ++at) {
    const char* end = matcher.match_at(at);
    if (matcher.fault() != PatternFault::None) raise_fault(L, matcher.fault());
    if (end != nullptr) {
      if (!find) return push_captures(L, matcher, at, end);
      lua_pushinteger(L, at - subject.data() + 1);
      lua_pushinteger(L, end - subject.data());
      return matcher.captures() == 0 ? 2 : 2 + push_captures(L, matcher, at, end);
    }
    if (anchored) break;
  }
  return 0;
}

int find(lua_State* L) {
  const int count = search(L, true);
  if (count == 0) lua_pushnil(L);
  return count == 0 ? 1 : count;
}

int match(lua_State* L) {
  const int count = search(L, false);
  if (count == 0) lua_pushnil(L);
  return count == 0 ? 1 : count;
}

// Upvalues: subject, pattern, where to go on.
int gmatch_next(lua_State* L) {
  size_t size;
  const char* text = lua_tolstring(L, lua_upvalueindex(1), &size);
  const std::string_view subject(text, size);
  text = lua_tolstring(L, lua_upvalueindex(2), &size);
  PatternMatcher matcher(subject, {text, size}, Vm::of(L).interrupted);
  const char* at = subject.data() + lua_tointeger(L, lua_upvalueindex(3));
  for (; at <= matcher.subject_end(); ++at) {
    const char* end = matcher.match_at(at);
    if (matcher.fault() != PatternFault::None) raise_fault(L, matcher.fault());
    if (end == nullptr) continue;
    // An empty match goes on one character further, or it would be found for ever.
    lua_pushinteger(L, end - subject.data() + (end == at ? 1 : 0));
    lua_replace(L, lua_upvalueindex(3));
    return push_captures(L, matcher, at, end);
  }
  lua_pushinteger(L, static_cast<lua_Integer>(subject.size()) + 1);
  lua_replace(L, lua_upvalueindex(3));
  return 0;
}

int gmatch(lua_State* L) {
  check_text(L, 1);
  check_text(L, 2);
  lua_settop(L, 2);
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, gmatch_next, 3);
  return 1;
}

// A replacement string: %0 is the match, %1 to %9 a capture, % before anything else that character.
void append_template(lua_State* L, Buffer& to, const PatternMatcher& matcher, const char* start,
                     const char* end) {
  size_t size;
  const char* text = lua_tolstring(L, 3, &size);
  Vm& vm = Vm::of(L);
  for (size_t i = 0; i < size; ++i) {
    if ((i & 4095) == 4095) vm.check(L);
    if (text[i] != '%') {
      to.append(text[i]);
      continue;
    }
    const char c = ++i < size ? text[i] : '\0';
    if (c < '0' || c > '9') {
      to.append(c);
    } else if (c == '0' || (c == '1' && matcher.captures() == 0)) {
      to.append(std::string_view(start, static_cast<size_t>(end - start)));
    } else {
      const int index = c - '1';
      if (index >= matcher.captures()) raise_fault(L, PatternFault::InvalidCapture);
      push_capture(L, matcher, index);
      to.append_top();
    }
  }
}

void append_replacement(lua_State* L, Buffer& to, const PatternMatcher& matcher, const char* start,
                        const char* end) {
  const std::string_view original(start, static_cast<size_t>(end - start));
  switch (lua_type(L, 3)) {
    case LUA_TFUNCTION:
      lua_pushvalue(L, 3);
      lua_call(L, push_captures(L, matcher, start, end), 1);
      break;
    case LUA_TTABLE:
      if (matcher.captures() == 0) {
        lua_pushlstring(L, start, original.size());
      } else {
        push_capture(L, matcher, 0);
      }
      lua_gettable(L, 3);
      break;
    default:
      append_template(L, to, matcher, start, end);
      return;
  }
  if (lua_toboolean(L, -1) == 0) {
    lua_pop(L, 1);
    to.append(original);
  } else if (lua_isstring(L, -1) == 0) {
    luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
  } else {
    to.append_top();
  }
}

int gsub(lua_State* L) {
  Vm& vm = Vm::of(L);
  vm.check_stack(L);
  const std::string_view subject = check_text(L, 1);
  const std::string_view pattern = check_text(L, 2);
  const int type = lua_type(L, 3);
  if (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TFUNCTION && type != LUA_TTABLE) {
    return luaL_argerror(L, 3, "string/function/table expected");
  }
  const auto most =
      static_cast<size_t>(luaL_optinteger(L, 4, static_cast<lua_Integer>(subject.size()) + 1));
  const bool limited = luaL_optinteger(L, 4, 0) < 0;
  lua_settop(L, 3);
  Buffer result(L);
  PatternMatcher matcher(subject, pattern, vm.interrupted);
  const bool anchored = matcher.take_anchor();
  const char* at = subject.data();
  size_t count = 0;
  while (!limited && count < most) {
    vm.check(L);
    const char* end = matcher.match_at(at);
    if (matcher.fault() != PatternFault::None) raise_fault(L, matcher.fault());
    if (end != nullptr) {
      ++count;
      append_replacement(L, result, matcher, at, end);
    }
    if (end != nullptr && end > at) {
      at = end;
    } else if (at < matcher.subject_end()) {
      result.append(*at++);
    } else {
      break;
    }
    if (anchored) break;
  }
  if (count == 0) {
    lua_pushvalue(L, 1);
  } else {
    result.append(std::string_view(at, static_cast<size_t>(matcher.subject_end() - at)));
    result.push();
  }
  lua_pushinteger(L, static_cast<lua_Integer>(count));
  return 2;
}

int rep(lua_State* L) {
  const std::string_view unit = check_text(L, 1);
  const lua_Integer count = luaL_checkinteger(L, 2);
  const std::string_view separator = lua_isnoneornil(L, 3) ? std::string_view() : check_text(L, 3);
  if (count <= 0 || unit.size() + separator.size() == 0) {
    lua_pushliteral(L, "");
    return 1;
  }
  Vm& vm = Vm::of(L);
  const size_t period = unit.size() + separator.size();
  const auto times = static_cast<size_t>(count);
  if (times > SIZE_MAX / 4 / period) vm.reserve(L, SIZE_MAX / 4);
  const size_t total = times * period - separator.size();
  vm.reserve(L, total * 2);  // the buffer and the string made of it
  if (total > INT32_MAX) return luaL_error(L, "resulting string too large");
  Buffer result(L);
  char* to = result.reserve(total + separator.size());
  std::memcpy(to, unit.data(), unit.size());
  if (!separator.empty()) std::memcpy(to + unit.size(), separator.data(), separator.size());
  // Each round doubles what is there.
  for (size_t done = period; done < total;) {
    const size_t part = done < total - done ? done : total - done;
    std::memcpy(to + done, to, part);
    done += part;
    vm.check(L);
  }
  result.commit(total);
  result.push();
  return 1;
}

constexpr int kFewArguments = 32;
constexpr size_t kLongText = 64 * 1024;

bool has_long_text(lua_State* L, int arguments) {
  for (int i = 1; i <= arguments; ++i) {
    if (lua_type(L, i) == LUA_TSTRING && lua_objlen(L, i) > kLongText) return true;
  }
  return false;
}

// Behind the conversion that begins with the '%' at `at`; %% too.
size_t conversion_end(lua_State* L, std::string_view pattern, size_t at) {
  constexpr std::string_view kModifiers = "-+ #0123456789.";
  constexpr size_t kLongest = 32;  // all flags, a width and a precision are half as long
  const std::string_view rest = pattern.substr(at, kLongest);
  size_t end = 1;
  while (end < rest.size() && kModifiers.find(rest[end]) != std::string_view::npos) ++end;
  if (end == kLongest) luaL_error(L, "a conversion in the format is too long");
  return std::min(at + end + 1, pattern.size());
}

// Calls the original with one conversion and the argument at `index`; the text is appended.
void append_formatted(lua_State* L, Buffer& to, std::string_view conversion, int index) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushlstring(L, conversion.data(), conversion.size());
  lua_pushvalue(L, index);
  call_original(L, "format", 2, 1);
  to.append_top();
}

// %q of a long text, of which the original is given piece by piece. No piece may begin with a digit
// behind a control character, which the original writes differently.
void append_quoted(lua_State* L, Buffer& to, int index) {
  const std::string_view text = check_text(L, index);
  Vm& vm = Vm::of(L);
  to.append('"');
  for (size_t at = 0; at < text.size();) {
    vm.check(L);
    size_t size = std::min(kLongText, text.size() - at);
    const auto is_digit = [&](size_t i) {
      return i < text.size() && text[i] >= '0' && text[i] <= '9';
    };
    if (is_digit(at + size)) ++size;
    if (is_digit(at + size)) ++size;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushliteral(L, "%q");
    lua_pushlstring(L, text.data() + at, size);
    lua_call(L, 2, 1);
    size_t quoted;
    const char* piece = lua_tolstring(L, -1, &quoted);
    to.append(std::string_view(piece + 1, quoted - 2));
    lua_pop(L, 1);
    at += size;
  }
  to.append('"');
}

// Many or long arguments: one conversion after the other, with a look at the budget between them.
int format_in_pieces(lua_State* L, int arguments) {
  const std::string_view pattern = check_text(L, 1);
  Vm& vm = Vm::of(L);
  luaL_checkstack(L, 8, "format");
  Buffer result(L);
  int index = 1;
  for (size_t at = 0; at < pattern.size();) {
    vm.check(L);
    const size_t percent =
        std::min(pattern.find('%', at), std::min(at + kLongText, pattern.size()));
    result.append(pattern.substr(at, percent - at));
    at = percent;
    if (at == pattern.size() || pattern[at] != '%') continue;
    const size_t end = conversion_end(L, pattern, at);
    const std::string_view conversion = pattern.substr(at, end - at);
    at = end;
    if (conversion == "%%") {
      result.append('%');
      continue;
    }
    if (++index > arguments) return luaL_argerror(L, index, "no value");
    if (conversion == "%q" && lua_type(L, index) == LUA_TSTRING) {
      append_quoted(L, result, index);
    } else {
      append_formatted(L, result, conversion, index);
    }
  }
  result.push();
  return 1;
}

// upper, lower and reverse: as the originals, with a look at the budget now and then.
template <class Convert>
int convert(lua_State* L, Convert&& piece) {
  constexpr size_t kPiece = 64 * 1024;
  const std::string_view text = check_text(L, 1);
  Vm& vm = Vm::of(L);
  vm.reserve(L, text.size() * 2);  // the buffer and the string made of it
  Buffer result(L);
  char* to = result.reserve(text.size());
  for (size_t at = 0; at < text.size(); at += kPiece) {
    vm.check(L);
    piece(text, at, std::min(kPiece, text.size() - at), to);
  }
  result.commit(text.size());
  result.push();
  return 1;
}

int upper(lua_State* L) {
  return convert(L, [](std::string_view text, size_t at, size_t size, char* to) {
    for (size_t i = at; i < at + size; ++i) {
      to[i] = text[i] >= 'a' && text[i] <= 'z' ? static_cast<char>(text[i] & ~0x20) : text[i];
    }
  });
}

int lower(lua_State* L) {
  return convert(L, [](std::string_view text, size_t at, size_t size, char* to) {
    for (size_t i = at; i < at + size; ++i) {
      to[i] = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] | 0x20) : text[i];
    }
  });
}

int reverse(lua_State* L) {
  return convert(L, [](std::string_view text, size_t at, size_t size, char* to) {
    for (size_t i = at; i < at + size; ++i) to[text.size() - 1 - i] = text[i];
  });
}

// The original, which may call __tostring and through it itself.
int format(lua_State* L) {
  Vm& vm = Vm::of(L);
  vm.check_stack(L);
  vm.check(L);
  const int arguments = lua_gettop(L);
  if (arguments > kFewArguments || has_long_text(L, arguments)) [[unlikely]] {
    return format_in_pieces(L, arguments);
  }
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  call_original(L, "format", arguments, LUA_MULTRET);
  return lua_gettop(L);
}

}  // namespace

void add_string_library(lua_State* L) {
  static const luaL_Reg kFunctions[] = {{"find", find},    {"match", match}, {"gmatch", gmatch},
                                        {"gfind", gmatch}, {"gsub", gsub},   {"rep", rep},
                                        {"upper", upper},  {"lower", lower}, {"reverse", reverse},
                                        {nullptr, nullptr}};
  luaL_register(L, nullptr, kFunctions);
  lua_getfield(L, -1, "format");
  lua_pushcclosure(L, format, 1);
  lua_setfield(L, -2, "format");
}

}  // namespace tidegate::script
