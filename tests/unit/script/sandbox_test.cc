// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "unit/script/scratch_vm.h"

using namespace tidegate;
using namespace tidegate::script;

TEST_CASE("what can reach outside the VM is not there") {
  ScratchVm scratch;
  for (const char* name : {"io",           "debug",
                           "ffi",          "package",
                           "jit",          "dofile",
                           "loadfile",     "newproxy",
                           "getfenv",      "setfenv",
                           "module",       "gcinfo",
                           "os.execute",   "os.exit",
                           "os.getenv",    "os.remove",
                           "os.rename",    "os.tmpname",
                           "os.setlocale", "os.difftime",
                           "string.dump",  "coroutine.isyieldable"}) {
    CAPTURE(name);
    CHECK(scratch.run(std::string("return ") + name) == "nil");
  }
  CHECK(scratch.run("return os.time{year=2020, month=1, day=1, hour=12} > 0") == "true");
  CHECK(scratch.run("return type(os.date()) .. type(os.clock())") == "stringnumber");
}

TEST_CASE("bytecode is refused and text is loaded") {
  ScratchVm scratch;
  CHECK(scratch.run("return select(2, load('\\27LJ\\2\\0'))") == "bytecode is not allowed");
  CHECK(scratch.run("return select(2, loadstring('\\27LJ\\2\\0'))") == "bytecode is not allowed");
  CHECK(scratch.run("local n = 0 return select(2, load(function() n = n + 1"
                    " return ({'\\27', 'LJ'})[n] end))") == "bytecode is not allowed");
  CHECK(scratch.run("return load('return 1 + 2')()") == "3");
  CHECK(scratch.run("return loadstring('return x')() == nil") == "true");
  CHECK(scratch.run("return load('return x', 'name', 't', {x = 5})()") == "5");
  CHECK(scratch.run("return (select(2, load('return +', '@piece.lua')))").find("piece.lua:1:") ==
        0);
}

TEST_CASE("the strings' own methods cannot be reached or changed") {
  ScratchVm scratch;
  CHECK(scratch.run("return getmetatable('')") == "false");
  CHECK(scratch.run("getmetatable('').__index = nil").find("error: ") == 0);
  CHECK(scratch.run("setmetatable('', {})").find("error: ") == 0);
  CHECK(scratch.run("return ('x').dump") == "nil");
}

TEST_CASE("library tables are read-only") {
  ScratchVm scratch;
  for (const char* code :
       {"string.rep = nil", "string.evil = 1", "math.pi = 3", "os.time = nil", "proxy.log = nil",
        "rawset(string, 'evil', 1)", "setmetatable(string, {})", "coroutine.wrap = nil",
        "getmetatable(string).__index = {}"}) {
    CAPTURE(code);
    CHECK(scratch.run(code).find("error: ") == 0);
  }
  CHECK(scratch.run("return string.find('abc', 'b') .. tostring(string.evil) .. math.floor(1.5)") ==
        "2nil1");
  CHECK(scratch.run("local t = {} rawset(t, 'a', 1) return rawget(t, 'a')") == "1");
}

TEST_CASE("what a policy does to its environment reaches nobody else") {
  ScratchVm scratch;
  scratch.run("table.insert(string, 'x') rawset(_G, 'math', nil) pcall = error leak = 1");
  CHECK(scratch.run("return tostring(math)") == "nil");
  push_environment(scratch.vm.state(), false);
  scratch.environment = luaL_ref(scratch.vm.state(), LUA_REGISTRYINDEX);
  CHECK(scratch.run("return tostring(string[1]) .. type(math) .. tostring(leak) .."
                    " tostring(pcall(error))") == "niltablenilfalse");
}

TEST_CASE("functions that load gives live in the policy's environment") {
  ScratchVm scratch;
  CHECK(
      scratch.run("load('made = 7')() return made .. tostring(_G.made) .. tostring(_G == _G._G)") ==
      "77true");
  lua_getglobal(scratch.vm.state(), "made");
  CHECK(lua_isnil(scratch.vm.state(), -1));
}

TEST_CASE("collectgarbage counts and does nothing else") {
  ScratchVm scratch;
  CHECK(scratch.run("return collectgarbage('count') > 10") == "true");
  CHECK(scratch.run("return collectgarbage()") == "0");
  CHECK(scratch.run("return collectgarbage('stop')") == "0");
}

