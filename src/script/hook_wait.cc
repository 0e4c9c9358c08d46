// SPDX-License-Identifier: Apache-2.0
// How a hook's run waits: for time, for its next slice, for the collector; and how it goes on.
#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "script/hook_call.h"
#include "script/loaded_script.h"

namespace tidegate::script {

using proxy::Verdict;

Verdict HookCall::park(int arguments) {
  parked_ = Parked::Slice;
  parked_arguments_ = arguments;
  note_wait();
  script_.slices().park(*this, filter_->share());
  return Verdict::Wait;
}

// `arguments`: to begin with; none where a run that met the budget is to go on.
Verdict HookCall::park_for_memory(int arguments) {
  parked_ = arguments == 0 ? Parked::Memory : Parked::Slice;
  parked_arguments_ = arguments;
  note_wait();
  insists_ = false;
  collects_all_ = script_.wait_for_collection(*this);
  return Verdict::Wait;
}

void HookCall::collected() {
  const bool of_memory = parked_ == Parked::Memory;
  const bool needs_all = of_memory ? script_.vm().nearly_full() : insists_;
  if (needs_all && !collects_all_) {
    collects_all_ = script_.wait_for_collection(*this);
    return;
  }
  if (parked_ == Parked::RequestBody || parked_ == Parked::ResponseBody) {
    // At once, before other runs leave garbage of their own.
    const uint32_t run = run_;
    const int arguments = read_body(parked_ == Parked::RequestBody, !insists_ && !collects_all_);
    if (run_ == run && arguments != kWaits) park(arguments);
    return;
  }
  // The first collection takes what past runs have left; a run that needs more pays for them.
  if (of_memory && std::exchange(has_collected_, true)) cpu_left_ -= script_.collection_took();
  if (!needs_all && cpu_left_ > Duration::zero()) {
    parked_ = Parked::Slice;
    script_.slices().park(*this, filter_->share());
    return;
  }
  if (needs_all) {
    script_.note_memory_breach();
    return fail_wait(ErrorCode::ScriptMemory, script_.vm().describe_memory_breach(thread_));
  }
  const Duration budget = filter_->policy().budget.cpu;
  fail_wait(ErrorCode::ScriptCpu, script_.vm().describe_cpu_breach(thread_, budget));
}

// Where nobody waits for what step() says.
void HookCall::fail_wait(ErrorCode code, std::string_view text) {
  proxy::Exchange& exchange = *exchange_;
  proxy::FilterCall& call = *call_;
  const uint32_t run = run_;
  const Verdict verdict = failed(code, text);
  if (run_ == run) exchange.proceed(call, verdict);
}

void HookCall::run_slice() {
  go_on(parked_arguments_);
}

// The run does not end in this turn: its time counts from here.
void HookCall::note_wait() {
  waited_ = true;
  if (!time_timer_.armed()) {
    exchange_->context().loop.timers().arm(time_timer_, filter_->policy().budget.time);
  }
}

int HookCall::begin_sleep(double seconds) {
  const auto duration =
      std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
  exchange_->context().loop.timers().arm(sleep_timer_, duration);
  waiting_ = true;
  return kWaits;
}

void HookCall::on_sleep_over() {
  waiting_ = false;
  wait_over(0);
}

// Perhaps one wait of many that end in this turn.
void HookCall::wait_over(int arguments) {
  if (script_.slices().must_wait(filter_->share())) {
    park(arguments);
    return;
  }
  go_on(arguments);
}

void HookCall::go_on(int arguments) {
  proxy::Exchange& exchange = *exchange_;
  proxy::FilterCall& call = *call_;
  const uint32_t run = run_;
  const Verdict verdict = step(arguments);
  // Still waiting needs no word; and a step may have ended the exchange, and this call with it.
  if (run_ == run && verdict != Verdict::Wait) exchange.proceed(call, verdict);
}

void HookCall::on_time_over() {
  const auto budget = std::chrono::duration<double, std::milli>(filter_->policy().budget.time);
  const std::string text = fmt::format("{}time budget of {:g} ms exceeded",
                                       script_.vm().place_of(thread_), budget.count());
  fail_wait(ErrorCode::ScriptTime, text);
}

void HookCall::stop_waiting() {
  ParkedRun::unlink();
  sleep_timer_.disarm();
  time_timer_.disarm();
  if (std::exchange(body_waits_, false)) exchange_->cancel_body_wait(*this);
  waiting_ = false;
  if (thread_ == nullptr) return;
  script_.vm().drop_thread(thread_);
  thread_ = nullptr;
  account();
}

}  // namespace tidegate::script
