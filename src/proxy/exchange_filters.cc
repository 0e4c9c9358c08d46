// SPDX-License-Identifier: Apache-2.0
// How an exchange runs its filters: in order, in reverse for responses, each hook at most once per
// attempt or message, with waits in between.
#include "proxy/exchange.h"

namespace tidegate::proxy {

void Exchange::run_filters(Hook hook) {
  hook_ = hook;
  decision_ = Decision::None;
  if (chain_ == nullptr || (chain_->hooks() & hook_bit(hook)) == 0) {
    if (hook == Hook::Request) filters_reached_ = filter_count_;
    return filters_done();
  }
  // Responses go back through those filters only that have seen the request.
  next_filter_ = hook == Hook::Response ? filters_reached_ : 0;
  continue_filters();
}

bool Exchange::next_filter(size_t& index) {
  const HookSet bit = hook_bit(hook_);
  if (hook_ == Hook::Response) {
    while (next_filter_ > 0) {
      if (calls_[--next_filter_].filter->hooks() & bit) return index = next_filter_, true;
    }
    return false;
  }
  while (next_filter_ < filter_count_) {
    index = next_filter_++;
    if (hook_ == Hook::Request) filters_reached_ = next_filter_;
    if (calls_[index].filter->hooks() & bit) return true;
  }
  return false;
}

void Exchange::continue_filters() {
  size_t index = 0;
  while (next_filter(index)) {
    FilterCall& call = calls_[index];
    const Hook hook = hook_;
    const Verdict verdict = call.filter->run(hook, call);
    // Reading a body may bring out that the client broke the protocol, and the exchange has gone
    // its way without this filter.
    if (hook_ != hook) return;
    if (verdict == Verdict::Wait) {
      waiting_ = &call;
      const bool beside = hook_ == Hook::SelectBackend && attempt_->active();  // for a hedge
      if (request_waiter_ == nullptr && response_waiter_ == nullptr && hook_ != Hook::Log &&
          !beside) {
        // Nobody reads the body meanwhile, so its silence is not the client's fault.
        timer_.disarm();
      }
      return;
    }
    if (verdict == Verdict::Stop) return filters_stopped();
  }
  filters_done();
}

void Exchange::proceed(FilterCall& call, Verdict verdict) {
  if (waiting_ != &call) return;
  waiting_ = nullptr;
  if (verdict == Verdict::Wait) {
    waiting_ = &call;
  } else if (verdict == Verdict::Stop) {
    filters_stopped();
  } else {
    continue_filters();
  }
}

void Exchange::filters_stopped() {
  switch (std::exchange(decision_, Decision::None)) {
    case Decision::Reply:
      // A response filter has put another response in place: the rest still see it.
      if (hook_ == Hook::Response) return continue_filters();
      if (hook_ == Hook::Log) return continue_filters();
      return start_response();
    case Decision::Fail:
      if (hook_ == Hook::Log) return continue_filters();
      if (hedge_choice_failed()) return;
      return start_failure();
    case Decision::Retry:
      return begin_script_retry();
    case Decision::None:
      if (hook_ == Hook::Log) return continue_filters();
      fail(ErrorCode::Internal, "a filter stopped without an answer");
      return start_failure();
  }
}

void Exchange::filters_done() {
  switch (hook_) {
    case Hook::Request:
      return act_on_route();
    case Hook::SelectBackend:
      return begin_attempt();
    case Hook::Response:
      return send_response();
    case Hook::Error:
      return reply_with_problem();
    case Hook::Log:
    case Hook::Count_:
      return finish_filters();
  }
}

bool Exchange::reply(const LocalReply& reply) {
  if (response_started_ || stage_ == Stage::Finished) return false;
  make_local_response(reply);
  decision_ = Decision::Reply;
  return true;
}

void Exchange::fail(ErrorCode code, std::string_view detail) {
  failure_ = {code, arena_.copy(detail)};
  decision_ = Decision::Fail;
}

void Exchange::cancel_wait() {
  request_waiter_ = response_waiter_ = nullptr;
  if (waiting_ == nullptr) return;
  FilterCall& call = *std::exchange(waiting_, nullptr);
  call.filter->cancel_wait(call);
}

void Exchange::release_filters() {
  for (size_t i = 0; i < filter_count_; ++i) {
    FilterCall& call = calls_[i];
    if (call.state == nullptr) continue;
    call.filter->release(call);
    call.state = nullptr;
  }
}

}  // namespace tidegate::proxy
