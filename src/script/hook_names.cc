// SPDX-License-Identifier: Apache-2.0
#include "script/hook_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <climits>

#include "base/strings.h"

namespace tidegate::script {
namespace {

using proxy::Hook;

constexpr size_t kHooks = static_cast<size_t>(Hook::Count_);

// "onRequest" and "ON_REQUEST" become "onrequest".
std::string folded(std::string_view name) {
  std::string text;
  for (const char c : name) {
    if (c != '_') text += ascii_lower(c);
  }
  return text;
}

bool begins_like_a_hook(std::string_view name) {
  if (name.starts_with("on_")) return true;
  return name.size() > 2 && name.starts_with("on") && name[2] >= 'A' && name[2] <= 'Z';
}

// "is_error" and "log_request" are names of their own; "no_error" has letters swapped.
bool has_another_first_word(std::string_view name, std::string_view hook) {
  constexpr std::string_view kFirst = "on";
  if (!hook.starts_with(kFirst) || !name.ends_with(hook.substr(kFirst.size()))) return false;
  const std::string_view first = name.substr(0, name.size() - hook.size() + kFirst.size());
  return edit_distance(first, kFirst) > 1 && first != "no";
}

bool is_slip_of(std::string_view name, std::string_view hook) {
  if (folded(name) == folded(hook)) return true;
  const std::string lower = ascii_lower(name);
  const size_t slips = hook.size() < 8 ? 1 : 2;  // two would make "on_log" of many words
  return edit_distance(lower, hook) <= slips && !has_another_first_word(lower, hook);
}

// What the author will have meant; nullopt: it is like none.
std::optional<Hook> nearest_hook(std::string_view name) {
  const std::string given = folded(name);
  std::optional<Hook> best;
  size_t least = 4;
  for (size_t i = 0; i < kHooks; ++i) {
    const std::string hook = folded(to_string(static_cast<Hook>(i)));
    const size_t distance = edit_distance(given, hook);
    if (distance < std::min(least, hook.size() / 2)) {
      least = distance;
      best = static_cast<Hook>(i);
    }
  }
  return best;
}

// Where the function on top of the stack, which it pops, begins.
struct Place {
  std::string text;
  int line = INT_MAX;
};
Place place_of_function(lua_State* L, std::string_view file) {
  lua_Debug info;
  lua_getinfo(L, ">S", &info);
  if (info.source[0] != '@') return {fmt::format("{}: ", file)};  // one of the library's
  return {fmt::format("{}:{}: ", info.source + 1, info.linedefined), info.linedefined};
}

// The words and signs of a Lua text, without comments and strings.
class Tokens {
 public:
  explicit Tokens(std::string_view text) : text_(text) {
    if (text_.starts_with('#')) skip_line();
  }

  /// Empty at the end.
  std::string_view next() {
    skip_what_is_no_token();
    if (at_ == text_.size()) return {};
    const size_t begin = at_++;
    if (is_word(text_[begin])) {
      while (at_ < text_.size() && is_word(text_[at_])) ++at_;
    }
    return text_.substr(begin, at_ - begin);
  }
  int line() const { return line_; }

 private:
  static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  }
  void skip(size_t count) {
    for (; count > 0 && at_ < text_.size(); --count) line_ += text_[at_++] == '\n' ? 1 : 0;
  }
  void skip_to(size_t end) { skip((end == std::string_view::npos ? text_.size() : end) - at_); }
  void skip_line() { skip_to(text_.find('\n', at_)); }

  void skip_what_is_no_token() {
    while (at_ < text_.size()) {
      const std::string_view rest = text_.substr(at_);
      if (rest.front() <= ' ') {
        skip(1);
      } else if (rest.starts_with("--")) {
        skip(2);
        if (!skip_long_bracket()) skip_line();
      } else if (rest.front() == '"' || rest.front() == '\'') {
        skip_string(rest.front());
      } else if (!skip_long_bracket()) {
        return;
      }
    }
  }
  void skip_string(char quote) {
    skip(1);
    while (at_ < text_.size() && text_[at_] != quote) skip(text_[at_] == '\\' ? 2 : 1);
    skip(1);
  }
  // [[…]], [==[…]==]
  bool skip_long_bracket() {
    if (at_ == text_.size() || text_[at_] != '[') return false;
    size_t end = at_ + 1;
    while (end < text_.size() && text_[end] == '=') ++end;
    if (end == text_.size() || text_[end] != '[') return false;
    const std::string close = "]" + std::string(end - at_ - 1, '=') + "]";
    const size_t found = text_.find(close, end);
    skip_to(found == std::string_view::npos ? found : found + close.size());
    return true;
  }

