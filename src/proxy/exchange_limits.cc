// SPDX-License-Identifier: Apache-2.0
// An exchange and its limits: overload, what is under way on the route, and rates are looked at
// between steps 2 and 3, before any script runs, so that what is refused costs next to nothing;
// what is under way at the cluster, before the first attempt.
#include <algorithm>
#include <charconv>
#include <span>
#include <utility>

#include "http/header_id.h"
#include "proxy/exchange.h"
#include "proxy/local_reply.h"

namespace tidegate::proxy {
namespace {

std::string_view append(std::string_view list, std::string_view item, Arena& arena) {
  return list.empty() ? item : arena.join(list, ", ", item);
}

std::string_view decimal(uint64_t value, Arena& arena) {
  constexpr size_t kDigits = 20;
  char* to = arena.chars(kDigits);
  return {to, static_cast<size_t>(std::to_chars(to, to + kDigits, value).ptr - to)};
}

}  // namespace

std::string_view Exchange::limit_key(const config::Limit& limit) {
  switch (limit.key) {
    case config::LimitKey::Route:
      return runtime_->name;
    case config::LimitKey::Host:
      return host_;
    case config::LimitKey::ClientIp:
      return client_key(client_ip_, client_ip_text_, limit.ipv6_prefix, arena_);
    case config::LimitKey::Header: {
      const http::HeaderField* field = request_.headers.find(limit.key_header);
      return field == nullptr ? std::string_view() : field->value();
    }
    case config::LimitKey::Global:
    case config::LimitKey::Script:
      break;
  }
  return {};
}

bool Exchange::admit() {
  if (context_.overload != nullptr &&
      context_.overload->refuse_requests.load(std::memory_order_relaxed)) {
    fail(ErrorCode::Overloaded, "max_memory");
    return false;
  }
  if (runtime_->load != nullptr && !enter_route(*runtime_->load)) return false;
  return runtime_->limits.empty() || within_rates();
}

bool Exchange::enter_route(RouteLoad& load) {
  constexpr unsigned kPrefix = 64;
  const config::Route& route = *runtime_->route;
  if (route.max_requests > 0) {
    if (!load.enter(route.max_requests)) {
      fail(ErrorCode::RouteBusy, route.name);
      return false;
    }
    hold(load.active());
  }
  if (route.max_requests_per_client == 0) return true;
  const std::string_view client = client_key(client_ip_, client_ip_text_, kPrefix, arena_);
  uint64_t* count = load.enter_client(client, route.max_requests_per_client);
  if (count == nullptr) {
    fail(ErrorCode::ClientBusy, client);
    return false;
  }
  hold(*count);
  return true;
}

bool Exchange::enter_cluster() {
  const auto places = cluster_->load->enter(cluster_->cluster.config().limits);
  if (!places) return false;
  if (places->active != nullptr) hold(*places->active);
  if (places->unanswered != nullptr) hold(*places->unanswered);
  return true;
}

void Exchange::hold(uint64_t& count) {
  held_[held_count_++] = &count;
}

void Exchange::give_back_place(uint64_t& place) {
  const auto held = std::span(held_).first(held_count_);
  const auto at = std::ranges::find(held, &place);
  if (at == held.end()) return;
  *at = held_[--held_count_];
  give_place_back(place);
}

void Exchange::give_back_retry_place() {
  if (std::exchange(has_retry_place_, false)) give_back_place(cluster_->load->retrying);
}

// Whose answer is on its way is at a retry no longer, and waits no longer, however long a stream or
// tunnel it may be.
void Exchange::give_back_places_of_waiting() {
  if (held_count_ == 0 || cluster_ == nullptr) return;
  give_back_retry_place();
  if (cluster_->load->adaptive != nullptr) give_back_place(cluster_->load->unanswered);
}

void Exchange::give_back_places() {
  while (held_count_ > 0) give_place_back(*held_[--held_count_]);
}

// A request that waits for its retry is under way nowhere, so others have its places meanwhile. Its
// place in the retry budget stays its own: that is what bounds how many come back.
void Exchange::step_aside() {
  const uint64_t* const kept = has_retry_place_ ? &cluster_->load->retrying : nullptr;
  const auto held = std::span(held_).first(std::exchange(held_count_, uint8_t{0}));
  for (uint64_t* place : held) place == kept ? hold(*place) : give_place_back(*place);
}

/// After `step_aside`. False: others have the places, and the exchange fails for that.
bool Exchange::come_back() {
  if (runtime_->load != nullptr && !enter_route(*runtime_->load)) return false;
  if (enter_cluster()) return true;
  fail(ErrorCode::ClusterBusy, cluster_->cluster.name());
  return false;
}

// All are asked before any is taken from, so that who is over one limit uses up no other that he
// shares. Only where two workers meet at the last place of one limit, others lose a place in vain.
bool Exchange::within_rates() {
  const auto& limits = runtime_->limits;
  const TimePoint now = context_.loop.now();
  if (limits.size() > 1) {
    for (LimitRuntime* runtime : limits) {
      NamedLimit& limit = *runtime->limit;
      const NamedLimit::Taken asked = limit.ask(limit_key(limit.settings()), 1, now);
      if (!asked.allowed) return refuse_rate(*runtime, asked);
    }
  }
  for (LimitRuntime* runtime : limits) {
    NamedLimit& limit = *runtime->limit;
    const config::Limit& settings = limit.settings();
    const NamedLimit::Taken taken = limit.take(limit_key(settings), 1, now, settings.headers);
    if (!taken.allowed) return refuse_rate(*runtime, taken);
    if (settings.headers) note_rate(settings, taken);
  }
  return true;
}

bool Exchange::refuse_rate(LimitRuntime& runtime, const NamedLimit::Taken& taken) {
  const config::Limit& settings = runtime.limit->settings();
  runtime.rejected.add();
  note_rate(settings, taken);
  fail(ErrorCode::RateLimited, settings.name);
  failure_.retry_after = taken.retry_after;
  return false;
}

void Exchange::note_rate(const config::Limit& limit, const NamedLimit::Taken& taken) {
  if (rates_ == nullptr) rates_ = arena_.make<RateFields>();
  rates_->policy = append(rates_->policy, policy_field(limit, arena_), arena_);
  NamedLimit::Taken shown = taken;
  if (!taken.allowed) shown.reset = taken.retry_after;
  rates_->state = append(rates_->state, state_field(limit, shown, arena_), arena_);
}

void Exchange::add_rate_fields(http::Headers& headers) const {
  headers.set("ratelimit-policy", rates_->policy);
  headers.set("ratelimit", rates_->state);
}

void Exchange::reply_with_problem() {
  LocalReply reply = problem_reply(failure_.code, failure_.status, request_id_, arena_);
  std::pair<std::string_view, std::string_view> retry_after;
  if (failure_.retry_after > Duration::zero()) {
    retry_after = {"retry-after", decimal(seconds_up(failure_.retry_after), arena_)};
    reply.headers = {&retry_after, 1};
  }
  make_local_response(reply);
  start_response();
}

}  // namespace tidegate::proxy
