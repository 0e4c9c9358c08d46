// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string_view>

#include "base/error.h"

namespace tidegate::proxy {

class Exchange;
class Filter;

/// What a filter says after it was called.
enum class Verdict : uint8_t {
  Continue,  // go on with the next filter
  Wait,      // it will call Exchange::proceed(call, Continue | Stop) later
  Stop,      // it has given the exchange its answer: Exchange::reply or Exchange::fail
};

/// The hooks of a filter; a filter names those it has, so that the others cost nothing.
enum class Hook : uint8_t { Request, SelectBackend, Response, Error, Log, Count_ };
std::string_view to_string(Hook hook);  // "on_request", "select_backend", …

using HookSet = uint8_t;
constexpr HookSet hook_bit(Hook hook) {
  return static_cast<HookSet>(1u << static_cast<unsigned>(hook));
}

/// One filter's part in one exchange. Lives in the exchange's arena; its address is stable until
/// `Filter::release`.
struct FilterCall {
  Exchange* exchange = nullptr;
  Filter* filter = nullptr;
  void* state = nullptr;  // the filter's own, for this exchange
};

/// Sees an exchange's events in both directions. One object per policy (or built-in) and worker;
/// what belongs to an exchange hangs on FilterCall::state. Used in its worker's thread only.
class Filter {
 public:
  virtual ~Filter() = default;

  /// Name of the policy, for log and metrics.
  virtual std::string_view name() const = 0;
  /// Number of the generation of its script; 0 for built-in filters.
  virtual uint64_t generation() const = 0;
  virtual HookSet hooks() const = 0;

  /// Runs `hook`, which is one of hooks():
  /// - Request: head received, route known. Stop: answered.
  /// - SelectBackend: before each attempt. Exchange::choose_endpoint overrules the balancer.
  /// - Response: response head, from origin or local, not yet sent. Stop: answered otherwise.
  /// - Error: before a local error reply; Exchange::failure() says what. Stop: made another reply.
  /// - Log: all is done; the exchange's answer has gone.
  virtual Verdict run(Hook hook, FilterCall& call) = 0;
  /// The exchange no longer wants what the filter waits for. The hooks Error, Response and Log may
  /// still be run.
  virtual void cancel_wait(FilterCall& call) = 0;
  /// The exchange goes: cancel waits, drop the state and set it to nullptr. Called for each call
  /// whose `state` is set.
  virtual void release(FilterCall& call) = 0;
};

/// Where a worker's chains get their filters from; implemented by src/script. `find_filter` gives
/// the generation now in use; an object stays alive while `acquire`d (counted, same thread).
class FilterSource {
 public:
  virtual ~FilterSource() = default;
  virtual Filter* find_filter(std::string_view policy) = 0;
  virtual void acquire(Filter& filter) = 0;
  virtual void give_back(Filter& filter) = 0;
};

}  // namespace tidegate::proxy
