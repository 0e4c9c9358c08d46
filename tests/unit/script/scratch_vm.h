// SPDX-License-Identifier: Apache-2.0
// A VM with one sandboxed environment, to run pieces of Lua in.
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "script/sandbox.h"
#include "script/vm.h"

namespace tidegate::script {

struct ScratchOptions {
  size_t memory = 16 * 1024 * 1024;
  Duration cpu = std::chrono::milliseconds(20);
  bool trusted = false;
};

struct ScratchVm {
  explicit ScratchVm(ScratchOptions given = {})
      : options(given), vm(watch, {given.memory, false}, "test.lua") {
    push_environment(vm.state(), options.trusted);
    environment = luaL_ref(vm.state(), LUA_REGISTRYINDEX);
  }

  /// Runs `code` as the file test.lua; its first result as text, or "error: " and the message.
  std::string run(std::string_view code) {
    lua_State* thread = vm.take_thread();
    if (luaL_loadbuffer(thread, code.data(), code.size(), "@test.lua") != 0) {
      std::string message = std::string("error: ") + lua_tostring(thread, -1);
      vm.give_back_thread(thread);
      return message;
    }
    lua_rawgeti(thread, LUA_REGISTRYINDEX, environment);
    lua_setfenv(thread, -2);
    outcome = vm.resume(thread, 0, options.cpu);
    if (outcome == Vm::Outcome::Failed) {
      std::string message = "error: " + std::string(vm.error_text(thread));
      vm.drop_thread(thread);
      return message;
    }
    std::string result = text_of(thread);
    if (outcome == Vm::Outcome::Waits) {
      waiting = thread;
      return "waits";
    }
    vm.give_back_thread(thread);
    return result;
  }

  static std::string text_of(lua_State* thread) {
    if (lua_gettop(thread) == 0) return "";
    if (lua_isboolean(thread, 1)) return lua_toboolean(thread, 1) != 0 ? "true" : "false";
    if (lua_isnil(thread, 1)) return "nil";
    size_t size;
    const char* text = lua_tolstring(thread, 1, &size);
    return text == nullptr ? luaL_typename(thread, 1) : std::string(text, size);
  }

  ScratchOptions options;
  Watchdog watchdog;
  Watch watch{watchdog};
  Vm vm;
  int environment = 0;
  Vm::Outcome outcome = Vm::Outcome::Done;
  lua_State* waiting = nullptr;
};

}  // namespace tidegate::script
