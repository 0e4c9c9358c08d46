// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <ctime>

#include "unit/script/scratch_vm.h"

using namespace tidegate;
using namespace tidegate::script;

namespace {

double cpu_ms() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) / 1e6;
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// Runs it, says what came of it, and that the VM still works after.
std::string run_and_survive(ScratchVm& scratch, const char* code) {
  const double before = cpu_ms();
  std::string result = scratch.run(code);
  const double took = cpu_ms() - before;
  CAPTURE(code);
  CAPTURE(took);
  CHECK(took < 250);  // the budget is 20 ms; the rest is for slow and instrumented machines
  CHECK(scratch.run("return 1 + 1") == "2");
  return result;
}

}  // namespace

// Each would run for ever, or for longer than anyone wants to wait.
constexpr const char* kEndless[] = {
    "while true do end",
    "while true do pcall(function() while true do end end) end",
    "while true do xpcall(function() while true do end end, function() while true do end end) end",
    "xpcall(function() error('x') end, function() while true do end end)",
    "repeat until false",
    "for i = 1, math.huge do end",
    "local function f() return f() end return f()",
    "local function f() pcall(f) f() end while true do pcall(f) end",
    "local m = {} m.__tostring = tostring tostring(setmetatable({}, m))",
    "local m = setmetatable({}, {__tostring = function() while true do end end}) "
    "error(tostring(m))",
    "local f = coroutine.wrap(function() while true do end end) f()",
    "while true do pcall(coroutine.wrap(function() while true do pcall(error) end end)) end",
    "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
    "local function f() while true do pcall(coroutine.wrap(f)) end end f()",
    "local t = setmetatable({}, {__index = function(t, k) while true do end end}) return t.x",
    "for k in string.gmatch(('a'):rep(100000), '.-b') do end",
    "return (('a'):rep(40)):find(('a?'):rep(40) .. ('a'):rep(41))",
    "return (('a'):rep(100000)):find('.-.-.-.-b')",
    "return (('a'):rep(100000)):match('(.*)(.*)(.*)(.*)x')",
    "return (('a'):rep(100000)):gsub('.-.-.-b', '')",
    "return (('('):rep(200000)):gsub('%b()', '')",
    "local s = ('a'):rep(1000) while true do s:gsub('a', string.upper) end",
    "local t = {} for i = 1, 500000 do t[i] = (i * 7919) % 500009 end"
    " while true do table.sort(t) end",
    "local t = {3, 2, 1} while true do table.sort(t, function(a, b) return a < b end) end",
    "local t = {} for i = 1, 100000 do t[i] = i end while true do table.insert(t, 1, 0) end",
    "local t = {} for i = 1, 100000 do t[i] = 'x' end while true do table.concat(t) end",
    "error(select(2, load(function() return ' ' end)))",
    "while true do load('return 1')() end",
};

TEST_CASE("an endless script is interrupted at its CPU budget") {
  ScratchVm scratch;
  for (const char* code : kEndless) {
    CAPTURE(code);
    const std::string result = run_and_survive(scratch, code);
    CAPTURE(result);
    const bool refused = contains(result, "chunk too large");
    CHECK((refused || contains(result, "CPU budget of 20 ms exceeded")));
  }
}

TEST_CASE("the error of a CPU breach names script, line and budget") {
  ScratchVm scratch;
  CHECK(scratch.run("local x = 1\nwhile true do x = x + 1 end") ==
        "error: test.lua:2: CPU budget of 20 ms exceeded");
  CHECK(scratch.vm.breach() == Breach::Cpu);
}

TEST_CASE("a script cannot swallow a CPU breach and go on") {
  ScratchVm scratch;
  scratch.run("pcall(function() while true do end end) survived = true");
  CHECK(scratch.vm.breach() == Breach::Cpu);
  CHECK(scratch.run("return survived") == "nil");
}

TEST_CASE("a run within its budget after a breach is not interrupted") {
  ScratchVm scratch;
  for (int i = 0; i < 3; ++i) {
    CHECK(contains(scratch.run("while true do end"), "CPU budget"));
    CHECK(scratch.run("local n = 0 for i = 1, 1000 do n = n + i end return n") == "500500");
    CHECK(scratch.vm.breach() == Breach::None);
  }
}

TEST_CASE("a script over its memory budget is ended, and its memory is given back") {
  ScratchVm scratch({.cpu = std::chrono::seconds(2)});
  const char* const kHungry[] = {
      "local s = 'x' while true do s = s .. s end",
      "local s = 'x' while true do pcall(function() s = s .. s end) end",
      "local t = {} while true do t[#t + 1] = {} end",
      "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end",
      "return ('x'):rep(1e9)",
      "return ('x'):rep(1e15)",
      "return ('xy'):rep(10e6, ', ')",
      "local t = {} for i = 1, 1e7 do t[i] = coroutine.create(function() end) end",
      "local s = ('x'):rep(1e6) return (s:gsub('x', s))",
      "local t = {} for i = 1, 1000 do t[i] = ('x'):rep(1e5) .. i end return table.concat(t)",
      "local s = ('x'):rep(4e6) local t = {} for i = 1, 100 do t[i] = s .. i end",
      "local t = {} for i = 1, 1e9 do t[i] = i end",
  };
  for (const char* code : kHungry) {
    CAPTURE(code);
    const std::string result = scratch.run(code);
    CAPTURE(result);
    CHECK(contains(result, "memory budget of 16 MiB exceeded"));
    CHECK(scratch.vm.breach() == Breach::Memory);
    CHECK(scratch.vm.memory_used() < 24 * 1024 * 1024);
    CHECK(scratch.run("return 'alive'") == "alive");
  }
}

TEST_CASE("garbage alone never exceeds the memory budget") {
  ScratchVm scratch({.memory = 4 * 1024 * 1024, .cpu = std::chrono::seconds(5)});
  CHECK(scratch.run("for i = 1, 300000 do local t = {i, {i}} end return 'ok'") == "ok");
  CHECK(scratch.run("for i = 1, 2000 do local s = ('x'):rep(20000) .. i end return 'ok'") == "ok");
  // with most of the budget in use for good
  CHECK(scratch.run(
            "keep = {} for i = 1, 30 do keep[i] = ('k'):rep(100000) .. i end return 'ok'") == "ok");
  CHECK(scratch.run("for i = 1, 300000 do local t = {i, {i}} end return 'ok'") == "ok");
}

TEST_CASE("deep recursion is an error, not a crash") {
  ScratchVm scratch({.cpu = std::chrono::seconds(5)});
  const char* const kDeep[] = {
      "local function f() return 1 + f() end return f()",
      "local function f() f(string.gsub('x', 'x', f)) end f()",
      "local function f() table.sort({3, 2, 1}, f) end f()",
      "local function f() coroutine.wrap(f)() end f()",
      "local function f() return coroutine.resume(coroutine.create(f)) end error(select(2, f()))",
      "local m = {} m.__tostring = function(x) return string.format('%s', x) end"
      " return string.format('%s', setmetatable({}, m))",
      "local m = {} m.__lt = function(a, b) table.sort({a, b}) end"
      " table.sort({setmetatable({}, m), setmetatable({}, m)})",
      "return load(('('):rep(10000) .. '1' .. (')'):rep(10000))()",
      "return (('x'):rep(1000)):match(('('):rep(40) .. ('x')) .. ''",
  };
  for (const char* code : kDeep) {
    CAPTURE(code);
    CHECK(contains(scratch.run(code), "error: "));
    CHECK(scratch.run("return 'alive'") == "alive");
  }
}
