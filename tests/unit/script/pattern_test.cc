// SPDX-License-Identifier: Apache-2.0
// The patterns written here against those of LuaJIT's own library, on the same random input.
#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

#include "script/libraries.h"
#include "unit/script/scratch_vm.h"

using namespace tidegate;
using namespace tidegate::script;

namespace {

class RandomText {
 public:
  explicit RandomText(unsigned seed) : random_(seed) {}

  std::string pattern() {
    static const std::vector<std::string> kPieces = {
        "a",    "b",    "ab",    ".",     "%a",  "%d",   "%w",     "%s",   "%S",     "%%",
        "[ab]", "[^a]", "[%w_]", "[a-c]", "[]]", "[^]]", "[a-]",   "(",    ")",      "()",
        "(a",   "b)",   "(.-)",  "(.*)",  "%1",  "%2",   "%b()",   "%bab", "%f[%w]", "%f[^%w]",
        "*",    "+",    "-",     "?",     "^",   "$",    "%",      "[",    "]",      "%b",
        "%f",   "x",    "1",     "%x",    "%p",  "%c",   "%u",     "%l",   "%g",     "%z",
        "%Z",   "%A",   "%.",    "\\",    "[%]", "[%]]", "[a%-z]", " "};
    return pieces(kPieces, 6);
  }
  std::string subject() {
    static const std::vector<std::string> kPieces = {
        "a",    "b", "ab", "aab", "(", ")", "(a)", "1",  "12",
        " ",    "%", "]",  "[",   "x", "_", "-",   "\t", std::string(1, '\0'),
        "\xe4", "A", "Zz", "ba",  "$", "^", "."};
    return pieces(kPieces, 8);
  }
  std::string replacement() {
    static const std::vector<std::string> kPieces = {"%0", "%1", "%2", "%%", "x",
                                                     "<",  ">",  "%",  "%a"};
    return pieces(kPieces, 3);
  }
  int number(int low, int high) { return std::uniform_int_distribution(low, high)(random_); }

 private:
  std::string pieces(const std::vector<std::string>& from, int most) {
    std::string text;
    for (int n = number(0, most); n > 0; --n) {
      text += from[static_cast<size_t>(number(0, static_cast<int>(from.size()) - 1))];
    }
    return text;
  }
  std::mt19937 random_;
};

// Calls native(...) and ours(...) with the same arguments and compares all results, or that both
// fail. Gives a description of the difference, or "".
constexpr const char* kCompare = R"(
  local native, ours = ...
  assert(native.find ~= ours.find and native.gsub ~= ours.gsub)
  local function pack(...) return {n = select('#', ...), ...} end
  local function show(r)
    local t = {}
    for i = 1, r.n do t[i] = tostring(r[i]) end
    return table.concat(t, '|')
  end
  local function all(f)
    return function(s, p, extra)
      local out, n = {}, 0
      for a, b, c in f(s, p) do
        n = n + 1
        out[#out + 1] = tostring(a) .. ',' .. tostring(b) .. ',' .. tostring(c)
        if n > 50 then break end
      end
      return table.concat(out, ';')
    end
  end
  local function same(name, f, g, ...)
    local a, b = pack(pcall(f, ...)), pack(pcall(g, ...))
    if a[1] == b[1] and (not a[1] or show(a) == show(b)) then return end
    return name .. ': ' .. show(a) .. ' ~= ' .. show(b)
  end
  return function(s, p, init, r, n)
    return same('find', native.find, ours.find, s, p, init)
        or same('plain', native.find, ours.find, s, p, init, true)
        or same('match', native.match, ours.match, s, p, init)
        or same('gmatch', all(native.gmatch), all(ours.gmatch), s, p)
        or same('gsub', native.gsub, ours.gsub, s, p, r)
        or same('gsub n', native.gsub, ours.gsub, s, p, r, n)
        or same('gsub table', native.gsub, ours.gsub, s, p, {a = 'Q', b = false, ab = 7})
        or same('gsub function', native.gsub, ours.gsub, s, p,
                function(a, b) if a == 'b' then return nil end return '<' .. tostring(a) ..
                tostring(b) .. '>' end)
        or ''
  end
)";

}  // namespace