TEST_CASE("coroutines work as in any Lua") {
  ScratchVm scratch;
  CHECK(scratch.run("local co = coroutine.create(function(a) local b = coroutine.yield(a + 1)"
                    " return b * 2 end)"
                    " local _, x = coroutine.resume(co, 1) local _, y = coroutine.resume(co, 5)"
                    " return x .. ',' .. y .. ',' .. coroutine.status(co)") == "2,10,dead");
  CHECK(scratch.run("local t = {} for v in coroutine.wrap(function() for i = 1, 3 do"
                    " coroutine.yield(i) end end) do t[#t + 1] = v end return table.concat(t)") ==
        "123");
  CHECK(scratch.run("return select('#', coroutine.resume(coroutine.create(function() end)))") ==
        "1");
  CHECK(scratch.run("coroutine.wrap(function() error('inside') end)()") ==
        "error: test.lua:1: inside");
  CHECK(scratch.run(
            "return (select(2, coroutine.resume(coroutine.create(function() error('x') end))))") ==
        "test.lua:1: x");
  CHECK(scratch.run("return coroutine.running()") == "nil");
  CHECK(scratch.run("coroutine.yield(1)") == "error: attempt to yield outside a coroutine");
}

TEST_CASE("xpcall hands the error to its handler and arguments to the function") {
  ScratchVm scratch;
  CHECK(scratch.run("return select(2, xpcall(function(a) error('e' .. a, 0) end,"
                    " function(e) return 'handled ' .. e end, 7))") == "handled e7");
  CHECK(scratch.run("return select(2, xpcall(function(...) return ... end, type, 5))") == "5");
  CHECK(scratch.run("return select('#', xpcall(function() return 1, nil, nil end, type))") == "4");
  CHECK(scratch.run("return xpcall(error, function() error('again') end)") == "false");
}

namespace {
// A wait as the host's own functions make it.
int wait_for(lua_State* L) {
  lua_pushlightuserdata(L, Vm::wait_mark());
  lua_insert(L, 1);
  return lua_yield(L, lua_gettop(L));
}
}  // namespace

TEST_CASE("a wait comes to the host from any depth of coroutines, and its answer goes back") {
  ScratchVm scratch;
  lua_State* L = scratch.vm.state();
  lua_rawgeti(L, LUA_REGISTRYINDEX, scratch.environment);
  lua_pushcfunction(L, wait_for);
  lua_setfield(L, -2, "wait");
  lua_pop(L, 1);
  for (const char* code :
       {"return 'got ' .. wait('x')", "return pcall(wait, 'x') and 'got y'",
        "return 'got ' .. coroutine.wrap(function() return wait('x') end)()",
        "return 'got ' .. select(2, coroutine.resume(coroutine.create(function() return"
        " coroutine.wrap(wait)('x') end)))",
        "return select(2, xpcall(function() return 'got ' .. wait('x') end, error))"}) {
    CAPTURE(code);
    REQUIRE(scratch.run(code) == "waits");
    lua_State* thread = scratch.waiting;
    CHECK(ScratchVm::text_of(thread) == "x");
    lua_settop(thread, 0);
    lua_pushliteral(thread, "y");
    CHECK(scratch.vm.resume(thread, 1, std::chrono::seconds(1)) == Vm::Outcome::Done);
    CHECK(ScratchVm::text_of(thread) == "got y");
    scratch.vm.give_back_thread(thread);
  }
}

TEST_CASE("a hook's own coroutine can not be resumed by a script") {
  ScratchVm scratch;
  CHECK(scratch.run("me = coroutine.running() return tostring(me)") == "nil");
  // not even if it got hold of one
  lua_State* L = scratch.vm.state();
  lua_rawgeti(L, LUA_REGISTRYINDEX, scratch.environment);
  lua_State* other = scratch.vm.take_thread();
  lua_pushthread(other);
  lua_xmove(other, L, 1);
  lua_setfield(L, -2, "stolen");
  lua_pop(L, 1);
  CHECK(scratch.run("return (select(2, coroutine.resume(stolen)))") ==
        "cannot resume the coroutine of a hook");
}

TEST_CASE("host threads are reused and those that failed are let go") {
  ScratchVm scratch;
  lua_State* first = scratch.vm.take_thread();
  scratch.vm.give_back_thread(first);
  CHECK(scratch.vm.take_thread() == first);
  scratch.vm.give_back_thread(first);
  for (int i = 0; i < 200; ++i) scratch.run("error('x')");
  lua_gc(scratch.vm.state(), LUA_GCCOLLECT, 0);
  const size_t before = scratch.vm.memory_used();
  for (int i = 0; i < 2000; ++i) scratch.run("error('x')");
  lua_gc(scratch.vm.state(), LUA_GCCOLLECT, 0);
  CHECK(scratch.vm.memory_used() <= before + 1024);
}

TEST_CASE("a trusted policy has the whole standard library") {
  ScratchVm scratch({.trusted = true});
  CHECK(scratch.run("return type(io.open) .. type(os.getenv) .. type(debug.traceback)"
                    " .. type(package.loaded) .. type(setfenv)") ==
        "functionfunctionfunctiontablefunction");
  CHECK(scratch.run("while true do end") == "error: test.lua:1: CPU budget of 20 ms exceeded");
}
