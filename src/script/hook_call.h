// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "base/timers.h"
#include "proxy/exchange.h"
#include "script/fields.h"
#include "script/handle.h"
#include "script/held_bytes.h"
#include "script/names.h"
#include "script/slices.h"
#include "script/vm.h"

namespace tidegate::script {

class ScriptFilter;

/// One policy's part in one exchange: the hook that runs or waits, and what its handles refer to.
/// Owned by the LoadedScript, which uses it again for later exchanges; in use from
/// ScriptFilter::run to ScriptFilter::release, also after a wait was cancelled.
///
/// What a script decides about the exchange as a whole (a reply, another body) is noted here and
/// carried out when Lua has returned, so that the exchange never runs other hooks inside a hook.
class HookCall final : private proxy::BodyWaiter, private ParkedRun {
 public:
  explicit HookCall(LoadedScript& script);
  /// The one whose hook runs in this thread, so that handles find it without asking the VM.
  static inline thread_local HookCall* running = nullptr;

  HookCall(const HookCall&) = delete;
  HookCall& operator=(const HookCall&) = delete;

  void open(ScriptFilter& filter, proxy::FilterCall& call);
  proxy::Verdict start(proxy::Hook hook);
  /// The exchange gives the wait up. What it holds stays until it ends.
  void cancel() {
    ++run_;
    if (thread_ != nullptr) stop_waiting();
  }
  /// The exchange ends. All handles die.
  void close();

  bool in_use() const { return filter_ != nullptr; }
  /// What its handles carry: the exchange's, for this policy; see handle.h.
  uint64_t number() const { return number_; }
  /// Its light handles, but for the kind; see handle.h.
  uintptr_t light() const { return light_; }
  LoadedScript& script() const { return script_; }
  ScriptFilter& filter() const { return *filter_; }
  proxy::Exchange& exchange() const { return *exchange_; }
  proxy::Hook hook() const { return hook_; }
  /// Under any name, in this hook; see fields.h.
  bool may_write(HandleKind kind) const { return ((writable_ >> static_cast<int>(kind)) & 1) != 0; }
  /// The attempt that the script sees: in select_backend the one about to be made.
  unsigned attempt() const {
    return exchange_->attempts() + (hook_ == proxy::Hook::SelectBackend ? 1 : 0);
  }

  // ---- for the handles' functions, while the hook runs ----

  /// A copy in the exchange's arena; what a script puts there counts against its memory budget,
  /// until the exchange ends.
  std::string_view keep(lua_State* L, std::string_view text) {
    charge(L, text.size());
    return exchange_->arena().copy(text);
  }
  void charge(lua_State* L, size_t bytes) {
    if (!held_.add(bytes)) [[unlikely]]
      raise_held(L);
  }
  Arena& arena() const { return exchange_->arena(); }
  /// Of the string at `index`, to set a header by. Good until the next call; its texts as long as
  /// the exchange.
  const HeaderName& header_name(lua_State* L, int index);

  /// Where the script's function stands that is about to call the method on top of the stack, since
  /// a tail call leaves no trace of it.
  void note_place(lua_State* L);
  /// For a C function that no function of the script is above of: pushes "file:line: " of the place
  /// noted for it, or of the hook.
  void push_last_place(lua_State* L) const;

  /// REQUIRES: the texts stand in the exchange's arena.
  void set_reply(const proxy::LocalReply& reply);
  /// Another attempt instead of the response at hand, once the hook returns. False: there is none.
  bool retry();
  void set_request_body(std::string_view body) { request_body_ = body, has_request_body_ = true; }
  void set_response_body(std::string_view body) {
    response_body_ = body, has_response_body_ = true;
  }

 private:
  friend class LoadedScript;

  [[noreturn]] void raise_held(lua_State* L);
  proxy::Verdict step(int arguments);
  proxy::Verdict park(int arguments);
  proxy::Verdict park_for_memory(int arguments);
  void run_slice() override;
  void collected() override;
  void note_time(uint64_t ticks, Duration took);
  int push_arguments();
  proxy::Verdict done();
  bool take_endpoint();
  void apply_bodies();
  bool carry_out();
  void forget_decisions();
  proxy::Verdict failed(ErrorCode code, std::string_view text);
  void log_failure(ErrorCode code, std::string_view text);
  static constexpr int kWaits = -1;
  static constexpr int kUnknownWait = -2;
  static constexpr int kBody = -3;  // push_body gives them
  /// Number of values on the thread's stack to go on with, or one of the above.
  int begin_wait();
  void note_wait();
  int begin_sleep(double seconds);
  int begin_body(bool of_request);
  void collect_for_body(bool of_request, bool insists);
  int read_body(bool of_request, bool may_collect);
  size_t announced_size(bool of_request) const;
  int push_body();
  bool hold(size_t size) override;
  void on_body(std::string_view body, const proxy::BodyError& error) override;
  void on_sleep_over();
  void on_time_over();
  void wait_over(int arguments);
  void go_on(int arguments);
  void fail_wait(ErrorCode code, std::string_view text);
  void stop_waiting();
  void account();

  LoadedScript& script_;
  uint64_t number_ = 0;
  uintptr_t light_ = 0;
  uint32_t run_ = 0;  // changes whenever a hook starts or is given up, or the call closes
  ScriptFilter* filter_ = nullptr;
  proxy::Exchange* exchange_ = nullptr;
  proxy::FilterCall* call_ = nullptr;
  lua_State* thread_ = nullptr;  // while the hook runs or waits
  proxy::Hook hook_ = proxy::Hook::Request;
  KindSet writable_ = 0;
  bool waited_ = false;
  bool waiting_ = false;
  // Of a run that is parked: what stands on the thread's stack, and what it waited for.
  enum class Parked : uint8_t { Slice, Memory, RequestBody, ResponseBody };
  Parked parked_ = Parked::Slice;
  int parked_arguments_ = 0;
  bool collects_all_ = true;    // the collection it waits for takes all that was garbage then
  bool has_collected_ = false;  // by the budget of memory that it met
  bool insists_ = false;        // and one that does not is of no use
  bool reads_request_ = false;  // its body, or the response's
  bool may_collect_ = false;    // if the body is too large
  bool body_waits_ = false;
  bool has_reply_ = false;
  bool has_retry_ = false;
  bool asked_retry_ = false;
  bool has_request_body_ = false;
  bool has_response_body_ = false;
  bool body_is_there_ = false;
  proxy::BodyError body_error_;
  Duration cpu_left_{};
  Duration cpu_spent_{};
  HeldBytes held_;
  std::array<size_t, 2> held_bodies_{};  // what of them counts: the request's, the response's
  std::string_view body_;
  std::string_view request_body_;
  std::string_view response_body_;
  proxy::LocalReply reply_;
  HeaderName header_name_;  // the last that the VM does not keep
  char noted_file_[LUA_IDSIZE] = {};
  int noted_line_ = 0;
  lua_CFunction noted_method_ = nullptr;
  Timer sleep_timer_;
  Timer time_timer_;
};

}  // namespace tidegate::script
