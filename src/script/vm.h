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

/// As far down a stack the function is looked for that an error is to name: LuaJIT walks from its
/// top to each level anew.
constexpr int kMaxLevels = 200;

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
    bool finalizers = false;  // scripts can have them: they are trusted
  };
  /// `name`: what to call the script where no line of it is known.
  Vm(Watch& watch, const Limits& limits, std::string name);
  Vm(const Vm&) = delete;
  Vm& operator=(const Vm&) = delete;
  ~Vm();
  /// Ends it while its owner is whole: finalizers of trusted scripts run here.
  void close();

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
    Done,     // the results are on the thread's stack
    Waits,    // what was yielded, without the mark, is on the thread's stack
    Sliced,   // it is to go on in a later turn, with no arguments
    Collect,  // the same, once `collect` has ended: its memory is used up, perhaps by garbage
    Failed,   // see breach() and error_text()
  };
  /// Starts or goes on with a host thread; on its stack: (at the start the function and)
  /// `arguments`. `sliced_from`: ticks() now, if it may be sliced; else 0.
  Outcome resume(lua_State* thread, int arguments, Duration cpu_budget, uint64_t sliced_from = 0);
  /// What the error of a CPU breach in the next resume calls the budget, where the run has used a
  /// part of it before.
  void name_budget(Duration whole) { named_budget_ = whole; }
  /// Valid after a resume until the next.
  Breach breach() const { return breach_; }
  /// What to tell about a failed thread: the breach, or the error on top of its stack.
  std::string_view error_text(lua_State* thread) const;

  // ---- the collector, between runs ----

  /// There may be enough garbage to matter: `collect` is due.
  bool collection_due() const { return collection_due_; }
  /// So much that the next run should wait for it.
  bool short_of_memory() const { return memory_.used() > memory_.cap() - memory_.cap() / 4; }
  /// Some garbage may be there: since the last collection, more came to be in use than a sixteenth
  /// of the budget.
  bool may_hold_garbage() const { return memory_.used() > live_ + memory_.cap() / 16; }
  /// Collects for about `most`. True: all that was garbage at the first call is gone.
  bool collect(Duration most);
  /// What is garbage now is to be gone too when `collect` says so.
  void collect_anew() { cycles_left_ = 2; }
  /// What a full collection has left is all there can be: no run gets far in this VM any more.
  bool hopeless() const { return live_ > memory_.cap() - memory_.cap() / 16; }
  bool nearly_full() const { return memory_.used() > memory_.cap() - memory_.cap() / 16; }
  /// What to tell of a thread that asked for a collection which did not help; valid until the next
  /// resume.
  std::string_view describe_memory_breach(lua_State* thread);

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

  void arm() override;    // signal-safe
  void slice() override;  // signal-safe
  /// The function that was called took long, or will have: the run is to be sliced as soon as it
  /// can be. `nanoseconds` add up over the calls of a slice.
  void charge(uint32_t nanoseconds) {
    charged_ns_ += nanoseconds;
    if (charged_ns_ > kLongCharge && may_slice_) [[unlikely]]
      slice();
  }
  /// For lua/coroutine.lua: how a yield without values is to be passed on.
  enum class PassOn : uint8_t {
    Not,    // it is the script's own
    Yield,  // a slice of the host's, as a yield without values
    GoOn,   // a slice, but `L` stands inside a C function: resume at once
  };
  PassOn pass_on(lua_State* L);

 private:
  static constexpr ptrdiff_t kMaxStack = 192 * 1024;
  static constexpr size_t kIdleThreads = 64;
  static constexpr size_t kCollectAtOnce = 8 * 1024 * 1024;  // a full collection takes about 5 ms
  static constexpr uint32_t kLongCharge = 500'000;           // nanoseconds

  static void on_hook(lua_State* L, lua_Debug* activation);
  void on_instruction(lua_State* L, bool may_yield);
  void end_slice(lua_State* L);
  void postpone_slice();
  [[noreturn]] void raise_breach(lua_State* L);
  /// `line_is_lost`: the run has failed inside an allocation.
  void note_breach(lua_State* L, Breach breach, bool line_is_lost = false);
  void on_memory_limit();
  bool make_room(lua_State* L, size_t bytes);
  bool meet_memory_limit(lua_State* L, bool may_yield);
  void keep_memory_for_finalizers();
  void after_run();
  void note_large_run();
  bool held_much(lua_State* thread) const;
  void note_live();
  void pay_debt();
  void set_pause();
  void disarm();

  Watch& watch_;
  const std::string name_;
  const bool jit_;
  const bool finalizers_;
  lua_State* state_;
  lua_State* running_ = nullptr;  // the host thread
  const size_t large_;
  Memory memory_;
  Duration cpu_budget_{};
  Duration named_budget_{};
  const char* stack_top_ = nullptr;
  std::atomic<bool> armed_{false};
  std::atomic<bool> slice_due_{false};
  bool may_slice_ = false;
  bool sliced_ = false;  // the run yields because its slice ends
  uint32_t charged_ns_ = 0;
  Breach breach_ = Breach::None;
  // Collections: where in one `collect` is, and what the last left in use.
  unsigned cycles_left_ = 0;
  bool collection_due_ = false;
  bool wants_collection_ = false;  // the run, which yields for it
  size_t live_ = 0;
  size_t collect_at_ = 0;
  size_t used_before_ = 0;  // when the last run ended
  int pause_ = 0;           // of the collector, as set last
  char breach_text_[256] = {};
  std::vector<lua_State*> idle_threads_;
  std::vector<lua_State*> large_runs_;  // took more than `large_` at once; not ended yet
};

/// Looks at the budget now and then: for loops over the characters of a text.
class Pace {
 public:
  explicit Pace(lua_State* L) : L_(L), vm_(Vm::of(L)) {}
  void operator()() {
    if ((++count_ & 4095) == 0) vm_.check(L_);
  }

 private:
  lua_State* L_;
  Vm& vm_;
  uint32_t count_ = 0;
};

}  // namespace tidegate::script
