// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "script/lua.h"
#include "script/memory.h"
#include "script/watchdog.h"

namespace tidegate::script {

/// Which budget a run went over.
enum class Breach : uint8_t { None, Cpu, Memory };

/// One Lua VM: the policies of one script in one worker share it. Everything in it runs under the
/// CPU and memory budget given at the run; see Watchdog and Memory for how. Used in one thread.
///
/// Scripts run as coroutines ("host threads") taken from a pool. A C function that waits yields the
/// mark wait_mark() and what it waits for; resume() then gives Outcome::Waits. The glue in
/// lua/coroutine.lua passes such a yield on through coroutines that the script made itself.
class Vm final : public Interruptible {
 public:
  struct Limits {
    size_t memory = 16 * 1024 * 1024;
    bool jit = false;
  };
  /// `name`: what to call the script where no line of it is known.
  Vm(Watch& watch, const Limits& limits, std::string name);
  Vm(const Vm&) = delete;
  Vm& operator=(const Vm&) = delete;
  ~Vm();

  lua_State* state() const { return state_; }
  /// The VM that `L` (any coroutine of it) belongs to.
  static Vm& of(lua_State* L) {
    void* memory;
    lua_getallocf(L, &memory);
    return *static_cast<Vm*>(static_cast<Memory*>(memory)->owner());
  }

  /// A host thread with an empty stack. REQUIRES: no run is under way.
  lua_State* take_thread();
  /// REQUIRES: it ended without error.
  void give_back_thread(lua_State* thread);
  /// The thread failed, or its wait was given up.
  void drop_thread(lua_State* thread);

  enum class Outcome : uint8_t {
    Done,    // the results are on the thread's stack
    Waits,   // what was yielded, without the mark, is on the thread's stack
    Failed,  // see breach() and error_text()
  };
  /// Starts or goes on with a host thread; on its stack: (at the start the function and)
  /// `arguments`.
  Outcome resume(lua_State* thread, int arguments, Duration cpu_budget);
  /// Valid after a resume until the next.
  Breach breach() const { return breach_; }
  /// What to tell about a failed thread: the breach, or the error on top of its stack.
  std::string_view error_text(lua_State* thread) const;

  /// What to tell of a thread that waits and has no CPU budget left; valid until the next resume.
  std::string_view describe_cpu_breach(lua_State* thread, Duration budget);
  /// "script.lua:12: ", where the thread stands.
  std::string place_of(lua_State* thread) const;

  size_t memory_used() const { return memory_.used(); }
  /// Whatever keeps the VM; for C functions.
  void* owner = nullptr;

  size_t memory_cap() const { return memory_.cap(); }

  // ---- for C functions that a script called ----

  static void* wait_mark();
  /// Ends the run if its CPU budget is used up; to be called in every loop without a small bound.
  void check(lua_State* L) {
    if (interrupted.load(std::memory_order_relaxed)) [[unlikely]]
      raise_breach(L);
  }
  /// Refuses to nest Lua and C calls deeper than the thread's stack can bear.
  void check_stack(lua_State* L) {
    const char* here = static_cast<const char*>(__builtin_frame_address(0));
    if (stack_top_ - here > kMaxStack) [[unlikely]]
      luaL_error(L, "C stack overflow");
  }
  /// Makes room for `bytes`, by a collection if need be, or ends the run.
  void reserve(lua_State* L, size_t bytes);

  /// Ends the run: memory that the script holds outside of the VM is over its budget.
  [[noreturn]] void raise_memory(lua_State* L);

  void arm() override;  // signal-safe

 private:
  static constexpr ptrdiff_t kMaxStack = 192 * 1024;
  static constexpr size_t kIdleThreads = 64;

  static void on_hook(lua_State* L, lua_Debug* activation);
  void on_instruction(lua_State* L);
  [[noreturn]] void raise_breach(lua_State* L);
  void note_breach(lua_State* L, Breach breach);
  void on_memory_limit();
  void after_run();
  void set_pause();
  void disarm();

  Watch& watch_;
  const std::string name_;
  lua_State* state_;
  lua_State* running_ = nullptr;  // the host thread
  Memory memory_;
  Duration cpu_budget_{};
  const char* stack_top_ = nullptr;
  std::atomic<bool> armed_{false};
  Breach breach_ = Breach::None;
  int pause_ = 0;  // of the collector, as set last
  char breach_text_[256] = {};
  std::vector<lua_State*> idle_threads_;
};

}  // namespace tidegate::script
