// SPDX-License-Identifier: Apache-2.0
#include "script/hook_call.h"

#include <fmt/format.h>

#include <cstring>

#include "base/strings.h"
#include "script/hook_outcome.h"
#include "script/loaded_script.h"
#include "script/ticks.h"
#include "script/values.h"
#include "script/wait.h"
#include "telemetry/log.h"

namespace tidegate::script {
namespace {

using proxy::Hook;
using proxy::Verdict;

// What on_error hooks get: { error, side, status, title, detail }.
void push_failure(lua_State* L, const proxy::Failure& failure) {
  const ErrorInfo& info = describe(failure.code);
  const auto set = [L](const char* key, std::string_view text) {
    lua_pushlstring(L, text.data(), text.size());
    lua_setfield(L, -2, key);
  };
  lua_createtable(L, 0, 5);
  set("error", info.token);
  set("side", to_string(info.side));
  set("title", info.title);
  set("detail", failure.detail);
  lua_pushinteger(L, failure.status == 0 ? info.status : failure.status);
  lua_setfield(L, -2, "status");
}

constexpr Duration kLongRun = std::chrono::microseconds(200);
constexpr Duration kLongRunsLast = std::chrono::seconds(1);  // where there was one, there are more

}  // namespace

HookCall::HookCall(LoadedScript& script)
    : script_(script),
      sleep_timer_([](void* self) { static_cast<HookCall*>(self)->on_sleep_over(); }, this),
      time_timer_([](void* self) { static_cast<HookCall*>(self)->on_time_over(); }, this) {}

void HookCall::open(ScriptFilter& filter, proxy::FilterCall& call) {
  filter_ = &filter;
  call_ = &call;
  exchange_ = call.exchange;
  number_ = script_.next_handle_number();
  light_ = light_handle(number_);
}

void HookCall::close() {
  if (thread_ != nullptr) stop_waiting();
  ++run_;
  number_ = 0;
  light_ = 0;
  held_.give_back(filter_->held);
  held_bodies_ = {};
  filter_ = nullptr;
  exchange_ = nullptr;
  call_ = nullptr;
  script_.give_back_call(*this);
}

void HookCall::raise_held(lua_State* L) {
  script_.vm().raise_memory(L);
}

const HeaderName& HookCall::header_name(lua_State* L, int index) {
  Names& names = script_.names();
  const HeaderName* name = names.known_header(L, index);
  if (name == nullptr) name = names.learn_header(L, index);
  if (name != nullptr) return *name;
  size_t size;
  const char* text = lua_tolstring(L, index, &size);
  check_name_size(L, size);
  charge(L, size);
  char* lower = arena().chars(size);
  for (size_t i = 0; i < size; ++i) lower[i] = ascii_lower(text[i]);
  header_name_ = Names::describe_header({lower, size});
  return header_name_;
}

void HookCall::note_place(lua_State* L) {
  lua_Debug caller;
  if (lua_getstack(L, 1, &caller) == 0) return;
  lua_getinfo(L, "Sl", &caller);
  if (caller.currentline <= 0 || caller.source[0] != '@') return;
  std::memcpy(noted_file_, caller.short_src, sizeof noted_file_);
  noted_line_ = caller.currentline;
  noted_method_ = lua_tocfunction(L, -1);
}

void HookCall::push_last_place(lua_State* L) const {
  lua_Debug method;
  if (noted_method_ != nullptr && lua_getstack(L, 0, &method) == 1) {
    lua_getinfo(L, "f", &method);
    const bool is_noted = lua_tocfunction(L, -1) == noted_method_;
    lua_pop(L, 1);
    if (is_noted) {
      lua_pushfstring(L, "%s:%d: ", noted_file_, noted_line_);
      return;
    }
  }
  push_place_of_hook(*filter_, L, hook_);
}

void HookCall::set_reply(const proxy::LocalReply& reply) {
  reply_ = reply;
  has_reply_ = true;
}

bool HookCall::retry() {
  asked_retry_ = true;
  has_retry_ = has_retry_ || exchange_->request_retry();
  return has_retry_;
}

Verdict HookCall::start(Hook hook) {
  if (thread_ != nullptr) stop_waiting();  // of a hook that the exchange no longer waits for
  ++run_;
  hook_ = hook;
  writable_ = writable_kinds(hook);
  waited_ = false;
  forget_decisions();
  asked_retry_ = has_collected_ = false;
  noted_method_ = nullptr;
  cpu_spent_ = Duration::zero();
  cpu_left_ = filter_->policy().budget.cpu;
  thread_ = script_.vm().take_thread();
  filter_->push_hook(thread_, hook);
  const int arguments = push_arguments();
  if (script_.slices().must_wait(filter_->share())) [[unlikely]]
    return park(arguments);
  if (script_.short_of_memory()) [[unlikely]]
    return park_for_memory(arguments);
  return step(arguments);
}

int HookCall::push_arguments() {
  const auto push_response = [this] {
    if (exchange_->response() == nullptr) return lua_pushnil(thread_);
    push_light(thread_, *this, HandleKind::Response);
  };
  switch (hook_) {
    case Hook::Request:
      push_light(thread_, *this, HandleKind::Request);
      return 1;
    case Hook::SelectBackend:
      push_light(thread_, *this, HandleKind::Request);
      push_cluster(thread_, *this, *exchange_->cluster());
      return 2;
    case Hook::Response:
      push_response();
      push_light(thread_, *this, HandleKind::Request);
      return 2;
    case Hook::Error:
      push_light(thread_, *this, HandleKind::Request);
      push_failure(thread_, exchange_->failure());
      return 2;
    case Hook::Log:
      push_light(thread_, *this, HandleKind::Request);
      push_response();
      return 2;
    case Hook::Count_:
      break;
  }
  return 0;
}

Verdict HookCall::step(int arguments) {
  Vm& vm = script_.vm();
  Duration cpu_before = waited_ ? thread_cpu() : Duration::zero();
  uint64_t begin = ticks();
  while (true) {
    if (arguments == kBody) arguments = push_body();
    if (waited_) vm.name_budget(filter_->policy().budget.cpu);
    script_.running_filter = filter_;
    script_.running_call = running = this;
    held_.begin_run(filter_->held, vm.memory_cap());
    const Vm::Outcome outcome = vm.resume(thread_, arguments, cpu_left_, begin);
    held_.end_run(filter_->held);
    script_.running_filter = nullptr;
    script_.running_call = running = nullptr;
    const uint64_t took_ticks = ticks() - begin;
    const Duration took(
        static_cast<int64_t>(static_cast<double>(took_ticks) * filter_->nanoseconds_per_tick()));
    note_time(took_ticks, took);
    if (vm.collection_due()) [[unlikely]]
      script_.collect();
    if (outcome == Vm::Outcome::Done) return done();
    if (outcome == Vm::Outcome::Failed) {
      const Breach breach = vm.breach();
      if (breach == Breach::Memory) script_.note_memory_breach();
      const ErrorCode code = breach == Breach::Cpu      ? ErrorCode::ScriptCpu
                             : breach == Breach::Memory ? ErrorCode::ScriptMemory
                                                        : ErrorCode::ScriptError;
      return failed(code, describe_error(vm, thread_, cpu_left_ - took));
    }
    // Measured as CPU time once the hook has waited; the first piece only by the clock, which may
    // have run on while another thread had the core, so that it counts for half at most.
    const bool measured = waited_;
    if (measured) {
      const Duration cpu = thread_cpu();
      cpu_left_ -= cpu - std::exchange(cpu_before, cpu);
    } else {
      cpu_left_ -= std::min(took, filter_->policy().budget.cpu / 2);
    }
    if (cpu_left_ <= Duration::zero()) {
      return failed(ErrorCode::ScriptCpu,
                    vm.describe_cpu_breach(thread_, filter_->policy().budget.cpu));
    }
    if (outcome == Vm::Outcome::Sliced) return park(0);
    if (outcome == Vm::Outcome::Collect) return park_for_memory(0);
    begin = ticks();  // what is there at once takes its time too
    const uint32_t run = run_;
    arguments = begin_wait();
    if (run_ != run || arguments == kWaits) return Verdict::Wait;
    if (arguments == kUnknownWait) return failed(ErrorCode::ScriptError, "unknown wait");
    if (script_.slices().must_wait(filter_->share())) return park(arguments);
    if (!measured) cpu_before = thread_cpu();
  }
}

void HookCall::note_time(uint64_t ticks, Duration took) {
  cpu_spent_ += took;
  script_.slices().spent(ticks);
  if (took <= kLongRun) [[likely]]
    return;
  script_.slices().charge(filter_->share(), ticks);
  // What follows in this turn shall see how long it was, and nobody's output wait for more.
  exchange_->context().loop.clock().expire();
  exchange_->context().loop.stop_gathering_for(kLongRunsLast);
}

Verdict HookCall::done() {
  time_timer_.disarm();
  if (hook_ == Hook::SelectBackend && !take_endpoint()) {
    const std::string wrong = wrong_endpoint(thread_, exchange_->cluster()->config().name);
    push_place_of_hook(*filter_, thread_, hook_);
    return failed(ErrorCode::ScriptError, lua_tostring(thread_, -1) + wrong);
  }
  if (hook_ != Hook::SelectBackend && lua_gettop(thread_) > 0) {
    const std::string wrong = wrong_result(thread_, hook_, asked_retry_);
    if (!wrong.empty()) {
      push_place_of_hook(*filter_, thread_, hook_);
      return failed(ErrorCode::ScriptError, lua_tostring(thread_, -1) + wrong);
    }
  }
  script_.vm().give_back_thread(thread_);
  thread_ = nullptr;
  account();
  return carry_out() ? Verdict::Stop : Verdict::Continue;
}

// What the hook decided before it ended, in order or by an error. True: the exchange has its
// answer.
bool HookCall::carry_out() {
  if (has_retry_) return true;  // noted by the exchange
  const uint32_t run = run_;
  apply_bodies();
  return run_ == run && has_reply_ && exchange_->reply(reply_);
}

void HookCall::forget_decisions() {
  has_reply_ = has_retry_ = has_request_body_ = has_response_body_ = false;
}

// False: what the hook returned is no endpoint of the cluster.
bool HookCall::take_endpoint() {
  if (lua_gettop(thread_) == 0 || lua_isnil(thread_, 1) || has_reply_) return true;
  upstream::Cluster& cluster = *exchange_->cluster();
  const upstream::Cluster::Member* member = nullptr;
  if (lua_type(thread_, 1) == LUA_TSTRING) {
    size_t size;
    const char* address = lua_tolstring(thread_, 1, &size);
    member = cluster.find(std::string_view(address, size));
  } else if (const Handle* handle = to_handle(thread_, 1, HandleKind::Endpoint);
             handle != nullptr && handle->number == number_) {
    member = cluster.find(static_cast<const upstream::Endpoint*>(handle->endpoint));
  }
  if (member == nullptr) return false;
  exchange_->choose_endpoint(member->endpoint);
  return true;
}

void HookCall::apply_bodies() {
  // The first guard is where the script sets it; here it would hit an exchange that is past it.
  const bool unsent = hook_ == Hook::Request || hook_ == Hook::SelectBackend;
  if (std::exchange(has_request_body_, false) && unsent) exchange_->set_request_body(request_body_);
  if (std::exchange(has_response_body_, false)) exchange_->set_response_body(response_body_);
}

Verdict HookCall::failed(ErrorCode code, std::string_view what) {
  const std::string text = with_line(*filter_, hook_, what);
  log_failure(code, text);
  filter_->metrics().error(hook_, code);
  // The text may stand on the thread's stack, which goes now.
  const std::string_view detail = exchange_->arena().copy(std::string_view(text).substr(0, 1000));
  stop_waiting();
  // A script that has refused a request must not let it pass because it fails afterwards.
  const uint32_t run = run_;
  if (carry_out()) return Verdict::Stop;
  if (run_ != run) return Verdict::Continue;  // it ended the exchange
  // Nothing can be answered any more, or the answer is an error's already.
  if (hook_ == Hook::Log || hook_ == Hook::Error) return Verdict::Continue;
  if (filter_->policy().on_error == config::OnError::Open) return Verdict::Continue;
  exchange_->fail(code, detail);
  return Verdict::Stop;
}

void HookCall::log_failure(ErrorCode code, std::string_view text) {
  const std::string_view hook = to_string(hook_);
  const std::string_view token = describe(code).token;
  // One error of a hook must not hide another: the text, which says where, is part of the key.
  // But where every request brings another, as a text with its path does, they share one.
  std::string key = fmt::format("{} {} {}", filter_->name(), hook, text.substr(0, 200));
  if (!filter_->logged_errors().admit(key, exchange_->context().loop.now())) {
    key = fmt::format("{} {}", filter_->name(), hook);
  }
  log::log_limited(key, log::Level::Error, "a hook failed",
                   {{"policy", filter_->name()},
                    {"hook", hook},
                    {"error", token},
                    {"detail", text.substr(0, 1000)},
                    {"script", std::string_view(script_.generation().main().name)},
                    {"generation", filter_->generation()},
                    {"request_id", exchange_->id()}});
}

int HookCall::begin_wait() {
  note_wait();
  const auto kind = static_cast<Wait>(lua_tointeger(thread_, 1));
  const double seconds = lua_tonumber(thread_, 2);
  lua_settop(thread_, 0);
  switch (kind) {
    case Wait::Sleep:
      return begin_sleep(seconds);
    case Wait::RequestBody:
      return begin_body(true);
    case Wait::ResponseBody:
      return begin_body(false);
  }
  return kUnknownWait;
}

// What past runs left must not make a body too large: it waits until that is gone.
int HookCall::begin_body(bool of_request) {
  const Vm& vm = script_.vm();
  if (!vm.may_hold_garbage() || vm.memory_used() < vm.memory_cap() / 4) {
    return read_body(of_request, true);
  }
  collect_for_body(of_request, false);
  return kWaits;
}

// `insists`: only without all that is garbage by now is there any use in going on.
void HookCall::collect_for_body(bool of_request, bool insists) {
  parked_ = of_request ? Parked::RequestBody : Parked::ResponseBody;
  insists_ = insists;
  collects_all_ = script_.wait_for_collection(*this);
}

// `may_collect`: where only garbage may be in the way of the body, that is to go first.
int HookCall::read_body(bool of_request, bool may_collect) {
  const uint32_t run = run_;
  apply_bodies();
  if (run_ != run) return kWaits;  // it ended the exchange
  // A body that can not fit into the VM is not collected at all.
  const size_t used = script_.vm().memory_used();
  const size_t cap = script_.vm().memory_cap();
  const size_t held = filter_->held - held_bodies_[of_request ? 0 : 1];
  const size_t most = held < cap ? std::min(cap / 2, cap - held) : 0;
  const size_t limit = used < cap ? std::min((cap - used) / 2, most) : 0;
  reads_request_ = of_request;
  may_collect_ = may_collect && limit < most && announced_size(of_request) <= most;
  body_is_there_ = false;
  body_waits_ = true;
  waiting_ = false;
  if (of_request) {
    exchange_->read_request_body(limit, *this);
  } else {
    exchange_->read_response_body(limit, *this);
  }
  if (run_ != run) return kWaits;
  if (body_is_there_) return kBody;
  waiting_ = body_waits_;
  return kWaits;
}

// Of a body that is to come; 0: unknown.
size_t HookCall::announced_size(bool of_request) const {
  const auto size_of = [](const auto& head) {
    return head.body == http::BodyKind::Sized ? head.content_length : 0;
  };
  if (of_request) return size_of(exchange_->request());
  return exchange_->response() == nullptr ? 0 : size_of(*exchange_->response());
}

void HookCall::on_body(std::string_view body, const proxy::BodyError& error) {
  body_waits_ = false;
  const bool waited = std::exchange(waiting_, false);
  if (error.code == ErrorCode::BodyTooLarge && may_collect_ &&
      exchange_->failure().code != error.code) {  // the budget's, not the route's
    return collect_for_body(reads_request_, true);
  }
  body_ = body;
  body_error_ = error;
  if (error.code == ErrorCode::BodyTooLarge) log_refused_body(*filter_, hook_, *exchange_);
  body_is_there_ = true;
  if (waited) wait_over(kBody);  // else read_body gives it
}

// The same bytes count once, however often they are read.
bool HookCall::hold(size_t size) {
  size_t& counted = held_bodies_[reads_request_ ? 0 : 1];
  if (size <= counted) return true;
  const size_t more = size - counted;
  const size_t cap = script_.vm().memory_cap();
  if (more > cap || filter_->held > cap - more) return false;
  counted = size;
  held_.add(more, filter_->held);
  return true;
}

int HookCall::push_body() {
  if (!body_error_) {
    lua_pushlstring(thread_, body_.data(), body_.size());
    return 1;
  }
  lua_pushnil(thread_);
  lua_pushlstring(thread_, body_error_.text.data(), body_error_.text.size());
  return 2;
}

void HookCall::account() {
  filter_->metrics().run(hook_, cpu_spent_);
  filter_->metrics().memory(script_.vm().memory_used());
}

}  // namespace tidegate::script