  std::string_view text_;
  size_t at_ = 0;
  int line_ = 1;
};

// Which blocks are open, to know what stands outside of all functions.
class Blocks {
 public:
  void see(std::string_view token) {
    // The `do` of a loop opens its block.
    if (token == "function" || token == "do" || token == "if" || token == "repeat") {
      open_.push_back(token == "function");
    } else if ((token == "end" || token == "until") && !open_.empty()) {
      open_.pop_back();
    }
  }
  bool in_function() const { return std::find(open_.begin(), open_.end(), true) != open_.end(); }

 private:
  std::vector<bool> open_;
};

void note(std::vector<LocalHook>& found, std::string_view name, int line) {
  if (const auto hook = hook_named(name)) found.push_back({*hook, line});
}

// Behind `local`: of `local function on_log`, `local on_log = function` and `local on_log`, which a
// definition below may fill. Gives the first token that is no longer part of it.
std::string_view read_local(Tokens& tokens, Blocks& blocks, std::vector<LocalHook>& found) {
  const bool outside = !blocks.in_function();
  const int line = tokens.line();
  std::vector<LocalHook> named;
  std::string_view token = tokens.next();
  if (token == "function") {
    blocks.see(token);
    token = tokens.next();
    if (outside) note(found, token, line);
    return tokens.next();
  }
  while (!token.empty()) {
    note(named, token, line);
    token = tokens.next();
    if (token != ",") break;
    token = tokens.next();
  }
  if (token == "=") {
    token = tokens.next();
    if (token != "function") named.clear();
  }
  if (outside) found.insert(found.end(), named.begin(), named.end());
  return token;
}

}  // namespace

std::optional<Hook> hook_named(std::string_view name) {
  for (size_t i = 0; i < kHooks; ++i) {
    if (to_string(static_cast<Hook>(i)) == name) return static_cast<Hook>(i);
  }
  return std::nullopt;
}

std::string list_of_hooks() {
  std::string text;
  for (size_t i = 0; i < kHooks; ++i) {
    if (i > 0) text += i + 1 < kHooks ? ", " : " and ";
    text += to_string(static_cast<Hook>(i));
  }
  return text;
}

std::string fault_of_function_name(std::string_view name) {
  if (hook_named(name)) return {};
  constexpr size_t kLongest = 40;  // no slip makes a hook's name longer
  bool suspect = begins_like_a_hook(name);
  if (!suspect && name.size() > kLongest) return {};
  name = name.substr(0, kLongest);
  for (size_t i = 0; i < kHooks && !suspect; ++i) {
    suspect = is_slip_of(name, to_string(static_cast<Hook>(i)));
  }
  if (!suspect) return {};
  if (const auto meant = nearest_hook(name)) {
    return fmt::format(
        "'{}' is no hook; did you mean '{}'? A function of your own: make it local, or name it "
        "otherwise",
        name, to_string(*meant));
  }
  return fmt::format(
      "'{}' is no hook: these are {}. A function of your own: make it local, or name it otherwise",
      name, list_of_hooks());
}

std::string find_misnamed_hook(lua_State* L, int environment, std::string_view file) {
  std::string first;
  int first_line = INT_MAX;
  lua_pushnil(L);
  while (lua_next(L, environment) != 0) {
    if (lua_type(L, -2) != LUA_TSTRING || !lua_isfunction(L, -1)) {
      lua_pop(L, 1);
      continue;
    }
    size_t size;
    const char* name = lua_tolstring(L, -2, &size);
    const std::string fault = fault_of_function_name({name, size});
    if (fault.empty()) {
      lua_pop(L, 1);
      continue;
    }
    const Place place = place_of_function(L, file);
    if (!first.empty() && place.line >= first_line) continue;
    first = place.text + fault;
    first_line = place.line;
  }
  return first;
}

proxy::HookSet hooks_in_table(lua_State* L, int index) {
  proxy::HookSet hooks = 0;
  if (!lua_istable(L, index)) return hooks;
  lua_pushvalue(L, index);
  for (size_t i = 0; i < kHooks; ++i) {
    const std::string_view name = to_string(static_cast<Hook>(i));
    lua_pushlstring(L, name.data(), name.size());
    lua_rawget(L, -2);
    if (lua_isfunction(L, -1)) hooks |= proxy::hook_bit(static_cast<Hook>(i));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return hooks;
}

std::vector<LocalHook> find_local_hooks(std::string_view source) {
  std::vector<LocalHook> found;
  Tokens tokens(source);
  Blocks blocks;
  std::string_view token = tokens.next();
  while (!token.empty()) {
    if (token == "local") {
      token = read_local(tokens, blocks, found);
      continue;
    }
    blocks.see(token);
    token = tokens.next();
  }
  return found;
}

}  // namespace tidegate::script
