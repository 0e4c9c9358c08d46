// SPDX-License-Identifier: Apache-2.0
#include "upstream/names.h"

#include <algorithm>

#include "telemetry/log.h"

namespace tidegate::upstream {
namespace {

constexpr Duration kFirstPause = std::chrono::seconds(1);
constexpr unsigned kMostDoublings = 5;  // 32 s

}  // namespace

Names::Names(net::EventLoop& loop, OnChange on_change, net::NameResolver::LookUp look_up)
    : loop_(loop),
      on_change_(std::move(on_change)),
      resolver_(
          loop, [this](net::NameResolver::Answers answers) { on_answers(std::move(answers)); },
          std::move(look_up)),
      timer_([](void* self) { static_cast<Names*>(self)->ask_again(); }, this) {}

std::vector<IpAddress> Names::addresses_of(const std::string& name) {
  if (const auto ip = IpAddress::parse(name)) return {*ip};
  Entry& entry = entries_[name];
  if (!entry.answered && !entry.asking) ask(name, entry);
  return entry.addresses;
}

void Names::keep_only(const std::set<std::string>& in_use) {
  std::erase_if(entries_, [&](const auto& known) { return !in_use.contains(known.first); });
  resolver_.keep_only(in_use);
  arm();
}

void Names::renew(const std::set<std::string>& in_use) {
  keep_only(in_use);
  for (auto& [name, entry] : entries_) {
    if (!entry.asking) ask(name, entry);
  }
}

void Names::settle_within(Duration limit) {
  const TimePoint until = std::chrono::steady_clock::now() + limit;
  while (!settled() && resolver_.wait_until(until)) {
  }
}

bool Names::settled() const {
  return std::ranges::all_of(entries_, [](const auto& known) { return known.second.answered; });
}

void Names::ask(const std::string& name, Entry& entry) {
  entry.asking = true;
  entry.again = TimePoint::max();
  resolver_.ask(name);
}

void Names::on_answers(net::NameResolver::Answers answers) {
  std::set<std::string> changed;
  for (auto& [name, answer] : answers) {
    if (take(name, std::move(answer))) changed.insert(name);
  }
  arm();
  if (!changed.empty()) on_change_(changed);
}

bool Names::take(const std::string& name, net::NameAnswer answer) {
  const auto at = entries_.find(name);
  if (at == entries_.end()) return false;  // forgotten meanwhile
  Entry& entry = at->second;
  entry.asking = false;
  const bool first = !std::exchange(entry.answered, true);
  if (!answer) {
    if (first || entry.failures == 0) {
      log::warn("a name does not resolve",
                {{"name", name},
                 {"error", answer.error()},
                 {"then", entry.addresses.empty() ? "its endpoints are down, and it is asked again"
                                                  : "the former addresses stay"}});
    }
    const unsigned doublings = std::min(entry.failures++, kMostDoublings);
    entry.again = loop_.now() + kFirstPause * (1 << doublings);
    return false;
  }
  if (entry.failures > 0) log::info("a name resolves again", {{"name", name}});
  entry.failures = 0;
  // In whatever order: name servers turn theirs.
  const auto same = [&] {
    return answer->size() == entry.addresses.size() &&
           std::ranges::is_permutation(*answer, entry.addresses);
  };
  if (same()) return false;
  entry.addresses = std::move(*answer);
  return true;
}

void Names::ask_again() {
  const TimePoint now = loop_.now();
  for (auto& [name, entry] : entries_) {
    if (entry.again <= now) ask(name, entry);
  }
  arm();
}

void Names::arm() {
  TimePoint next = TimePoint::max();
  for (const auto& [name, entry] : entries_) next = std::min(next, entry.again);
  if (next == TimePoint::max()) return timer_.disarm();
  loop_.timers().arm(timer_, std::max<Duration>(next - loop_.now(), Duration::zero()));
}

}  // namespace tidegate::upstream
