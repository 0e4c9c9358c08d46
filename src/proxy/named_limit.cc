// SPDX-License-Identifier: Apache-2.0
#include "proxy/named_limit.h"

#include <algorithm>
#include <charconv>

namespace tidegate::proxy {
namespace {

using Algorithm = std::variant<SlidingWindow, TokenBucket>;

// As many at once as the rate has in a period, within what the counters can hold.
uint64_t burst_of(const config::Limit& limit) {
  return limit.burst.value_or(
      static_cast<uint32_t>(std::min(limit.rate.count, TokenBucket::kMaxBurst)));
}

Algorithm algorithm_of(const config::Limit& limit) {
  if (limit.algorithm == config::LimitAlgorithm::SlidingWindow) {
    return SlidingWindow(limit.rate.count + limit.burst.value_or(0), limit.rate.period);
  }
  return TokenBucket(limit.rate.count, limit.rate.period, burst_of(limit));
}

size_t words_of(const Algorithm& algorithm) {
  return std::visit([](const auto& one) { return one.words(); }, algorithm);
}

std::string_view decimal(uint64_t value, Arena& arena) {
  constexpr size_t kDigits = 20;
  char* to = arena.chars(kDigits);
  return {to, static_cast<size_t>(std::to_chars(to, to + kDigits, value).ptr - to)};
}

}  // namespace

NamedLimit::NamedLimit(config::Limit settings, TimePoint start)
    : settings_(std::move(settings)),
      start_(start),
      algorithm_(algorithm_of(settings_)),
      capacity_(std::visit([](const auto& one) { return one.capacity(); }, algorithm_)),
      keys_(settings_.max_keys, words_of(algorithm_)) {}

template <class Act>
NamedLimit::Taken NamedLimit::at_key(std::string_view key, Duration time, const Act& act) {
  const auto run = [&](const auto& algorithm) {
    return keys_.with(
        hash_(key), [&](uint64_t* words) { return algorithm.expired(words, time); },
        [&](uint64_t* words) { return act(algorithm, words); });
  };
  return std::visit(run, algorithm_);
}

NamedLimit::Taken NamedLimit::take(std::string_view key, uint64_t cost, TimePoint now,
                                   bool ask_remaining) {
  const Duration time = since_start(now);
  return at_key(key, time, [&](const auto& algorithm, uint64_t* words) {
    Taken taken;
    taken.allowed = algorithm.take(words, time, cost, taken.retry_after);
    if (ask_remaining) {
      taken.remaining = algorithm.remaining(words, time);
      taken.reset = algorithm.reset(words, time);
    }
    return taken;
  });
}

NamedLimit::Taken NamedLimit::ask(std::string_view key, uint64_t cost, TimePoint now) {
  const Duration time = since_start(now);
  return at_key(key, time, [&](const auto& algorithm, uint64_t* words) {
    Taken taken;
    taken.allowed = algorithm.ask(words, time, cost, taken.retry_after);
    return taken;
  });
}

NamedLimits make_limits(const std::vector<config::Limit>& limits, const NamedLimits* previous,
                        TimePoint now) {
  NamedLimits made;
  for (const config::Limit& limit : limits) {
    std::shared_ptr<NamedLimit> kept;
    if (previous != nullptr) {
      const auto same = [&](const auto& one) { return one->settings() == limit; };
      const auto at = std::ranges::find_if(*previous, same);
      if (at != previous->end()) kept = *at;
    }
    made.push_back(kept != nullptr ? kept : std::make_shared<NamedLimit>(limit, now));
  }
  return made;
}

std::string_view client_key(const IpAddress& address, std::string_view text, unsigned ipv6_prefix,
                            Arena& arena) {
  if (address.is_v4() || ipv6_prefix >= 128) return text;
  std::array<uint8_t, 16> bytes = address.bytes();
  for (unsigned bit = ipv6_prefix; bit < 128; ++bit) {
    bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] & ~(0x80u >> (bit % 8)));
  }
  constexpr size_t kLongest = 46;
  char* to = arena.chars(kLongest);
  return {to, IpAddress::v6(bytes).write(to)};
}

std::string_view policy_field(const config::Limit& limit, Arena& arena) {
  const uint64_t quota =
      limit.rate.count +
      (limit.algorithm == config::LimitAlgorithm::SlidingWindow ? limit.burst.value_or(0) : 0);
  const std::string_view front = arena.join("\"", limit.name, "\";q=");
  return arena.join(arena.join(front, decimal(quota, arena), ";w="),
                    decimal(seconds_up(limit.rate.period), arena));
}

std::string_view state_field(const config::Limit& limit, const NamedLimit::Taken& taken,
                             Arena& arena) {
  const std::string_view front = arena.join("\"", limit.name, "\";r=");
  return arena.join(arena.join(front, decimal(taken.remaining, arena), ";t="),
                    decimal(seconds_up(taken.reset), arena));
}

uint64_t seconds_up(Duration time) {
  return static_cast<uint64_t>(std::chrono::ceil<std::chrono::seconds>(time).count());
}

}  // namespace tidegate::proxy