TEST_CASE("patterns do what LuaJIT's own do, on random patterns and subjects") {
  ScratchVm scratch({.memory = 256 * 1024 * 1024});
  lua_State* L = scratch.vm.state();
  REQUIRE(luaL_loadstring(L, kCompare) == 0);
  // LuaJIT's own library, from a state of its own, would hold its strings elsewhere: open it again.
  lua_newtable(L);
  lua_setglobal(L, "string");
  lua_pushcfunction(L, luaopen_string);
  lua_call(L, 0, 1);
  push_environment(L, false);
  lua_getfield(L, -1, "tostring");
  lua_pop(L, 2);
  lua_newtable(L);
  add_string_library(L);
  lua_call(L, 2, 1);
  const int compare = lua_gettop(L);

  RandomText random(20240607);
  for (int i = 0; i < 20000; ++i) {
    const std::string subject = random.subject();
    const std::string pattern = random.pattern();
    const std::string replacement = random.replacement();
    lua_pushvalue(L, compare);
    lua_pushlstring(L, subject.data(), subject.size());
    lua_pushlstring(L, pattern.data(), pattern.size());
    lua_pushinteger(L, random.number(-5, 12));
    lua_pushlstring(L, replacement.data(), replacement.size());
    lua_pushinteger(L, random.number(-1, 3));
    lua_call(L, 5, 1);
    const std::string difference = lua_tostring(L, -1);
    lua_pop(L, 1);
    if (!difference.empty()) {
      CAPTURE(subject);
      CAPTURE(pattern);
      CAPTURE(replacement);
      CHECK(difference == "");
    }
  }
}

TEST_CASE("string.rep, table.concat and table.sort keep their manners") {
  ScratchVm scratch;
  CHECK(scratch.run("return ('ab'):rep(3)") == "ababab");
  CHECK(scratch.run("return ('ab'):rep(3, '-')") == "ab-ab-ab");
  CHECK(scratch.run("return ('ab'):rep(1, '-')") == "ab");
  CHECK(scratch.run("return ('ab'):rep(0) .. ('ab'):rep(-1) .. (''):rep(1e9)") == "");
  CHECK(scratch.run("return table.concat({1, 'x', 2.5}, ', ')") == "1, x, 2.5");
  CHECK(scratch.run("return table.concat({1, 2, 3, 4}, '', 2, 3)") == "23");
  CHECK(scratch.run("return table.concat({1, {}, 3})") ==
        "error: invalid value (table) at index 2 in table for 'concat'");
  CHECK(scratch.run("local t = {} table.insert(t, 'b') table.insert(t, 1, 'a')"
                    " table.insert(t, 2, 'x') return table.concat(t)") == "axb");
  CHECK(scratch.run("local t = {5, 2, 8, 1, 9, 3} table.sort(t) return table.concat(t)") ==
        "123589");
  CHECK(scratch.run("local t = {} for i = 1, 1000 do t[i] = (i * 7919) % 1009 end"
                    " table.sort(t, function(a, b) return a > b end)"
                    " for i = 2, 1000 do if t[i] > t[i - 1] then return 'unsorted' end end"
                    " return 'sorted'") == "sorted");
  CHECK(scratch.run("local t = {} for i = 1, 300 do t[i] = i % 3 end table.sort(t)"
                    " for i = 2, 300 do if t[i] < t[i - 1] then return 'unsorted' end end"
                    " return 'sorted'") == "sorted");
  const std::string invalid = scratch.run(
      "local t = {} for i = 1, 100 do t[i] = i end"
      " table.sort(t, function() return true end)");
  CHECK(invalid == "error: test.lua:1: invalid order function for sorting");
}
